import { closeSync, copyFileSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { storeFailures } from "./failures.ts";
import { MIGRATIONS } from "./migration.ts";

/** What a backup holds. */
export interface BackupContents {
	readonly path: string;
	readonly schemaVersion: number;
	readonly directives: number;
	readonly auditEvents: number;
}

/**
 * Copies an embedded store into a new file while the server goes on: one moment of it, whole. PostgreSQL has programs of its own
 * for that, which the refusal names. Throws VouchError `backup-not-ours`, `backup-exists`, `backup-unusable`.
 */
export function backupStore(url: string, path: string): BackupContents {
	const source = embeddedPath(url, `pg_dump --format=custom --file=${path} URL`);
	const target = resolve(path);
	if (existsSync(target)) throw storeFailures.fail("backup-exists", { path: target });
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
	durable(target);
	return examine(target);
}

/**
 * Puts a backup in the place of an embedded store that isn't there: it never overwrites one, and the server must not run.
 * Throws VouchError `backup-not-ours`, `backup-exists`, `backup-unusable`.
 */
export function restoreStore(path: string, url: string): BackupContents {
	const target = embeddedPath(url, `pg_restore --exit-on-error --single-transaction --dbname=URL ${path}`);
	for (const file of [target, `${target}-wal`, `${target}-shm`])
		if (existsSync(file)) throw storeFailures.fail("backup-exists", { path: file });
	const contents = examine(resolve(path));
	const unfinished = `${target}.restoring`;
	copyFileSync(resolve(path), unfinished);
	durable(unfinished);
	renameSync(unfinished, target);
	durable(dirname(target));
	return { ...contents, path: target };
}

function embeddedPath(url: string, instead: string): string {
	if (!url.startsWith("sqlite:")) throw storeFailures.fail("backup-not-ours", { instead });
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
