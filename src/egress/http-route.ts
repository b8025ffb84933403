import type { RequestHead } from "./http-head.ts";
import type { RequestTarget } from "./http-judge.ts";
import type { Line } from "./ledger.ts";
import type { Refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

/** Where one judged request may be sent. */
export interface Opened {
	readonly kind: "opened";
	readonly upstream: Wire;
	readonly use: "fresh" | "reused";
	readonly line: Line;
	readonly target: RequestTarget;
}

export interface NotOpened {
	readonly kind: "refused";
	readonly status: RefusalStatus;
	readonly refusal: Refused;
}

export type RefusalStatus = 400 | 403 | 502;

/** What differs between a proxy's requests and those on a stream that goes to one place. */
export interface HttpRoute {
	/** Judges a request and connects for it; enters it in the ledger either way. */
	open(head: RequestHead): Promise<Opened | NotOpened>;
	/** Enters what could not be read as a request. */
	malformed(problem: string): NotOpened;
	/** Takes the whole connection over for CONNECT; null where CONNECT has no meaning. */
	readonly connect: ((head: RequestHead) => Promise<void>) | null;
	/** The upstream can't be used again. */
	drop(): void;
}

const PHRASES: Readonly<Record<RefusalStatus, string>> = { 400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway" };

/** A refusal as HTTP: the code for programs (conduits 9.4), the sentence for people. */
export function refusalResponse(status: RefusalStatus, refusal: Refused): string {
	const body = `egress denied: ${refusal.reason}\n${refusal.detail}\n`;
	return (
		`HTTP/1.1 ${status} ${PHRASES[status]}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n` +
		`X-Proxy-Error: ${refusal.reason}\r\nConnection: close\r\n\r\n${body}`
	);
}

export function refusedRequest(refusal: Refused): NotOpened {
	const status = refusal.reason === "INVALID_DESTINATION" ? 400 : refusal.reason === "OTHER" ? 502 : 403;
	return { kind: "refused", status, refusal };
}

/** `GET /path` for the ledger: the query may hold secrets. */
export function recordRequest(line: Line, head: RequestHead, target: RequestTarget): void {
	line.saw({ httpHost: target.authority, request: `${head.method} ${target.target.split("?", 1)[0] ?? ""}` });
}

/** The kept upstream if it may take another request. Bytes that nobody asked for would become its answer. */
export function usable(upstream: Wire | null | undefined): Wire | null {
	if (upstream === null || upstream === undefined || upstream.isClosed || upstream.ended) return null;
	return upstream.held.length === 0 ? upstream : null;
}
