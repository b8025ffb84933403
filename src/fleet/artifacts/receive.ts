import { createHash } from "node:crypto";
import type { z } from "zod";
import { ARTIFACT_PIECE_BYTES, type artifactPieceResponseSchema } from "../../api/conduits/schema.ts";
import { artifactMatcher, bytesFromBase64, hexOfDigest, newId } from "../../core/index.ts";
import { ARTIFACT_LIMITS } from "../../runtime/schema.ts";
import { agingBlobs, putAging } from "../blobs/aging.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { heldDirective, holderOf } from "../directives/held.ts";
import { artifactPatternsOf } from "../directives/workload.ts";
import { noteEvent } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import type { Services } from "../services.ts";
import type { Directive } from "../store/queue.ts";
import type { Session, Store } from "../store/store.ts";
import type { ArtifactRow } from "../store/tables.ts";
import { artifactsOf, dropArtifacts, isWhole, namePiece, piecesOf } from "./stored.ts";

type Piece = Parameters<Handlers["nodes.artifact"]>[1]["body"];
type Body = z.input<typeof artifactPieceResponseSchema>;

/**
 * Takes files of a running directive, piece by piece in their order, each once: those that its workload asks for, as many as a run may
 * hand over. A file is there when its last piece has come and all of them are what its digest names.
 */
export function receiveArtifact({ blobs }: Services): Handlers["nodes.artifact"] {
	return async ({ identity, store }, { body: piece }) => {
		const bytes = bytesOf(piece);
		await store.transaction(async (session) => mustBeWanted(await heldDirective(session, identity), piece));
		if (piece.offset + bytes.length === piece.size_bytes)
			await mustBeWhole(store, holderOf(identity).directiveId, piece, bytes, agingBlobs(blobs));
		const stored = { digest: await putAging(store, blobs, bytes), bytes: bytes.length };
		const body = await store.transaction(async (session) => {
			const directive = await heldDirective(session, identity);
			mustBeWanted(directive, piece);
			return keep(session, directive, piece, stored);
		});
		return { status: 200, body };
	};
}

function problem(text: string): Error {
	return refusal("invalid-param", { what: "artifacts", problem: text });
}

function conflict({ id }: Pick<Directive, "id">, reason: string): Error {
	return refusal("invalid-state", { what: `An artifact of ${id}`, reason });
}

function bytesOf({ bytes: text, offset, size_bytes }: Piece): Uint8Array {
	if (offset % ARTIFACT_PIECE_BYTES !== 0 || offset > size_bytes) throw problem("no piece begins at that offset");
	const bytes = bytesFromBase64(text);
	if (bytes === undefined) throw problem("bytes is not padded base64");
	const expected = Math.min(ARTIFACT_PIECE_BYTES, size_bytes - offset);
	if (bytes.length !== expected) throw problem(`the piece at ${offset} has ${expected} bytes, not ${bytes.length}`);
	return bytes;
}

/** What its pieces are together is looked at before the last one is taken; when it is something else, none of them is kept. */
async function mustBeWhole(
	store: Store,
	directiveId: string,
	piece: Piece,
	last: Uint8Array,
	pieces: BlobStore,
): Promise<void> {
	const earlier = await store.read((session) => earlierPieces(session, directiveId, piece));
	if (earlier === undefined) throw conflict({ id: directiveId }, "pieces before this one are missing");
	const hash = createHash("sha256");
	for (const digest of earlier) for await (const part of (await pieces.open(digest))?.stream ?? []) hash.update(part);
	if (hash.update(last).digest("hex") === hexOfDigest(piece.digest)) return;
	await store.transaction((session) => forget(session, directiveId, piece));
	throw problem(`the bytes of ${piece.name} are not what its digest names`);
}

