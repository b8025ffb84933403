import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type KeyStore, openKeyStore } from "../journal/index.ts";
import { type Directories, directoriesFrom } from "./directories.ts";

/** Where this user's things are, by the environment of this process. */
export function ownDirectories(): Directories {
	return directoriesFrom(process.env, process.geteuid?.() ?? 0);
}

/** This node's keys; made on first use. By itself so that checking a receipt loads nothing of what runs commands. */
export function nodeKeys(directories: Directories = ownDirectories()): KeyStore {
	return openKeyStore(join(privateDirectory(directories.data), "keys"));
}

export function privateDirectory(path: string): string {
	mkdirSync(path, { recursive: true, mode: 0o700 });
	return path;
}
