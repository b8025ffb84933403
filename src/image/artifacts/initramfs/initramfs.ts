import type { KernelModule } from "../kernel/index.ts";
import { type ArchiveEntry, writeArchive } from "./newc.ts";

export interface InitramfsParts {
	/** The guest program, which becomes process 1. */
	readonly guest: Uint8Array;
	/** In the order that they are to be loaded in. */
	readonly modules: readonly KernelModule[];
}

const FOLDERS = ["dev", "modules", "proc", "root", "run", "sys"];
/** They become names of files and lines of a list; the guest takes 255 bytes. */
const MODULE_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,200}\.ko$/;

/** Pure and deterministic. A module's name must be that of a file and occur once. */
export function writeInitramfs({ guest, modules }: InitramfsParts): Uint8Array {
	const names = modules.map(({ name }) => name);
	const wrong = names.find((name, index) => !MODULE_NAME.test(name) || names.indexOf(name) !== index);
	if (wrong !== undefined) throw new TypeError(`${JSON.stringify(wrong)} is no module's name, or occurs twice`);
	const order = names.map((name) => `${name}\n`).join("");
	const entries: readonly ArchiveEntry[] = [
		...FOLDERS.map((path): ArchiveEntry => ({ path, kind: "directory" })),
		{ path: "init", kind: "program", bytes: guest },
		{ path: "modules/order", kind: "file", bytes: Buffer.from(order, "latin1") },
		...modules.map(({ name, bytes }): ArchiveEntry => ({ path: `modules/${name}`, kind: "file", bytes })),
	];
	return writeArchive(entries.toSorted((left, right) => (left.path < right.path ? -1 : 1)));
}
