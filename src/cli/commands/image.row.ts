import type { CommandRow, Operand } from "../command.ts";
import { jsonFlag } from "../command.ts";

export const imageOperand: Operand = {
	name: "image",
	summary: "a name, name@linux/riscv64, or a digest or its beginning",
	presence: "required",
	completes: "image",
};

export const imageListRow: CommandRow = {
	path: ["image", "ls"],
	summary: "list the images on this machine",
	description: "Lists images by name, with their platform, digest, size and age. Images without a name come last.",
	operands: [],
	flags: [{ name: "--names", summary: "print names alone" }, jsonFlag],
	examples: [{ command: "vouch image ls", says: "All of them:" }],
	load: async () => (await import("./image-list.ts")).imageListAction,
};

export const imageInspectRow: CommandRow = {
	path: ["image", "inspect"],
	summary: "show what an image is made of",
	description: `Prints an image's parts, kernel, command line and root hash for people, with --json all of image.json. With --part one of
its documents as it is stored.`,
	operands: [imageOperand],
	flags: [
		{
			name: "--part",
			value: "PART",
			choices: ["image.json", "sbom", "provenance"],
			summary: "print this document, byte for byte",
		},
		jsonFlag,
	],
	examples: [
		{ command: "vouch image inspect app", says: "What is in it:" },
		{ command: "vouch image inspect app --part sbom", says: "The packages inside:" },
	],
	load: async () => (await import("./image-list.ts")).imageInspectAction,
};

export const imageVerifyRow: CommandRow = {
	path: ["image", "verify"],
	summary: "check every claim of an image against its bytes",
	description: `Recomputes every digest and every block of the hash tree, and compares what image.json, SBOM and provenance say of each other:
one line per claim. Exits 0 when every claim holds, 1 when one does not, 125 when there is no such image.`,
	operands: [imageOperand],
	flags: [jsonFlag],
	examples: [{ command: "vouch image verify app", says: "Is it whole and true?" }],
	load: async () => (await import("./image-verify.ts")).imageVerifyAction,
};

export const imageNameRow: CommandRow = {
	path: ["image", "name"],
	summary: "give an image one more name",
	description: "Lets NAME mean this image on its platform, from now on; what it meant before loses it.",
	operands: [
		imageOperand,
		{
			name: "name",
			summary: "lower-case letters, digits, and . _ - between them",
			presence: "required",
			completes: "nothing",
		},
	],
	flags: [jsonFlag],
	examples: [{ command: "vouch image name app app-stable", says: "Keep today's build under another name:" }],
	load: async () => (await import("./image-keep.ts")).imageNameAction,
};

export const imageRemoveRow: CommandRow = {
	path: ["image", "rm"],
	summary: "remove an image, or one of its names",
	description: `Takes a name away; the image goes with its last one. A digest removes the image and all its names. Parts that other images
have stay.`,
	operands: [imageOperand],
	flags: [jsonFlag],
	examples: [{ command: "vouch image rm app", says: "The name, and the image unless it has another:" }],
	load: async () => (await import("./image-keep.ts")).imageRemoveAction,
};

export const imagePruneRow: CommandRow = {
	path: ["image", "prune"],
	summary: "remove images without a name, and what interrupted work left",
	description: `Removes images that have lost their name, parts of no image, and what was kept of interrupted pulls, all older than a day.
Named images stay, unless --all asks for those too.`,
	operands: [],
	flags: [
		{ name: "--older-than", value: "TIME", summary: "only what is older than this (90m, 12h, 30d); default 1d" },
		{ name: "--all", summary: "named images of that age too" },
		{ name: "--dry-run", summary: "say what would go, and leave it" },
		jsonFlag,
	],
	examples: [
		{ command: "vouch image prune --dry-run", says: "What would go?" },
		{ command: "vouch image prune --older-than 30d --all", says: "Everything that is a month old:" },
	],
	load: async () => (await import("./image-keep.ts")).imagePruneAction,
};
