import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../core/index.ts";
import { type Host, realHost } from "../../host/index.ts";
import { type Journal, type KeyStore, openJournal, openKeyStore } from "../../journal/index.ts";
import { type Directories, directoriesFrom } from "../directories.ts";
import { RunRecords } from "./records.ts";

/** The real parts that commands are wired with. Made once per process; nothing below cli/ finds them by itself. */
export interface Parts {
	readonly clock: Clock;
	readonly host: Host;
	readonly directories: Directories;
	readonly records: RunRecords;
	/** Opened when first needed: listing runs makes no key. */
	keys(): KeyStore;
	journal(): Journal;
}

export function realParts(): Parts {
	const host = realHost();
	const directories = directoriesFrom(process.env, host.userId);
	let keys: KeyStore | undefined;
	let journal: Journal | undefined;
	const parts: Parts = {
		clock: systemClock,
		host,
		directories,
		records: new RunRecords(join(directories.data, "runs")),
		keys: () => {
			keys ??= openKeyStore(join(privateDirectory(directories.data), "keys"));
			return keys;
		},
		journal: () => {
			journal ??= openJournal(join(privateDirectory(directories.data), "journal"), parts.keys());
			return journal;
		},
	};
	return parts;
}

export function privateDirectory(path: string): string {
	mkdirSync(path, { recursive: true, mode: 0o700 });
	return path;
}
