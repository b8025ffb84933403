import { createHash } from "node:crypto";
import type { Store } from "../store/store.ts";
import type { BlobStore } from "./blob-store.ts";

const MEDIA_TYPE = "application/octet-stream";
const DAY_MS = 86_400_000;
/** As output is kept (conduits section 1.12). */
export const KEPT_MS = 30 * DAY_MS;
/** Others wait for a transaction no longer than so many take. */
const BATCH = 50;

/** Diffs and pieces of artifacts: removed when they are old and no row names them. All other blobs are apart from them, and stay. */
export function agingBlobs(blobs: BlobStore): BlobStore {
	return blobs.below("aging");
}

/**
 * Durable when this returns; a row may name it then. Its own row comes first, and is new or young again: who removes old ones either
 * sees that, or is done before the bytes are put.
 */
export async function putAging(store: Store, blobs: BlobStore, bytes: Uint8Array): Promise<string> {
	const digest = createHash("sha256").update(bytes).digest("hex");
	await store.transaction(({ db, nowMs }) =>
		db
			.insertInto("blobs")
			.values({ digest, size_bytes: bytes.length, media_type: MEDIA_TYPE, created_at: nowMs })
			.onConflict((known) => known.column("digest").doUpdateSet({ created_at: nowMs }))
			.execute(),
	);
	return agingBlobs(blobs).put(bytes);
}

/** Removes those that are old and that nothing names. */
export async function removeUnnamed(store: Store, blobs: BlobStore): Promise<void> {
	for (let removed = BATCH; removed === BATCH; ) {
		removed = await store.transaction(async ({ db, kind, nowMs }) => {
			const old = db
				.selectFrom("blobs as b")
				.select("b.digest")
				.where("b.created_at", "<", nowMs - KEPT_MS)
				.where(({ not, exists, selectFrom }) =>
					not(exists(selectFrom("artifact_pieces as p").select("p.digest").whereRef("p.digest", "=", "b.digest"))),
				)
				.where(({ not, exists, selectFrom }) =>
					not(exists(selectFrom("directives as d").select("d.id").whereRef("d.diff_digest", "=", "b.digest"))),
				)
				.orderBy("b.created_at")
				.limit(BATCH);
			const rows = await (kind === "postgres" ? old.forUpdate("b").skipLocked() : old).execute();
			for (const { digest } of rows) {
				await db.deleteFrom("blobs").where("digest", "=", digest).execute();
				await agingBlobs(blobs).remove(digest);
			}
			return rows.length;
		});
	}
}
