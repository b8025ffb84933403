import { STREAMS } from "../../api/conduits/schema.ts";
import { bytesFromBase64 } from "../../core/index.ts";
import { heldDirective } from "../directives/held.ts";
import { type DirectiveState, isTerminal } from "../directives/states.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { flagOf, jsonOf } from "../rows.ts";
import { DEFAULT_OUTPUT_BYTES, type Services } from "../services.ts";
import type { Directive } from "../store/queue.ts";
import type { Session } from "../store/store.ts";

type Stream = (typeof STREAMS)[number];
type Request = Parameters<Handlers["nodes.logChunk"]>[1]["body"];

interface Chunk {
	readonly stream: Stream;
	readonly seq: number;
	readonly bytes: Uint8Array;
	readonly isTruncated: boolean;
}

interface Kept {
	readonly stored: boolean;
	readonly duplicate: boolean;
	readonly accepted_bytes: number;
	readonly truncated: boolean;
}

/** Conduits section 2.3.7: each chunk once, up to what the directive's limit leaves; late ones are welcome. */
export function logChunk(services: Services): Handlers["nodes.logChunk"] {
	return ({ identity, store }, { body }) =>
		store.transaction(async (session) => {
			const directive = await heldDirective(session, identity);
			const state = directive.state as DirectiveState;
			if (state !== "running" && !isTerminal(state))
				throw refusal("invalid-state", { what: `Output of ${directive.id}`, reason: `it is ${state}` });
			const chunk = chunkOf(body, services.settings.maxLogChunkBytes);
			const kept = await keep(session, directive, chunk);
			session.wake({ kind: "directive-changed", directiveId: directive.id });
			const { stream, seq } = chunk;
			return { status: 200, body: { ok: true, directive_id: directive.id, stream, seq, ...kept } };
		});
}

async function keep(session: Session, directive: Directive, chunk: Chunk): Promise<Kept> {
	const { db } = session;
	const known = await db
		.selectFrom("log_chunks")
		.select("seq")
		.where("directive_id", "=", directive.id)
		.where("stream", "=", chunk.stream)
		.where("seq", "=", chunk.seq)
		.executeTakeFirst();
	if (known !== undefined) {
		if (chunk.isTruncated) await count(session, directive, chunk.stream, 0, true);
		return { stored: false, duplicate: true, accepted_bytes: 0, truncated: chunk.isTruncated };
	}
	const most = jsonOf<{ max_output_bytes?: number }>(directive.limits).max_output_bytes || DEFAULT_OUTPUT_BYTES;
	const bytes = chunk.bytes.subarray(0, Math.max(0, most - directive.stdout_bytes - directive.stderr_bytes));
	if (bytes.length === 0) {
		await count(session, directive, chunk.stream, 0, true);
		return { stored: false, duplicate: false, accepted_bytes: 0, truncated: true };
	}
	const truncated = chunk.isTruncated || bytes.length < chunk.bytes.length;
	await db
		.insertInto("log_chunks")
		.values({
			directive_id: directive.id,
			stream: chunk.stream,
			seq: chunk.seq,
			bytes,
			bytesize: bytes.length,
			truncated: flagOf(truncated),
			created_at: session.nowMs,
		})
		.execute();
	await count(session, directive, chunk.stream, bytes.length, truncated);
	return { stored: true, duplicate: false, accepted_bytes: bytes.length, truncated };
}

async function count(
	session: Session,
	directive: Directive,
	stream: Stream,
	bytes: number,
	truncated: unknown,
): Promise<void> {
	await session.db
		.updateTable("directives")
		.set({
			[`${stream}_bytes`]: directive[`${stream}_bytes`] + bytes,
			[`${stream}_truncated`]: flagOf(directive[`${stream}_truncated`] || truncated),
		})
		.where("id", "=", directive.id)
		.execute();
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
