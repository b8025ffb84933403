import type { BlobStore } from "../blobs/blob-store.ts";
import type { Session } from "../store/store.ts";
import type { ArtifactRow } from "../store/tables.ts";

const MEDIA_TYPE = "application/vnd.vouch.artifact-piece";

/** Pieces of artifacts are apart from other blobs: they are removed when they are old. */
export function piecesBelow(blobs: BlobStore): BlobStore {
	return blobs.below("artifacts");
}

/** In the order in which they were begun; also what is not whole yet. */
export function artifactsOf({ db }: Session, directiveId: string, name?: string): Promise<ArtifactRow[]> {
	return db
		.selectFrom("artifacts")
		.selectAll()
		.where("directive_id", "=", directiveId)
		.$if(name !== undefined, (found) => found.where("name", "=", name ?? ""))
		.orderBy("id")
		.execute();
}

/** It is there, and is what its digest names. */
export function isWhole({ received_bytes, size_bytes }: ArtifactRow): boolean {
	return received_bytes === size_bytes;
}

/** Names of its blobs, in their order. */
export async function piecesOf({ db }: Session, artifactId: string): Promise<readonly string[]> {
	const rows = await db
		.selectFrom("artifact_pieces")
		.select("digest")
		.where("artifact_id", "=", artifactId)
		.orderBy("position")
		.execute();
	return rows.map(({ digest }) => digest);
}

/** Its next piece: the blob is durable before the row that names it. */
export async function holdPiece(
	session: Session,
	{ id, received_bytes }: ArtifactRow,
	position: number,
	bytes: Uint8Array,
	pieces: BlobStore,
): Promise<void> {
	const { db, nowMs } = session;
	const digest = await pieces.put(bytes);
	// Whoever removes that blob holds the row. When they have it, it is put again.
	await db
		.insertInto("blobs")
		.values({ digest, size_bytes: bytes.length, media_type: MEDIA_TYPE, created_at: nowMs })
		.onConflict((known) => known.column("digest").doUpdateSet({ created_at: nowMs }))
		.execute();
	await pieces.put(bytes);
	await db.insertInto("artifact_pieces").values({ artifact_id: id, position, digest }).execute();
	await db
		.updateTable("artifacts")
		.set({ received_bytes: received_bytes + bytes.length })
		.where("id", "=", id)
		.execute();
}

/** Removes artifacts, and the blobs that no other one has. */
export async function dropArtifacts(
	session: Session,
	artifacts: readonly Pick<ArtifactRow, "id">[],
	pieces: BlobStore,
): Promise<void> {
	if (artifacts.length === 0) return;
	const { db } = session;
	const ids = artifacts.map(({ id }) => id);
	const named = await db.selectFrom("artifact_pieces").select("digest").where("artifact_id", "in", ids).execute();
	await db.deleteFrom("artifact_pieces").where("artifact_id", "in", ids).execute();
	await db.deleteFrom("artifacts").where("id", "in", ids).execute();
	// In one order, so that two who remove the same ones don't wait for each other.
	for (const digest of [...new Set(named.map((row) => row.digest))].sort()) {
		const row = db.selectFrom("blobs").select("digest").where("digest", "=", digest);
		await (session.kind === "postgres" ? row.forUpdate() : row).execute();
		const other = db.selectFrom("artifact_pieces").select("digest").where("digest", "=", digest).limit(1);
		if ((await other.executeTakeFirst()) !== undefined) continue;
		await db.deleteFrom("blobs").where("digest", "=", digest).execute();
		await pieces.remove(digest);
	}
}
