import type { Readable } from "node:stream";
import type { z } from "zod";
import { STREAMS } from "../../api/conduits/schema.ts";
import type { directiveSchema } from "../../api/people/schema.ts";
import { agingBlobs } from "../blobs/aging.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { jsonOf, timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import type { Directive } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import { personOf } from "./create.ts";
import { artifactPatternsOf, imageOf } from "./workload.ts";

type Shown = z.input<typeof directiveSchema>;
type ListQuery = Parameters<Handlers["directives.list"]>[1]["query"];

function shownDirective(row: Directive): Shown {
	return {
		id: row.id,
		facility_id: row.facility_id,
		state: row.state as "queued",
		command: row.command,
		shell: row.shell,
		cwd: row.cwd,
		sandbox_profile: row.sandbox_profile,
		image: imageOf(row),
		artifacts: [...artifactPatternsOf(row)],
		exit_code: row.exit_code,
		finished_status: row.finished_status as "failed" | null,
		end_reason: row.end_reason,
		territory_id: row.territory_id,
		requested_by_user_id: row.requested_by_user_id,
		approved_by_user_id: row.approved_by_user_id,
		priority: row.priority,
		attempts: row.attempts,
		max_attempts: row.max_attempts,
		timeout_seconds: row.timeout_seconds,
		workload_digest: row.workload_digest as Shown["workload_digest"],
		receipt_digest: row.receipt_digest as Shown["receipt_digest"],
		approval_reasons: jsonOf(row.approval_reasons),
		cancel_requested_at: timeOf(row.cancel_requested_at),
		stdout_bytes: row.stdout_bytes,
		stderr_bytes: row.stderr_bytes,
		stdout_truncated: row.stdout_truncated === 1,
		stderr_truncated: row.stderr_truncated === 1,
		diff_truncated: row.diff_truncated === 1,
		has_diff: row.diff_digest !== null,
		started_at: timeOf(row.started_at),
		finished_at: timeOf(row.finished_at),
		created_at: timeOf(row.created_at),
		updated_at: timeOf(row.updated_at),
	};
}

/** A directive of the caller's account, by its id and, where the path has one, its facility. */
export async function findDirective(
	{ db }: Session,
	{ identity }: Pick<Context, "identity">,
	path: { readonly directive_id: string; readonly facility_id?: string },
): Promise<Directive> {
	const row = await db
		.selectFrom("directives")
		.selectAll()
		.where("id", "=", path.directive_id)
		.where("account_id", "=", personOf(identity).accountId)
		.$if(path.facility_id !== undefined, (found) => found.where("facility_id", "=", path.facility_id ?? ""))
		.executeTakeFirst();
	if (row === undefined) throw refusal("not-found", { kind: "directive", id: path.directive_id });
	return row;
}

async function list({ identity, store }: Context, query: ListQuery, facilityId: string | undefined) {
	return store.read(async ({ db }) => {
		const filters = { ...query, facility_id: facilityId ?? query.facility_id };
		const after = afterId(query);
		let rows = db.selectFrom("directives").selectAll().where("account_id", "=", personOf(identity).accountId);
		for (const column of ["state", "facility_id", "territory_id", "requested_by_user_id"] as const) {
			const value = filters[column];
			if (value !== undefined) rows = rows.where(column, "=", value);
		}
		if (after !== undefined) rows = rows.where("id", "<", after);
		const found = await rows
			.orderBy("id", "desc")
			.limit(query.limit + 1)
			.execute();
		const page = pageOfRows(found, query, ({ id }) => id);
		const body = { directives: page.rows.map(shownDirective), next_cursor: page.next_cursor };
		return { status: 200 as const, body };
	});
}

const MOST_CHUNKS = 500;

