import { Readable } from "node:stream";
import type { z } from "zod";
import { STREAMS } from "../../api/conduits/schema.ts";
import type { logEventSchema } from "../../api/people/schema.ts";
import { findDirective } from "../directives/people.ts";
import { type DirectiveState, isTerminal } from "../directives/states.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import type { Store } from "../store/store.ts";

type LogEvent = z.input<typeof logEventSchema>;
type Seen = Record<(typeof STREAMS)[number], number>;

/** Chunks read in one look, and bytes, of which one chunk may have more: what a slow client costs in memory. */
const MOST_CHUNKS = 100;
const MOST_BYTES = 512 * 1024;
/** A wake-up may be lost: output is looked for this often without one. */
const LOOK_MS = 1000;
/** Proxies close what is silent. */
const COMMENT_MS = 15_000;

/**
 * Output as Server-Sent Events: what is stored, then what comes, until the directive has ended and all of it was sent. Reading is
 * as fast as the client takes it: nothing is buffered for a slow one. Each event's id says what was sent until then; a client that
 * comes again with `Last-Event-ID`, as browsers do by themselves, goes on there.
 */
export const tail: Handlers["directives.tail"] = async (context, { path, query }) => {
	const { store } = context;
	const directive = await store.read((session) => findDirective(session, context, path));
	const asked = { stdout: query.after_stdout_seq, stderr: query.after_stderr_seq };
	const seen = seenOf(context.lastEventId) ?? asked;
	const events = follow(store, directive.id, seen, query.follow ? context.signal : AbortSignal.abort());
	return {
		status: 200,
		contentType: "text/event-stream; charset=utf-8",
		headers: { "cache-control": "no-store", "x-accel-buffering": "no" },
		stream: Readable.from(events, { objectMode: false, highWaterMark: 65_536 }),
	};
};

const EVENT_ID = /^(-1|\d{1,15})\.(-1|\d{1,15})$/;

function eventId({ stdout, stderr }: Readonly<Seen>): string {
	return `${stdout}.${stderr}`;
}

/** Undefined for an id that is none of ours. */
function seenOf(id: string | null): Seen | undefined {
	const [, stdout, stderr] = EVENT_ID.exec(id ?? "") ?? [];
	return stdout === undefined ? undefined : { stdout: Number(stdout), stderr: Number(stderr) };
}

async function* follow(store: Store, directiveId: string, seen: Seen, stop: Context["signal"]): AsyncGenerator<string> {
	const changes = new Changes(store, directiveId);
	let state: DirectiveState | undefined;
	let spokenAt = Date.now();
	try {
		for (;;) {
			const { chunks, directive } = await look(store, directiveId, seen);
			if (directive === undefined) return;
			for (const { stream, seq, bytes, truncated } of chunks) {
				seen[stream as "stdout"] = seq;
				const bytes_base64 = Buffer.from(bytes).toString("base64");
				const chunk = { stream: stream as "stdout", seq, bytes_base64, truncated: truncated === 1 };
				yield event({ event: "chunk", ...chunk }, seen);
			}
			if (directive.state !== state) {
				state = directive.state as DirectiveState;
				yield event({ event: "state", state }, seen);
				spokenAt = Date.now();
			}
			if (chunks.length > 0) {
				spokenAt = Date.now();
				continue;
			}
			if (isTerminal(state)) return yield event({ event: "end", state, exit_code: directive.exit_code }, seen);
			if (stop.aborted) return;
			await changes.next(LOOK_MS, stop);
			if (Date.now() - spokenAt > COMMENT_MS) {
				spokenAt = Date.now();
				yield ": still running\n\n";
			}
		}
	} finally {
		changes.close();
	}
}

async function look(store: Store, directiveId: string, seen: Readonly<Seen>) {
	return store.read(async ({ db }) => {
		// The state first: what is stored after a directive has ended is still read by the next look.
		const directive = await db
			.selectFrom("directives")
			.select(["state", "exit_code"])
			.where("id", "=", directiveId)
			.executeTakeFirst();
		const found = await Promise.all(
			STREAMS.map(async (stream) => {
				const next = db
					.selectFrom("log_chunks")
					.where("directive_id", "=", directiveId)
					.where("stream", "=", stream)
					.where("seq", ">", seen[stream])
					.orderBy("seq");
				const sizes = await next.select(["seq", "bytesize"]).limit(MOST_CHUNKS).execute();
				const last = lastThatFits(sizes);
				if (last === undefined) return [];
				return next.select(["stream", "seq", "bytes", "truncated", "created_at"]).where("seq", "<=", last).execute();
			}),
		);
		return { directive, chunks: found.flat().sort((a, b) => a.created_at - b.created_at) };
	});
}

/** Of the chunks that may be read at once, in any case the first. */
function lastThatFits(sizes: readonly { readonly seq: number; readonly bytesize: number }[]): number | undefined {
	let last: number | undefined;
	let bytes = 0;
	for (const { seq, bytesize } of sizes) {
		bytes += bytesize;
		if (last !== undefined && bytes > MOST_BYTES) break;
		last = seq;
	}
	return last;
}

function event(value: LogEvent, seen: Readonly<Seen>): string {
	return `id: ${eventId(seen)}\nevent: ${value.event}\ndata: ${JSON.stringify(value)}\n\n`;
}

/** Wake-ups about one directive; one that comes while nobody waits is not lost. */
class Changes {
	readonly #stop: () => void;
	#changed = false;
	#wake: (() => void) | undefined;

	constructor(store: Store, directiveId: string) {
		this.#stop = store.onWake((wake) => {
			if (wake.kind !== "directive-changed" || wake.directiveId !== directiveId) return;
			this.#changed = true;
			this.#wake?.();
		});
	}

	async next(timeoutMs: number, stop: AbortSignal): Promise<void> {
		if (!this.#changed && !stop.aborted) {
			const { promise, resolve } = Promise.withResolvers<void>();
			const timer = setTimeout(resolve, timeoutMs);
			const ended = () => resolve();
			stop.addEventListener("abort", ended, { once: true });
			this.#wake = resolve;
			await promise;
			clearTimeout(timer);
			stop.removeEventListener("abort", ended);
			this.#wake = undefined;
		}
		this.#changed = false;
	}

	close(): void {
		this.#stop();
	}
}
