import type { BlobStore } from "../blobs/blob-store.ts";
import type { Store } from "../store/store.ts";
import { dropArtifacts, piecesBelow } from "./stored.ts";

const DAY_MS = 86_400_000;
/** As output is kept. */
const KEPT_DAYS = 30;
/** Others wait for a transaction no longer than so many take. */
const BATCH = 20;

/** Removes artifacts that nobody needs any more, and their blobs. */
export async function removeOldArtifacts(store: Store, blobs: BlobStore): Promise<void> {
	const pieces = piecesBelow(blobs);
	for (let removed = BATCH; removed === BATCH; ) {
		removed = await store.transaction(async (session) => {
			const old = session.db
				.selectFrom("artifacts")
				.select("id")
				.where("created_at", "<", session.nowMs - KEPT_DAYS * DAY_MS)
				.orderBy("created_at")
				.limit(BATCH);
			const rows = await (session.kind === "postgres" ? old.forUpdate().skipLocked() : old).execute();
			await dropArtifacts(session, rows, pieces);
			return rows.length;
		});
	}
}
