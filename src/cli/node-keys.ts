import { join } from "node:path";
import { type KeyStore, openKeyStore } from "../journal/index.ts";
import { type Directories, ownDirectories, privateDirectory } from "./directories.ts";

export { ownDirectories, privateDirectory } from "./directories.ts";

/** This node's keys; made on first use. By itself so that checking a receipt loads nothing of what runs commands. */
export function nodeKeys(directories: Directories = ownDirectories()): KeyStore {
	return openKeyStore(join(privateDirectory(directories.data), "keys"));
}
