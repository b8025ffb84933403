import { Refusal } from "./source.ts";
import type { DeviceNode } from "./tree.ts";

/** As mem(4) and tty(4) have them: null, zero, full, random, urandom, tty, console, ptmx. They give nothing of a machine. */
const HARMLESS = new Set(["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2"]);

/** Throws Refusal for a device that would be a way into a machine: a disk, its memory. No image needs one. */
export function checkDevice(shown: string, { kind, major, minor }: Pick<DeviceNode, "kind" | "major" | "minor">): void {
	if (kind === "character-device" && HARMLESS.has(`${major}:${minor}`)) return;
	const word = kind === "block-device" ? "block" : "character";
	throw new Refusal(
		shown,
		`it is the ${word} device ${major}:${minor}; an image has null, zero, random, tty and such alone`,
	);
}
