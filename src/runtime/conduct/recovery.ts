import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runIdSchema } from "../../core/index.ts";
import { drivers } from "../known-drivers.ts";
import type { ConductParts } from "./parts.ts";
import { isOwnerAlive, type RunRecords } from "./records.ts";

/**
 * Ends and removes what runs left behind whose Vouch was killed: processes, mounts, control groups, private folders. Every live
 * run has a private folder, so those are what is looked through, not all the runs there ever were.
 */
export async function recoverInterrupted(parts: ConductParts, records: RunRecords): Promise<void> {
	for (const name of privateFolders(parts.directories.runtime)) {
		const runId = runIdSchema.safeParse(name);
		const record = runId.success ? records.read(runId.data) : undefined;
		if (record === undefined || isOwnerAlive(record)) continue;
		const driver = drivers.find((known) => known.name === record.driver);
		await driver?.recover(record.runId, parts.host, { cacheDirectory: parts.directories.cache });
		rmSync(join(parts.directories.runtime, record.runId), { recursive: true, force: true });
		records.update({ ...record, status: "interrupted" });
	}
}

function privateFolders(directory: string): readonly string[] {
	try {
		return readdirSync(directory);
	} catch {
		return [];
	}
}
