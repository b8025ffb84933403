import { KEPT_MS } from "../blobs/aging.ts";
import type { Session, Store } from "../store/store.ts";
import { dropArtifacts } from "./stored.ts";

/** Others wait for a transaction no longer than so many take. */
const BATCH = 50;

/** Forgets artifacts and diffs that nobody needs any more; receipts go on naming their digests. */
export async function forgetOldFiles(store: Store): Promise<void> {
	while ((await store.transaction(forgetArtifacts)) === BATCH);
	while ((await store.transaction(forgetDiffs)) === BATCH);
}

async function forgetArtifacts(session: Session): Promise<number> {
	const { db, kind, nowMs } = session;
	const old = db
		.selectFrom("artifacts")
		.select("id")
		.where("created_at", "<", nowMs - KEPT_MS)
		.orderBy("created_at")
		.limit(BATCH);
	const rows = await (kind === "postgres" ? old.forUpdate().skipLocked() : old).execute();
	await dropArtifacts(session, rows);
	return rows.length;
}

async function forgetDiffs({ db, kind, nowMs }: Session): Promise<number> {
	const old = db
		.selectFrom("directives")
		.select("id")
		.where("diff_digest", "is not", null)
		.where("finished_at", "<", nowMs - KEPT_MS)
		.orderBy("finished_at")
		.limit(BATCH);
	const ids = (await (kind === "postgres" ? old.forUpdate().skipLocked() : old).execute()).map(({ id }) => id);
	if (ids.length > 0) await db.updateTable("directives").set({ diff_digest: null }).where("id", "in", ids).execute();
	return ids.length;
}
