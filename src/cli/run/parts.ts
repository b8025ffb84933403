import { join } from "node:path";
import { type Clock, systemClock } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import { type Journal, type KeyStore, openJournal } from "../../journal/index.ts";
import type { ImageRoot, Measurements } from "../../runtime/index.ts";
import type { Directories } from "../directories.ts";
import { nodeKeys, ownDirectories, privateDirectory } from "../node-keys.ts";
import { type Machine, realMachine } from "./machine.ts";
import { RunRecords } from "./records.ts";

/** The real parts that commands are wired with. Made once per process; nothing below cli/ finds them by itself. */
export interface Parts {
	readonly clock: Clock;
	readonly host: Host;
	readonly directories: Directories;
	readonly records: RunRecords;
	/** What the drivers find on this machine: looked at once for one command. */
	readonly measured: Measurements;
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
