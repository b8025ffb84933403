import { join } from "node:path";
import { systemClock } from "../../core/index.ts";
import { type Journal, type KeyStore, openJournal } from "../../journal/index.ts";
import { type ConductParts, type ImageRoot, RunRecords } from "../../runtime/index.ts";
import type { Directories } from "../directories.ts";
import { nodeKeys, ownDirectories, privateDirectory } from "../node-keys.ts";
import { programVersion } from "../version.ts";
import { type Machine, realMachine } from "./machine.ts";

/** The real parts that commands are wired with. Made once per process; nothing below cli/ finds them by itself. */
export interface Parts extends ConductParts {
	readonly directories: Directories;
	readonly records: RunRecords;
	/** See `Machine`. */
	offerImage(image: ImageRoot | undefined): void;
	/** Opened when first needed: listing runs makes no key. */
	keys(): KeyStore;
	journal(): Journal;
}

export function realParts(machine: Machine = realMachine()): Parts {
	const directories = ownDirectories();
	let keys: KeyStore | undefined;
	let journal: Journal | undefined;
	const parts: Parts = {
		clock: systemClock,
		...machine,
		directories,
		version: programVersion,
		records: new RunRecords(join(directories.data, "runs")),
		keys: () => {
			keys ??= nodeKeys(directories);
			return keys;
		},
		journal: () => {
			journal ??= openJournal(join(privateDirectory(directories.data), "journal"), parts.keys());
			return journal;
		},
	};
	return parts;
}
