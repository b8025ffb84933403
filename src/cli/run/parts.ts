import { join } from "node:path";
import { systemClock } from "../../core/index.ts";
import type { Journal, KeyStore } from "../../journal/index.ts";
import { type ConductParts, type ImageRoot, RunRecords } from "../../runtime/index.ts";
import { type Directories, ownDirectories, privateDirectory } from "../directories.ts";
import { programVersion } from "../version.ts";
import { type Machine, realMachine } from "./machine.ts";

/** The real parts that commands are wired with. Made once per process; nothing below cli/ finds them by itself. */
export interface Parts extends ConductParts {
	readonly directories: Directories;
	readonly records: RunRecords;
	/** See `Machine`. */
	offerImage(image: ImageRoot | undefined): void;
	/** Loaded and opened when first needed: listing runs makes no key, and a run loads them while its sandbox is made. */
	keys(): Promise<KeyStore>;
	journal(): Promise<Journal>;
}

export function realParts(machine: Machine = realMachine()): Parts {
	const directories = ownDirectories();
	let keys: Promise<KeyStore> | undefined;
	let journal: Promise<Journal> | undefined;
	const parts: Parts = {
		clock: systemClock,
		...machine,
		directories,
		version: programVersion,
		records: new RunRecords(join(directories.data, "runs")),
		keys: () => {
			keys ??= import("../node-keys.ts").then(({ nodeKeys }) => nodeKeys(directories));
			return keys;
		},
		journal: () => {
			journal ??= ownJournal(directories, parts.keys());
			return journal;
		},
	};
	return parts;
}

async function ownJournal({ data }: Directories, keys: Promise<KeyStore>): Promise<Journal> {
	const { openJournal } = await import("../../journal/index.ts");
	return openJournal(join(privateDirectory(data), "journal"), await keys);
}
