import { closeSync, copyFileSync, existsSync, fsyncSync, mkdtempSync, openSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { copyRows } from "./copy-rows.ts";
import { storeFailures } from "./failures.ts";
import { MIGRATIONS } from "./migration.ts";
import { openStore } from "./open.ts";

/** What a backup holds. */
export interface BackupContents {
	readonly path: string;
	readonly schemaVersion: number;
	readonly directives: number;
	readonly auditEvents: number;
}

/**
 * Copies a store into a new SQLite file while the server goes on: one moment of it, whole. A store on PostgreSQL becomes one too, so
 * that a backup is the same whatever it was made of. Throws VouchError `backup-exists`, `backup-unusable`, `store-unusable`.
 */
export async function backupStore(url: string, path: string): Promise<BackupContents> {
	const target = resolve(path);
	if (existsSync(target)) throw storeFailures.fail("backup-exists", { path: target });
	if (url.startsWith("sqlite:")) copyFileOf(embeddedPath(url), target);
	else await copyRowsInto(target, url);
	durable(target);
	return examine(target);
}

/**
 * Puts a backup in the place of a store that has nothing: it never overwrites one, and no server must run on it.
 * Throws VouchError `backup-exists`, `backup-unusable`, `store-unusable`.
 */
export async function restoreStore(path: string, url: string): Promise<BackupContents> {
	const contents = examine(resolve(path));
	if (!url.startsWith("sqlite:")) {
		await copyRowsFrom(resolve(path), url);
		return contents;
	}
	const target = embeddedPath(url);
	for (const file of [target, `${target}-wal`, `${target}-shm`])
		if (existsSync(file)) throw storeFailures.fail("backup-exists", { path: file });
	const unfinished = `${target}.restoring`;
	copyFileSync(resolve(path), unfinished);
	durable(unfinished);
	renameSync(unfinished, target);
	durable(dirname(target));
	return { ...contents, path: target };
}

function copyFileOf(source: string, target: string): void {
	if (!existsSync(source))
		throw storeFailures.fail("backup-unusable", { path: source, problem: "there is no such store" });
	const database = new DatabaseSync(source, { readOnly: true, timeout: 30_000 });
	try {
		database.prepare("VACUUM INTO ?").run(target);
	} catch (error) {
		rmSync(target, { force: true });
		throw unusable(source, error);
	} finally {
		database.close();
	}
}

async function copyRowsInto(target: string, url: string): Promise<void> {
	const unfinished = `${target}.unfinished`;
	rmSync(unfinished, { force: true });
	const from = await openStore(url);
	try {
		const to = await openStore(`sqlite:${unfinished}`);
		await copyRows(from, to).finally(() => to.close());
		// The last to close takes the write-ahead log in; one file is left.
		renameSync(unfinished, target);
	} finally {
		await from.close();
		for (const left of ["", "-wal", "-shm"]) rmSync(`${unfinished}${left}`, { force: true });
	}
}

async function copyRowsFrom(path: string, url: string): Promise<void> {
	const to = await openStore(url);
	const scratch = mkdtempSync(join(tmpdir(), "vouch-restore-"));
	try {
		const known = await to.read(({ db }) => db.selectFrom("accounts").select("id").limit(1).executeTakeFirst());
		if (known !== undefined) throw storeFailures.fail("backup-exists", { path: "The store" });
		// Brought to this version first, which is nothing to do to somebody's backup.
		copyFileSync(path, join(scratch, "store"));
		const from = await openStore(`sqlite:${join(scratch, "store")}`);
		await copyRows(from, to).finally(() => from.close());
	} finally {
		await to.close();
		rmSync(scratch, { recursive: true, force: true });
	}
}

function embeddedPath(url: string): string {
	return resolve(url.slice("sqlite:".length));
}

/** Reads a backup through: every page of it fits, and this program knows its version. */
function examine(path: string): BackupContents {
	if (!existsSync(path)) throw storeFailures.fail("backup-unusable", { path, problem: "there is no such file" });
	let database: DatabaseSync | undefined;
	try {
		database = new DatabaseSync(path, { readOnly: true });
		const first = (query: string): unknown => Object.values(database?.prepare(query).get() ?? {})[0];
		const fault = first("PRAGMA integrity_check");
		if (fault !== "ok") throw new Error(String(fault));
		const schemaVersion = Number(first("select max(version) from schema_versions"));
		const newest = MIGRATIONS.at(-1)?.version ?? 0;
		if (schemaVersion > newest) throw new Error(`it is of version ${schemaVersion}, and this program knows ${newest}`);
		const directives = Number(first("select count(*) from directives"));
		return { path, schemaVersion, directives, auditEvents: Number(first("select count(*) from audit_events")) };
	} catch (error) {
		throw unusable(path, error);
	} finally {
		database?.close();
	}
}

function durable(path: string): void {
	const file = openSync(path, "r");
	try {
		fsyncSync(file);
	} finally {
		closeSync(file);
	}
}

function unusable(path: string, error: unknown): Error {
	const problem = error instanceof Error ? error.message : String(error);
	return storeFailures.fail("backup-unusable", { path, problem }, error);
}
