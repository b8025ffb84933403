import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe } from "node:test";
import { type PostgresCluster, postgresPrograms, startPostgres } from "./postgres-cluster.ts";

/** Where a suite's store is: each call of `fresh` gives the URL of an empty one. */
export interface Databases {
	readonly kind: "sqlite" | "postgres";
	fresh(): string;
}

/** Declares the same suite for SQLite and for PostgreSQL; a machine without PostgreSQL says so. */
export function onBothDatabases(title: string, suite: (databases: Databases) => void): void {
	describe(`${title} (SQLite)`, () => {
		const home = mkdtempSync(join(tmpdir(), "vouch-test-sqlite-"));
		after(() => rmSync(home, { recursive: true, force: true }));
		let files = 0;
		suite({ kind: "sqlite", fresh: () => `sqlite:${join(home, `${++files}.db`)}` });
	});
	const programs = postgresPrograms();
	const skip = "missing" in programs ? programs.missing : false;
	describe(`${title} (PostgreSQL)`, { skip }, () => {
		suite({ kind: "postgres", fresh: () => sharedCluster().database() });
	});
}

/** One for all suites of a test file; it ends with the file's process. */
let cluster: PostgresCluster | undefined;
function sharedCluster(): PostgresCluster {
	if (cluster === undefined) {
		const started = startPostgres();
		process.once("exit", () => started.stop());
		cluster = started;
	}
	return cluster;
}
