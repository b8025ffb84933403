import { exchange } from "./http-exchange.ts";
import { type HeadParse, parseRequestHead, type RequestHead } from "./http-head.ts";
import { type HttpRoute, type Opened, refusalResponse } from "./http-route.ts";
import type { GateLimits } from "./limits.ts";
import { refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

/**
 * Requests of one connection, one after another: each is read whole as far as its head, judged, sent framed by us, and
 * answered before the next one is looked at. So pipelined requests are judged one by one, and nothing that two
 * programs could read in two ways is ever forwarded.
 */
export async function serveHttp(client: Wire, route: HttpRoute, limits: GateLimits): Promise<void> {
	const total = setTimeout(() => client.destroy(), limits.totalMs);
	client.closed.then(() => route.drop());
	let taken: Promise<void> | null = null;
	try {
		for (;;) {
			const read = await readHead(client, limits);
			if (read === null) break;
			if (read.kind === "head" && read.head.method === "CONNECT" && route.connect !== null) {
				taken = route.connect(read.head);
				break;
			}
			const opened = read.kind === "head" ? await route.open(read.head) : route.malformed(read.problem);
			if (opened.kind === "refused") {
				route.drop();
				client.hangUp(refusalResponse(opened.status, opened.refusal), limits.lingerMs);
				break;
			}
			if (read.kind === "head" && !(await answer(client, route, opened, read.head, limits))) break;
		}
	} finally {
		clearTimeout(total);
		route.drop();
		if (taken === null) client.hangUp("", limits.lingerMs);
	}
	await (taken ?? client.closed);
}

/** One request and its response. True when another request may follow on this connection. */
async function answer(
	client: Wire,
	route: HttpRoute,
	opened: Opened,
	head: RequestHead,
	limits: GateLimits,
): Promise<boolean> {
	let outcome = await exchange(client, opened, head, limits);
	if (outcome.kind === "stale") {
		// The server had closed a kept connection before it saw the request: that is no answer, so ask once more.
		route.drop();
		const again = await route.open(head);
		if (again.kind === "refused") outcome = { kind: "failed", status: again.status, refusal: again.refusal };
		else outcome = await exchange(client, { ...again, use: "fresh" }, head, limits);
	}
	if (outcome.kind === "failed" || outcome.kind === "stale") {
		route.drop();
		const refusal = outcome.kind === "failed" ? outcome.refusal : refused("OTHER", "the server closed the connection");
		const status = outcome.kind === "failed" ? outcome.status : 502;
		client.hangUp(refusalResponse(status, refusal), limits.lingerMs);
		return false;
	}
	if (outcome.upstream === "close") route.drop();
	return outcome.client === "keep";
}

type ReadHead =
	| { readonly kind: "head"; readonly head: RequestHead }
	| { readonly kind: "malformed"; readonly problem: string };

/** The next request's head, taken from the wire; null when the client is done or says nothing more. */
async function readHead(client: Wire, limits: GateLimits): Promise<ReadHead | null> {
	let deadline = performance.now() + limits.idleMs;
	if (client.held.length > 0) deadline = performance.now() + limits.headMs;
	for (;;) {
		const parsed: HeadParse<RequestHead> = parseRequestHead(client.held, {
			bytes: limits.headBytes,
			fields: limits.headers,
		});
		if (parsed.state === "head") {
			client.take(parsed.head.length);
			return { kind: "head", head: parsed.head };
		}
		if (parsed.state === "malformed") return { kind: "malformed", problem: parsed.problem };
		const first = client.held.length === 0;
		const arrival = await client.more(deadline - performance.now());
		if (arrival !== "bytes") {
			return client.held.length === 0 ? null : { kind: "malformed", problem: "its head never ended" };
		}
		if (first) deadline = performance.now() + limits.headMs;
	}
}
