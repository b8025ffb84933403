import type { z } from "zod";
import { VouchError } from "../../core/index.ts";
import type { logEventSchema } from "../people/schema.ts";
import type { CallOptions, Client, List } from "./types.ts";

export type LogEvent = z.output<typeof logEventSchema>;

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;
/** A control plane may be away for as long as it takes to put a newer one there. */
const PATIENCE_MS = 10 * 60_000;

export interface FollowOptions {
	readonly signal?: AbortSignal;
	/** Told when a connection was lost and is made again; once until something is heard. */
	readonly onLost?: (error: VouchError) => void;
}

/**
 * Output of a directive as it comes, each chunk once and in order, until the directive has ended. A connection that is lost is made
 * again, from where it was lost. Ends early only when `signal` aborts, the server refuses, or nobody answers for ten minutes.
 */
export async function* followLogs(
	client: Pick<Client, "directives">,
	directiveId: string,
	{ signal, onLost }: FollowOptions = {},
): AsyncGenerator<LogEvent> {
	const seen = { stdout: -1, stderr: -1 };
	let pauseMs = FIRST_PAUSE_MS;
	let lostAt: number | undefined;
	let state: string | undefined;
	while (signal?.aborted !== true) {
		const at = { after_stdout_seq: seen.stdout, after_stderr_seq: seen.stderr };
		const given = { directive_id: directiveId, ...at };
		try {
			for await (const event of client.directives.tail(given, signal === undefined ? {} : { signal })) {
				pauseMs = FIRST_PAUSE_MS;
				lostAt = undefined;
				if (event.event === "chunk") seen[event.stream] = event.seq;
				// Told at the beginning of every connection.
				if (event.event === "state" && event.state === state) continue;
				if (event.event === "state") state = event.state;
				yield event;
				if (event.event === "end") return;
			}
		} catch (error) {
			if (isAborted(signal)) return;
			if (!(error instanceof VouchError) || error.row.retry !== "safe") throw error;
			if (lostAt === undefined) onLost?.(error);
			lostAt ??= Date.now();
			if (Date.now() - lostAt > PATIENCE_MS) throw error;
		}
		await new Promise((resolve) => setTimeout(resolve, pauseMs));
		pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
	}
}

/** It may have changed since the loop began. */
function isAborted(signal: AbortSignal | undefined): boolean {
	return signal?.aborted === true;
}

/** Every page of a list, one after the other: `everyPage(client.directives.list, { state: "queued" })`. */
export async function* everyPage<Query, Page extends { readonly next_cursor: string | null }>(
	list: List<Query, Page>,
	given: Query,
	options: CallOptions = {},
): AsyncGenerator<Page> {
	for (let cursor: string | null | undefined; cursor !== null; ) {
		const page: Page = await list({ ...given, ...(cursor === undefined ? {} : { cursor }) }, options);
		yield page;
		cursor = page.next_cursor;
	}
}
