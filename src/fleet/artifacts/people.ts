import { Readable } from "node:stream";
import type { Digest } from "../../core/index.ts";
import { hexOfDigest } from "../../core/index.ts";
import { agingBlobs } from "../blobs/aging.ts";
import { type BlobStore, checked } from "../blobs/blob-store.ts";
import { blobFailures } from "../blobs/failures.ts";
import { findDirective } from "../directives/people.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import { piecesOf } from "./stored.ts";

/** What people ask of the files that directives handed over. */
export function artifactHandlers({ blobs }: Services) {
	const pieces = agingBlobs(blobs);
	return {
		"directives.artifacts": (context, { path, query }) =>
			context.store.read(async (session) => {
				const { id } = await findDirective(session, context, path);
				const after = afterId(query);
				const found = await session.db
					.selectFrom("artifacts")
					.selectAll()
					.where("directive_id", "=", id)
					.whereRef("received_bytes", "=", "size_bytes")
					.$if(after !== undefined, (rows) => rows.where("id", ">", after ?? ""))
					.orderBy("id")
					.limit(query.limit + 1)
					.execute();
				const page = pageOfRows(found, query, (row) => row.id);
				const artifacts = page.rows.map(({ id, name, size_bytes, digest, created_at }) => {
					return { id, name, size_bytes, digest: digest as Digest, created_at: timeOf(created_at) };
				});
				return { status: 200, body: { artifacts, next_cursor: page.next_cursor } };
			}),
		"directives.artifact": async (context, { path }) => {
			const { artifact, digests } = await context.store.read(async (session) => {
				const { id } = await findDirective(session, context, path);
				const artifact = await session.db
					.selectFrom("artifacts")
					.selectAll()
					.where("id", "=", path.artifact_id)
					.where("directive_id", "=", id)
					.whereRef("received_bytes", "=", "size_bytes")
					.executeTakeFirst();
				if (artifact === undefined) throw refusal("not-found", { kind: "artifact", id: path.artifact_id });
				return { artifact, digests: await piecesOf(session, artifact.id) };
			});
			const { digest, size_bytes, name } = artifact;
			const damaged = () => blobFailures.fail("blob-damaged", { digest, place: `artifact ${artifact.id}` });
			const stream = checked(Readable.from(bytesOf(digests, pieces, damaged)), hexOfDigest(digest as Digest), damaged);
			const file = encodeURIComponent(name.split("/").at(-1) ?? "");
			const headers = {
				"content-length": String(size_bytes),
				"content-disposition": `attachment; filename*=UTF-8''${file}`,
				"x-content-type-options": "nosniff",
			};
			return { status: 200, contentType: "application/octet-stream", headers, stream };
		},
	} as const satisfies Partial<Handlers>;
}

/** One piece after the other, as fast as they are taken; each is looked at by its own digest too. */
async function* bytesOf(digests: readonly string[], pieces: BlobStore, damaged: () => Error): AsyncGenerator<Buffer> {
	for (const digest of digests) {
		const piece = await pieces.open(digest);
		if (piece === undefined) throw damaged();
		yield* piece.stream;
	}
}
