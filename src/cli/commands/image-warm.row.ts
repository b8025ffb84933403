import type { CommandRow } from "../command.ts";
import { jsonFlag } from "../command.ts";
import { imageOperand } from "./image.row.ts";

export const imageWarmRow: CommandRow = {
	path: ["image", "warm"],
	summary: "boot an image once and keep it asleep, for runs that wake it in a fraction of a boot",
	description: `Boots IMAGE with QEMU until its guest waits for a run, and saves the machine asleep in the cache. \`vouch run --isolation vm\` with the
same image, memory and processors wakes it instead of booting. Nothing of any run is in it: each gets its own randomness, time, disks and
name when it wakes.

With \`--keep N\` it stays, until Ctrl-C, and keeps N machines booted: a run that fits takes one that nobody had, which is faster still, and
another is booted in its place.`,
	operands: [imageOperand],
	flags: [
		{
			name: "--memory",
			value: "SIZE",
			summary: "memory of the runs that shall wake from it, e.g. 2G; default as without --memory",
		},
		{ name: "--cpus", value: "N", summary: "processor cores of those runs, e.g. 2" },
		{ name: "--machine", value: "KIND", choices: ["microvm", "q35"], summary: "which machine QEMU makes" },
		{ name: "--keep", value: "N", summary: "stay, and keep so many machines booted, at most 64" },
		jsonFlag,
	],
	examples: [
		{ command: "vouch image warm app --keep 2", says: "Two machines that runs can take at once:" },
		{ command: "vouch image warm app --memory 2G", says: "For runs with --memory 2G:" },
	],
	load: async () => (await import("./image-warm.ts")).imageWarmAction,
};