/** Conduits section 2.5.4. */
const logChunks: Handlers["directives.logChunks"] = (context, { path, query }) =>
	context.store.read(async (session) => {
		const directive = await findDirective(session, context, path);
		const stream = STREAMS.find((one) => one === query.stream);
		if (stream === undefined) throw refusal("invalid-stream");
		const afterSeq = wholeNumber(query.after_seq, -1);
		if (afterSeq === undefined || afterSeq < -1) throw refusal("invalid-after-seq");
		const asked = wholeNumber(query.limit, 200);
		if (asked === undefined || asked < 1) throw refusal("invalid-limit");
		const limit = Math.min(asked, MOST_CHUNKS);
		const chunks = await session.db
			.selectFrom("log_chunks")
			.selectAll()
			.where("directive_id", "=", directive.id)
			.where("stream", "=", stream)
			.where("seq", ">", afterSeq)
			.orderBy("seq")
			.limit(limit)
			.execute();
		const body = {
			directive_id: directive.id,
			facility_id: directive.facility_id,
			stream,
			after_seq: afterSeq,
			limit,
			chunks: chunks.map((chunk) => ({
				seq: chunk.seq,
				bytes_base64: Buffer.from(chunk.bytes).toString("base64"),
				bytesize: chunk.bytesize,
				truncated: chunk.truncated === 1,
				created_at: timeOf(chunk.created_at),
			})),
			next_after_seq: chunks.at(-1)?.seq ?? afterSeq,
			stdout_truncated: directive.stdout_truncated === 1,
			stderr_truncated: directive.stderr_truncated === 1,
		};
		return { status: 200, body };
	});

function wholeNumber(text: string | undefined, otherwise: number): number | undefined {
	if (text === undefined) return otherwise;
	return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}

export function directivePeopleHandlers({ blobs }: Services) {
	const aging = agingBlobs(blobs);
	/** Those of a version before are among the blobs that stay. */
	const diffs = { open: async (digest: string) => (await aging.open(digest)) ?? blobs.open(digest) };
	const blobOf = async (
		place: Pick<BlobStore, "open">,
		digest: string | null,
		kind: string,
		id: string,
	): Promise<Readable> => {
		const blob = digest === null ? undefined : await place.open(digest.replace(/^sha256:/, ""));
		if (blob === undefined) throw refusal("not-found", { kind, id });
		return blob.stream;
	};
	return {
		"directives.list": (context, { query }) => list(context, query, undefined),
		"directives.listInFacility": async (context, { path, query }) => {
			const { accountId } = personOf(context.identity);
			const facility = await context.store.read(({ db }) =>
				db
					.selectFrom("facilities")
					.select("id")
					.where("id", "=", path.facility_id)
					.where("account_id", "=", accountId)
					.executeTakeFirst(),
			);
			if (facility === undefined) throw refusal("not-found", { kind: "facility", id: path.facility_id });
			return list(context, query, facility.id);
		},
		"directives.show": (context, { path }) =>
			context.store.read(async (session) => {
				return { status: 200, body: shownDirective(await findDirective(session, context, path)) };
			}),
		"directives.showInFacility": (context, { path }) =>
			context.store.read(async (session) => {
				return { status: 200, body: shownDirective(await findDirective(session, context, path)) };
			}),
		"directives.logChunks": logChunks,
		"directives.diff": async (context, { path }) => {
			const directive = await context.store.read((session) => findDirective(session, context, path));
			const stream = await blobOf(diffs, directive.diff_digest, "diff of directive", directive.id);
			const headers = { "content-disposition": 'attachment; filename="diff.patch"' };
			return { status: 200, contentType: "text/x-diff; charset=utf-8", headers, stream };
		},
		"directives.receipt": async (context, { path }) => {
			const directive = await context.store.read((session) => findDirective(session, context, path));
			const stream = await blobOf(blobs, directive.receipt_digest, "receipt of directive", directive.id);
			return { status: 200, contentType: "application/vnd.vouch.receipt.v1+json", stream };
		},
	} as const satisfies Partial<Handlers>;
}
