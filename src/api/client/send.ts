import { newId, VouchError } from "../../core/index.ts";
import { type ApiFailure, apiFailures } from "../failures.ts";
import type { Operation } from "../operation.ts";
import { clientFailures } from "./failures.ts";

export interface ClientSettings {
	/** Base URL of a control plane; a path prefix is kept. */
	readonly server: string;
	/** Of `vouch tokens create`; absent for operations that anyone may call. */
	readonly token?: string;
	/** Sent with every request. */
	readonly headers?: Readonly<Record<string, string>>;
	/** How often a request is sent at most when repeating it is harmless. Default 4. */
	readonly attempts?: number;
	/** Until the head of an answer is there; streams then have as long as they take. Default 30 000. */
	readonly timeoutMs?: number;
	/** In place of the platform's own. */
	readonly fetch?: typeof fetch;
}

export interface Sending {
	readonly path: string;
	readonly body: unknown;
	readonly idempotencyKey: string | undefined;
	readonly signal: AbortSignal | undefined;
}

const ATTEMPTS = 4;
const TIMEOUT_MS = 30_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 60_000;
/** Statuses by which proxies say that nobody answered behind them. */
const BEHIND_A_PROXY: ReadonlySet<number> = new Set([502, 503, 504]);
const MAX_ERROR_CHARACTERS = 2000;

/**
 * Sends a request until it is answered. It is repeated when that is harmless: the operation is one, has a key, or was refused
 * before anything was done; after `Retry-After`, or after pauses that double. Throws the refusal as VouchError of its code.
 */
export async function send(settings: ClientSettings, row: Operation, sending: Sending): Promise<Response> {
	const key = row.idempotency === "key" ? (sending.idempotencyKey ?? newId<string>(Date.now())) : undefined;
	const attempts = settings.attempts ?? ATTEMPTS;
	for (let attempt = 1; ; attempt++) {
		const outcome = await once(settings, row, { ...sending, idempotencyKey: key });
		if ("response" in outcome) return outcome.response;
		const { error, pauseMs } = outcome;
		if (attempt >= attempts || !mayRepeat(row, error) || sending.signal?.aborted === true) throw error;
		await pause(pauseMs ?? FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random()), sending.signal);
	}
}

type Outcome = { readonly response: Response } | { readonly error: VouchError; readonly pauseMs: number | undefined };

async function once(settings: ClientSettings, row: Operation, sending: Sending): Promise<Outcome> {
	const what = `${row.method} ${sending.path.split("?", 1)[0]}`;
	const { server } = settings;
	const { timeoutMs = TIMEOUT_MS, fetch: ask = fetch } = settings;
	// The limit ends with the head: a stream may take all day.
	const late = new AbortController();
	const timer = setTimeout(() => late.abort(), timeoutMs);
	try {
		const response = await ask(`${server.replace(/\/+$/, "")}${sending.path}`, {
			method: row.method,
			headers: headersOf(settings, row, sending),
			...(sending.body === undefined ? {} : { body: JSON.stringify(sending.body) }),
			redirect: "error",
			signal: sending.signal === undefined ? late.signal : AbortSignal.any([late.signal, sending.signal]),
		});
		if (response.ok) return { response };
		return { error: await refusalOf(response, what, server), pauseMs: retryAfterMs(response) };
	} catch (error) {
		if (sending.signal?.aborted === true) throw error;
		const problem = late.signal.aborted ? `no answer in ${timeoutMs / 1000} s` : reasonOf(error);
		return { error: clientFailures.fail("client.unreachable", { what, server, problem }, error), pauseMs: undefined };
	} finally {
		clearTimeout(timer);
	}
}

function headersOf({ token, headers }: ClientSettings, row: Operation, sending: Sending): Record<string, string> {
	return {
		accept: row.answersAs === "event-stream" ? "text/event-stream" : "*/*",
		...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
		...(sending.body === undefined ? {} : { "content-type": "application/json" }),
		...(sending.idempotencyKey === undefined ? {} : { "idempotency-key": sending.idempotencyKey }),
		...headers,
	};
}

function mayRepeat(row: Operation, { code, row: { retry } }: VouchError): boolean {
	const isHarmless = row.effect === "read" || row.idempotency !== "none";
	if (code === "client.unreachable" || code === "client.answer-unreadable") return isHarmless && retry !== "never";
	return retry === "safe";
}

/** The refusal that the body tells of, in the server's own words. */
async function refusalOf(response: Response, what: string, server: string): Promise<VouchError> {
	const text = await response.text().catch(() => "");
	const { error, detail, ...members } = objectOf(text);
	const code = String(error ?? "").replaceAll("_", "-");
	if (Object.hasOwn(apiFailures.table, code)) {
		const sentence = plain(typeof detail === "string" ? detail : `${what}: ${code}.`);
		const details = Object.entries(members).map(([name, value]) => [name, plain(listed(value))]);
		return new VouchError(
			{ code, sentence, details: Object.fromEntries(details) },
			apiFailures.table[code as ApiFailure],
		);
	}
	const status = String(response.status);
	if (BEHIND_A_PROXY.has(response.status))
		return clientFailures.fail("client.unreachable", { what, server, problem: `a proxy answered ${status}` });
	return clientFailures.fail("client.answer-unreadable", { what, server, status, problem: "it has no error code" });
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
	try {
		const value: unknown = JSON.parse(text);
		return typeof value === "object" && value !== null ? { ...value } : {};
	} catch {
		return {};
	}
}

function listed(value: unknown): string {
	return Array.isArray(value)
		? value.map(listed).join("; ")
		: typeof value === "string"
			? value
			: JSON.stringify(value);
}

/** Text of a server for a screen: nothing in it moves a cursor. */
function plain(text: string): string {
	return text.slice(0, MAX_ERROR_CHARACTERS).replace(/[\p{Cc}\p{Cf}]+/gu, " ");
}

function retryAfterMs(response: Response): number | undefined {
	const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
	return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, LONGEST_PAUSE_MS) : undefined;
}

/** fetch hides why behind "fetch failed". */
export function reasonOf(error: unknown): string {
	const { cause, message } = error as { cause?: unknown; message?: unknown };
	const { code, message: inner } = (cause ?? {}) as { code?: unknown; message?: unknown };
	if (code === "ECONNREFUSED") return "nobody listens there";
	if (code === "ENOTFOUND") return "there is no such name";
	const said = [inner, message].find((text) => typeof text === "string" && text !== "");
	return plain(String(said ?? code ?? error));
}

function pause(durationMs: number, signal: AbortSignal | undefined): Promise<void> {
	return new Promise((resolve) => {
		const done = () => {
			clearTimeout(timer);
			signal?.removeEventListener("abort", done);
			resolve();
		};
		const timer = setTimeout(done, durationMs);
		signal?.addEventListener("abort", done);
	});
}
