import type { Session } from "../store/store.ts";
import type { ArtifactRow } from "../store/tables.ts";

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

/** Its next piece, whose bytes are there already. */
export async function namePiece(
	{ db }: Session,
	{ id, received_bytes }: ArtifactRow,
	position: number,
	piece: { readonly digest: string; readonly bytes: number },
): Promise<void> {
	await db.insertInto("artifact_pieces").values({ artifact_id: id, position, digest: piece.digest }).execute();
	await db
		.updateTable("artifacts")
		.set({ received_bytes: received_bytes + piece.bytes })
		.where("id", "=", id)
		.execute();
}

/** Their bytes go when they are old. */
export async function dropArtifacts({ db }: Session, artifacts: readonly Pick<ArtifactRow, "id">[]): Promise<void> {
	if (artifacts.length === 0) return;
	const ids = artifacts.map(({ id }) => id);
	await db.deleteFrom("artifact_pieces").where("artifact_id", "in", ids).execute();
	await db.deleteFrom("artifacts").where("id", "in", ids).execute();
}
