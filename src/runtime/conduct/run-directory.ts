import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { newId, type RunId } from "../../core/index.ts";
import type { ConductParts } from "./parts.ts";

/** Gives work a new run's id and private folder, which is gone when the work is over, however it ended. */
export async function withRunDirectory<T>(
	{ clock, directories }: Pick<ConductParts, "clock" | "directories">,
	work: (runId: RunId, runDirectory: string) => Promise<T>,
): Promise<T> {
	const runId = newId<RunId>(clock.nowMs());
	const runDirectory = join(directories.runtime, runId);
	mkdirSync(runDirectory, { recursive: true, mode: 0o700 });
	try {
		return await work(runId, runDirectory);
	} finally {
		rmSync(runDirectory, { recursive: true, force: true });
	}
}
