import { STREAMS } from "../../api/conduits/schema.ts";
import { bytesFromBase64 } from "../../core/index.ts";
import { type Holder, heldDirectives, holderOf } from "../directives/held.ts";
import { type DirectiveState, isTerminal } from "../directives/states.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { flagOf, jsonOf } from "../rows.ts";
import { DEFAULT_OUTPUT_BYTES, type Services } from "../services.ts";
import { updateEach } from "../store/bulk.ts";
import type { Directive } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import { together } from "../store/together.ts";

type Stream = (typeof STREAMS)[number];
type Request = Parameters<Handlers["nodes.logChunk"]>[1]["body"];

interface Chunk {
	readonly stream: Stream;
	readonly seq: number;
	readonly bytes: Uint8Array;
	readonly isTruncated: boolean;
}

interface Given {
	readonly holder: Holder;
	readonly body: Request;
}

/** Conduits section 2.3.7: each chunk once, up to what the directive's limit leaves; late ones are welcome. */
export function logChunk({ settings }: Services): Handlers["nodes.logChunk"] {
	const takeEach = together(
		"transaction",
		(session, given: readonly Given[]) => takeAll(session, given, settings.maxLogChunkBytes),
		({ holder }) => holder.directiveId,
	);
	return async ({ identity, store }, { body }) => {
		const holder = holderOf(identity);
		const { stream, seq, ...kept } = await takeEach(store, { holder, body });
		return { status: 200, body: { ok: true, directive_id: holder.directiveId, stream, seq, ...kept } };
	};
}

async function takeAll(session: Session, given: readonly Given[], mostBytes: number) {
	const held = await heldDirectives(
		session,
		given.map(({ holder }) => holder),
	);
	const told = given.map(({ body }, at) => {
		const directive = held[at] as Directive;
		const state = directive.state as DirectiveState;
		if (state !== "running" && !isTerminal(state))
			throw refusal("invalid-state", { what: `Output of ${directive.id}`, reason: `it is ${state}` });
		return { directive, chunk: chunkOf(body, mostBytes) };
	});
	const known = await knownOf(session, told);
	const judged = told.map((one) => ({ ...one, kept: keptOf(one, known) }));
	await keepAll(session, judged);
	for (const { directive } of judged) session.wake({ kind: "directive-changed", directiveId: directive.id });
	return judged.map(({ chunk: { stream, seq }, kept: { bytes, ...kept } }) => {
		return { stream, seq, ...kept, accepted_bytes: bytes.length };
	});
}

interface Told {
	readonly directive: Directive;
	readonly chunk: Chunk;
}

function nameOf({ directive: { id }, chunk: { stream, seq } }: Told): string {
	return `${id} ${stream} ${seq}`;
}

/** Names of those that are there already. */
async function knownOf({ db }: Session, told: readonly Told[]): Promise<ReadonlySet<string>> {
	const rows = await db
		.selectFrom("log_chunks")
		.select(["directive_id", "stream", "seq"])
		.where((is) =>
			is.or(told.map(({ directive, chunk: { stream, seq } }) => is.and({ directive_id: directive.id, stream, seq }))),
		)
		.execute();
	return new Set(rows.map(({ directive_id, stream, seq }) => `${directive_id} ${stream} ${seq}`));
}

interface Kept {
	readonly stored: boolean;
	readonly duplicate: boolean;
	readonly truncated: boolean;
	/** What is kept of it. */
	readonly bytes: Uint8Array;
}

function keptOf(told: Told, known: ReadonlySet<string>): Kept {
	const { directive, chunk } = told;
	if (known.has(nameOf(told)))
		return { stored: false, duplicate: true, truncated: chunk.isTruncated, bytes: new Uint8Array() };
	const most = jsonOf<{ max_output_bytes?: number }>(directive.limits).max_output_bytes || DEFAULT_OUTPUT_BYTES;
	const bytes = chunk.bytes.subarray(0, Math.max(0, most - directive.stdout_bytes - directive.stderr_bytes));
	if (bytes.length === 0) return { stored: false, duplicate: false, truncated: true, bytes };
	return { stored: true, duplicate: false, truncated: chunk.isTruncated || bytes.length < chunk.bytes.length, bytes };
}

interface Judged extends Told {
	readonly kept: Kept;
}

async function keepAll(session: Session, judged: readonly Judged[]): Promise<void> {
	const rows = judged
		.filter(({ kept }) => kept.stored)
		.map(({ directive, chunk: { stream, seq }, kept: { bytes, truncated } }) => ({
			directive_id: directive.id,
			stream,
			seq,
			bytes,
			bytesize: bytes.length,
			truncated: flagOf(truncated),
			created_at: session.nowMs,
		}));
	if (rows.length > 0) await session.db.insertInto("log_chunks").values(rows).execute();
	const updates = judged.map(({ directive, chunk: { stream }, kept: { bytes, truncated } }) => {
		const { stdout_bytes, stderr_bytes, stdout_truncated, stderr_truncated } = directive;
		const values = {
			stdout_bytes,
			stderr_bytes,
			stdout_truncated,
			stderr_truncated,
			[`${stream}_bytes`]: directive[`${stream}_bytes`] + bytes.length,
			[`${stream}_truncated`]: flagOf(directive[`${stream}_truncated`] || truncated),
		};
		return { id: directive.id, values };
	});
	await updateEach(session, "directives", updates);
}

/** Judged in the protocol's order, so that each mistake has its own answer. */
function chunkOf(body: Request, mostBytes: number): Chunk {
	const problem = (text: string) => refusal("invalid-param", { what: "log_chunks", problem: text });
	const stream = STREAMS.find((one) => one === body.stream);
	if (stream === undefined) throw problem("stream is stdout or stderr");
	const { seq, bytes: text } = body;
	if (!Number.isSafeInteger(seq) || (seq as number) < 0) throw problem("seq is a whole number of at least 0");
	if (typeof text !== "string" || text.length % 4 !== 0) throw problem("bytes is padded base64");
	if ((text.length / 4) * 3 > mostBytes + 2) throw problem(`bytes has more than ${mostBytes} bytes`);
	const bytes = bytesFromBase64(text);
	if (bytes === undefined) throw problem("bytes is not base64");
	if (bytes.length > mostBytes) throw problem(`bytes has more than ${mostBytes} bytes`);
	return { stream, seq: seq as number, bytes, isTruncated: body.truncated === true || body.truncated === "true" };
}