/** Undefined when there are not as many as the piece says. */
async function earlierPieces(
	session: Session,
	directiveId: string,
	{ name, digest, offset }: Piece,
): Promise<readonly string[] | undefined> {
	const [found] = await artifactsOf(session, directiveId, name);
	const digests = found?.digest === digest ? await piecesOf(session, found.id) : [];
	const before = digests.slice(0, offset / ARTIFACT_PIECE_BYTES);
	return before.length * ARTIFACT_PIECE_BYTES === offset ? before : undefined;
}

async function forget(session: Session, directiveId: string, { name, digest }: Piece): Promise<void> {
	const found = await artifactsOf(session, directiveId, name);
	const begun = found.filter((row) => row.digest === digest && !isWhole(row));
	await dropArtifacts(session, begun);
}

function mustBeWanted(directive: Directive, { name }: Piece): void {
	if (directive.state !== "running") throw conflict(directive, `it is ${directive.state}`);
	if (!artifactMatcher(artifactPatternsOf(directive))(name)) throw problem(`nobody asked for ${name}`);
}

async function keep(
	session: Session,
	directive: Directive,
	piece: Piece,
	stored: { readonly digest: string; readonly bytes: number },
): Promise<Body> {
	const artifact = await begunArtifact(session, directive, piece);
	const answer = { ok: true, directive_id: directive.id, artifact_id: artifact.id } as const;
	const { received_bytes, size_bytes } = artifact;
	const known = (await piecesOf(session, artifact.id))[piece.offset / ARTIFACT_PIECE_BYTES];
	if (known !== undefined || (size_bytes === 0 && artifact.begun === "before")) {
		if (known !== undefined && known !== stored.digest) throw problem(`the piece at ${piece.offset} was another`);
		return { ...answer, received_bytes, complete: received_bytes === size_bytes, duplicate: true };
	}
	if (piece.offset !== received_bytes) throw conflict(directive, `the next piece begins at ${received_bytes}`);
	if (stored.bytes > 0) await namePiece(session, artifact, piece.offset / ARTIFACT_PIECE_BYTES, stored);
	const received = received_bytes + stored.bytes;
	if (received === size_bytes) await noteWhole(session, directive, piece);
	return { ...answer, received_bytes: received, complete: received === size_bytes, duplicate: false };
}

/** One attempt's files are not another's: what an earlier lease handed over goes when the next one hands over something. */
async function begunArtifact(
	session: Session,
	directive: Directive,
	{ name, digest, size_bytes, offset }: Piece,
): Promise<ArtifactRow & { readonly begun: "before" | "now" }> {
	const all = await artifactsOf(session, directive.id);
	const current = all.filter(({ lease_id }) => lease_id === directive.lease_id);
	await dropArtifacts(
		session,
		all.filter((row) => !current.includes(row)),
	);
	const known = current.find((row) => row.name === name);
	if (known !== undefined) {
		if (known.digest === digest && known.size_bytes === size_bytes) return { ...known, begun: "before" };
		throw conflict(directive, `another file of the name ${name} was handed over`);
	}
	if (offset !== 0) throw conflict(directive, "the next piece begins at 0");
	const { files, bytes: most } = ARTIFACT_LIMITS;
	if (current.length >= files) throw conflict(directive, `it has handed over ${files} files already`);
	if (current.reduce((sum, row) => sum + row.size_bytes, size_bytes) > most)
		throw conflict(directive, `all that it hands over may have ${most} bytes`);
	const { nowMs } = session;
	const about = { directive_id: directive.id, lease_id: directive.lease_id, name, digest, size_bytes };
	const row: ArtifactRow = { id: newId(nowMs), ...about, received_bytes: 0, created_at: nowMs };
	await session.db.insertInto("artifacts").values(row).execute();
	return { ...row, begun: "now" };
}

function noteWhole(session: Session, directive: Directive, { name, digest, size_bytes }: Piece): Promise<void> {
	const about = { accountId: directive.account_id, territoryId: directive.territory_id, directiveId: directive.id };
	return noteEvent(session, { ...about, type: "directive.artifact_stored", payload: { name, digest, size_bytes } });
}
