import type { CommandRow, Operand } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { imageOperand } from "./image.row.ts";
import { platformFlag } from "./image-build.row.ts";

const reference: Operand = {
	name: "reference",
	summary: "where in which registry: host[:port]/name[:tag]",
	presence: "required",
	completes: "nothing",
};

const LOGINS = `Logins are those of \`skopeo login\`, \`podman login\` and \`docker login\`. The registry is spoken to with TLS, but on this
machine's own loopback. What was interrupted goes on where it ended when the same command is run again.`;

export const imagePushRow: CommandRow = {
	path: ["image", "push"],
	summary: "publish an image in an OCI registry",
	description: `Puts the image into a registry as an OCI artifact; what the registry has is not sent again. A name that stands for several
platforms is pushed with all of them. ${LOGINS}`,
	operands: [imageOperand, reference],
	flags: [{ ...platformFlag, summary: "only this one of several" }, jsonFlag],
	examples: [{ command: "vouch image push app registry.example.org/team/app:1.0", says: "Publish it:" }],
	load: async () => (await import("./image-transfer.ts")).imagePushAction,
};

export const imagePullRow: CommandRow = {
	path: ["image", "pull"],
	summary: "get an image from an OCI registry",
	description: `Gets an image, whole and with every digest checked, or not at all. ${LOGINS}`,
	operands: [reference],
	flags: [
		{ name: "--name", value: "NAME", summary: "call it this; default the last word of the reference" },
		platformFlag,
		{ name: "--digest", value: "DIGEST", summary: "refuse any other image than this one" },
		jsonFlag,
	],
	examples: [
		{ command: "vouch image pull registry.example.org/team/app:1.0", says: "As the image app:" },
		{
			command: "vouch image pull registry.example.org/team/app:1.0 --digest sha256:…",
			says: "That one and no other:",
		},
	],
	load: async () => (await import("./image-transfer.ts")).imagePullAction,
};

export const imageExportRow: CommandRow = {
	path: ["image", "export"],
	summary: "write an image as files: a folder, an OCI layout, or a tar of one",
	description: `Writes the image to PATH, which must not exist yet. A folder holds image.json and the parts as they are; an OCI layout is what
any OCI program can copy into a registry. The same image gives the same files.`,
	operands: [imageOperand, { name: "path", summary: "where to", presence: "required", completes: "file" }],
	flags: [
		{
			name: "--as",
			value: "FORM",
			choices: ["folder", "oci-layout", "oci-archive"],
			summary: "default oci-archive for a PATH that ends in .tar, else folder",
		},
		jsonFlag,
	],
	examples: [
		{ command: "vouch image export app app.tar", says: "One file to carry away:" },
		{ command: "vouch image export app ./app-image", says: "The parts, to look at:" },
	],
	load: async () => (await import("./image-transfer.ts")).imageExportAction,
};

export const imageImportRow: CommandRow = {
	path: ["image", "import"],
	summary: "take in an image that was exported",
	description: `Takes in what \`vouch image export\` wrote, or another program copied out of a registry. All of it is checked before anything is
kept.`,
	operands: [
		{ name: "path", summary: "a folder, an OCI layout, or a tar of one", presence: "required", completes: "file" },
	],
	flags: [
		{ name: "--name", value: "NAME", summary: "call it this; default its name in the layout, or that of the path" },
		{ ...platformFlag, summary: "only this one of several" },
		jsonFlag,
	],
	examples: [{ command: "vouch image import app.tar", says: "From a file:" }],
	load: async () => (await import("./image-transfer.ts")).imageImportAction,
};
