import type { CommandRow, Flag } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { imageOperand } from "./image.row.ts";

const PLATFORMS = ["linux/amd64", "linux/arm64", "linux/riscv64"] as const;
export const platformFlag: Flag = {
	name: "--platform",
	value: "PLATFORM",
	choices: PLATFORMS,
	summary: "for this kind of machine; default this one's",
};

const quietFlag: Flag = { name: "--quiet", short: "-q", summary: "print the digest and nothing else" };

export const imageBuildRow: CommandRow = {
	path: ["image", "build"],
	summary: "build a verifiable image from a Dockerfile, a folder, a tar or a registry",
	description: `Builds SOURCE into an image: one read-only disk with a dm-verity hash tree, a kernel, an initramfs, an SBOM and provenance.
SOURCE is a folder with a Dockerfile, a root file system (folder or tar), an OCI layout, a docker-archive, a registry
reference, or debian:SUITE. The same source and pins give the same digest on every machine; with nothing changed nothing is done.
A vouch-image.yaml beside the source may say what the flags say. Exits 0, 125 when it can't be built, 130 when cancelled.`,
	operands: [
		{
			name: "source",
			summary: "what to build from; default the current folder",
			presence: "optional",
			completes: "file",
		},
	],
	flags: [
		{ name: "--name", value: "NAME", summary: "call it this; default the name of the source" },
		platformFlag,
		{
			name: "--format",
			value: "FORMAT",
			choices: ["erofs", "squashfs", "squashfs-uncompressed"],
			summary: "how the disk is packed",
		},
		{
			name: "--kind",
			value: "KIND",
			choices: ["dockerfile", "folder", "tar", "oci-layout", "oci-archive", "docker-archive", "registry", "debian"],
			summary: "what SOURCE is, when that can't be seen",
		},
		{ name: "--packages", value: "NAMES", repeats: "repeats", summary: "Debian packages besides, with commas between" },
		{ name: "--snapshot", value: "TIME", summary: "Debian packages as of then, e.g. 20260901T000000Z" },
		{ name: "--build-arg", value: "NAME=VALUE", repeats: "repeats", summary: "an ARG of the Dockerfile" },
		{ name: "--target", value: "STAGE", summary: "stop at this stage of the Dockerfile" },
		{
			name: "--network",
			value: "WHAT",
			choices: ["none", "host"],
			summary: "what RUN lines of the Dockerfile reach; default none",
		},
		{ name: "--epoch", value: "SECONDS", summary: "time of every file, in seconds since 1970; default 1980-01-01" },
		{ name: "--update", summary: "look for newer packages and bases, instead of those remembered" },
		{ name: "--lock", summary: "write vouch-image.lock; always done beside a vouch-image.yaml" },
		quietFlag,
		jsonFlag,
	],
	examples: [
		{ command: "vouch image build ./app", says: "The folder app with its Dockerfile, as the image app:" },
		{ command: "vouch image build ./app --platform linux/riscv64", says: "The same for another kind of machine:" },
		{
			command: "vouch image build debian:bookworm --packages python3,git --name tools",
			says: "Debian with two packages:",
		},
	],
	load: async () => (await import("./image-build.ts")).imageBuildAction,
};

export const imageRebuildRow: CommandRow = {
	path: ["image", "rebuild"],
	summary: "build an image again from its recorded inputs, and compare",
	description: `Takes the inputs that the image's provenance records, builds again beside it, and says: identical, or which file differs
and why. Exits 0 when identical, 1 when not, 125 when it can't be built again; 130 when cancelled.`,
	operands: [imageOperand],
	flags: [
		{
			name: "--source",
			value: "SOURCE",
			completes: "file",
			summary: "where its source is, when this machine did not build it",
		},
		jsonFlag,
	],
	examples: [
		{ command: "vouch image rebuild app", says: "Is it what its provenance says?" },
		{ command: "vouch image rebuild app --source ./app", says: "One that was pulled, from a clone of its source:" },
	],
	load: async () => (await import("./image-rebuild.ts")).imageRebuildAction,
};

export const imageDiffRow: CommandRow = {
	path: ["image", "diff"],
	summary: "compare two images: files, sizes, kernel, command line, root hash",
	description:
		"Says in what A and B differ, file by file. Exits 0 when they are the same image, 1 when not, as diff(1) does.",
	operands: [
		{ ...imageOperand, name: "a" },
		{ ...imageOperand, name: "b" },
	],
	flags: [jsonFlag],
	examples: [{ command: "vouch image diff app sha256:3f1a9c2e", says: "With an earlier build:" }],
	load: async () => (await import("./image-rebuild.ts")).imageDiffAction,
};
