import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import {
	appendToJournal,
	type BackupContents,
	backupStore,
	checkJournal,
	openStore,
	restoreStore,
} from "../../fleet/index.ts";
import { openKeyStore, type SuccessionEntry } from "../../journal/index.ts";
import { fail } from "../failures.ts";

/** Where a control plane keeps what it has. */
export interface ServerPlace {
	/** Keys, CA and blobs. */
	readonly directory: string;
	/** URL of the store. */
	readonly store: string;
}

export interface ServerBackup extends BackupContents {
	readonly journalEntries: number;
}

const STORE = "store.sqlite";
/** Blobs come after the store: those that its rows name are there by then. */
const FOLDERS = ["blobs", "keys", "ca"];

/** Copies everything into a new folder, while the server runs. What is half done is removed. */
export async function backupServer({ directory, store }: ServerPlace, folder: string): Promise<ServerBackup> {
	const target = resolve(folder);
	if (existsSync(target)) throw fail("cli.backup-in-the-way", { path: target });
	mkdirSync(target, { mode: 0o700 });
	try {
		const contents = await backupStore(store, join(target, STORE));
		copyFolders(directory, target);
		return { ...contents, path: target, journalEntries: await journalOf(`sqlite:${join(target, STORE)}`, target) };
	} catch (error) {
		rmSync(target, { recursive: true, force: true });
		throw error;
	}
}

/** Puts a backup where nothing is yet. The journal is checked before anything is written. */
export async function restoreServer(folder: string, { directory, store }: ServerPlace): Promise<ServerBackup> {
	const source = resolve(folder);
	if (!existsSync(join(source, STORE))) throw fail("cli.backup-missing", { path: source });
	for (const name of FOLDERS) {
		const path = join(directory, name);
		if (existsSync(path)) throw fail("cli.backup-in-the-way", { path });
	}
	const journalEntries = await journalOf(`sqlite:${join(source, STORE)}`, source);
	mkdirSync(directory, { recursive: true, mode: 0o700 });
	const contents = await restoreStore(join(source, STORE), store);
	copyFolders(source, directory);
	return { ...contents, journalEntries };
}

/** `cpSync` gives folders the mode that the process's mask leaves. */
function copyFolders(from: string, to: string): void {
	const mask = process.umask(0o077);
	try {
		for (const name of FOLDERS) {
			const path = join(from, name);
			if (existsSync(path)) cpSync(path, join(to, name), { recursive: true, errorOnExist: true, force: false });
		}
	} finally {
		process.umask(mask);
	}
}

/** How many entries the journal of a backup has; throws when they don't fit. */
async function journalOf(url: string, directory: string): Promise<number> {
	const keys = openKeyStore(join(directory, "keys"));
	const store = await openStore(url);
	return store.read((session) => checkJournal(session, keys)).finally(() => store.close());
}

/** The next start signs with the new key. */
export async function rotateServerKey({ directory, store: url }: ServerPlace) {
	const keys = openKeyStore(join(directory, "keys"));
	const before = keys.signer().publicKey;
	const store = await openStore(url);
	try {
		const append = async (entry: SuccessionEntry): Promise<void> => {
			await store.transaction((session) => appendToJournal(session, [entry], keys));
		};
		return { before, after: (await keys.rotateWith(append)).publicKey };
	} finally {
		await store.close();
	}
}
