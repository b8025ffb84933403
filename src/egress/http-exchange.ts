import { moveBody } from "./body-relay.ts";
import {
	endToEndFields,
	type Framing,
	isWebSocketUpgrade,
	keepsAlive,
	parseResponseHead,
	type RequestHead,
	type ResponseHead,
	textOfHead,
} from "./http-head.ts";
import type { Opened, RefusalStatus } from "./http-route.ts";
import type { GateLimits } from "./limits.ts";
import { type Refused, refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

export type Exchanged =
	| { readonly kind: "answered"; readonly client: "keep" | "close"; readonly upstream: "keep" | "close" }
	/** A reused upstream was gone before it answered anything, and the request can be sent again. */
	| { readonly kind: "stale" }
	/** Nothing was said to the client yet. */
	| { readonly kind: "failed"; readonly status: RefusalStatus; readonly refusal: Refused };

/** Interim responses (1xx) passed on for one request; a server that sends more is broken. */
const MAX_INTERIM = 8;

const CLOSE: Exchanged = { kind: "answered", client: "close", upstream: "close" };

/** Sends one judged request and relays its response. The request's body and the response flow at the same time. */
export async function exchange(
	client: Wire,
	opened: Opened,
	request: RequestHead,
	limits: GateLimits,
): Promise<Exchanged> {
	const { upstream } = opened;
	const before = upstream.bytesIn;
	const upgrade = isWebSocketUpgrade(request.fields) && request.framing.kind === "none";
	upstream.send(requestText(opened, request, upgrade ? "upgrade" : "plain"));
	let bodyDone = request.framing.kind === "none";
	const chunks = request.framing.kind === "chunked" ? "chunks" : "plain";
	let clientFault = "";
	const body = moveBody(client, upstream, request.framing, chunks, limits).then((outcome) => {
		bodyDone = outcome === "done";
		if (outcome === "done") return;
		clientFault = outcome === "malformed" ? "its chunks are malformed" : "it was cut short";
		upstream.destroy();
	});
	const response = await readResponse(client, upstream, limits);
	if (response.kind === "failed") {
		if (clientFault !== "")
			return failed(400, "INVALID_DESTINATION", `the request's body can't be sent: ${clientFault}`);
		const safe =
			opened.use === "reused" && request.framing.kind === "none" && /^(?:GET|HEAD|OPTIONS)$/.test(request.method);
		if (safe && upstream.bytesIn === before && response.why === "closed") return { kind: "stale" };
		return failed(502, "OTHER", `the server's answer can't be used: ${response.problem}`);
	}
	const { head } = response;
	if (head.status === 101) return upgrade ? switchProtocols(client, upstream, head) : unasked();
	const relayed = await relayResponse(client, upstream, request, head, limits);
	if (relayed === CLOSE || !bodyDone) {
		// A response before the end of the request: the rest of the request has no reader.
		upstream.destroy();
		client.hangUp("", limits.lingerMs);
		await body;
		return CLOSE;
	}
	return relayed;
}

function failed(status: RefusalStatus, reason: Refused["reason"], detail: string): Exchanged {
	return { kind: "failed", status, refusal: refused(reason, detail) };
}

function unasked(): Exchanged {
	return failed(502, "OTHER", "the server switched protocols unasked");
}

function requestText(opened: Opened, request: RequestHead, mode: "plain" | "upgrade"): string {
	const kept = endToEndFields(request.fields).filter((field) => field.key !== "host");
	const fields = [{ name: "Host", value: opened.target.authority }, ...kept, ...framingFields(request.framing)];
	if (mode === "upgrade")
		fields.push({ name: "Connection", value: "Upgrade" }, { name: "Upgrade", value: "websocket" });
	return textOfHead(`${request.method} ${opened.target.target} HTTP/1.1`, fields);
}

function framingFields(framing: Framing): { name: string; value: string }[] {
	if (framing.kind === "length") return [{ name: "Content-Length", value: String(framing.bytes) }];
	return framing.kind === "chunked" ? [{ name: "Transfer-Encoding", value: "chunked" }] : [];
}

type ReadResponse =
	| { readonly kind: "head"; readonly head: ResponseHead }
	| { readonly kind: "failed"; readonly why: "closed" | "malformed" | "late"; readonly problem: string };

async function readResponse(client: Wire, upstream: Wire, limits: GateLimits): Promise<ReadResponse> {
	const bounds = { bytes: limits.responseHeadBytes, fields: limits.responseHeaders };
	const deadline = performance.now() + limits.responseMs;
	let interim = 0;
	for (;;) {
		const parsed = parseResponseHead(upstream.held, bounds);
		if (parsed.state === "malformed") return { kind: "failed", why: "malformed", problem: parsed.problem };
		if (parsed.state === "head") {
			upstream.take(parsed.head.length);
			if (parsed.head.status >= 200 || parsed.head.status === 101) return { kind: "head", head: parsed.head };
			interim += 1;
			if (interim > MAX_INTERIM) return { kind: "failed", why: "malformed", problem: "it never ends its 1xx answers" };
			client.send(statusText(parsed.head, []));
			continue;
		}
		const arrival = await upstream.more(deadline - performance.now());
		if (arrival === "late") return { kind: "failed", why: "late", problem: "it came too late" };
		if (arrival === "end") return { kind: "failed", why: "closed", problem: "it closed the connection" };
	}
}

function statusText(head: ResponseHead, added: readonly { name: string; value: string }[]): string {
	const phrase = head.phrase === "" ? "" : head.phrase;
	return textOfHead(`HTTP/1.1 ${head.status} ${phrase}`, [...endToEndFields(head.fields), ...added]);
}

/** How the response's body is framed on the wire it came by (RFC 9112 section 6.3). */
function bodyFraming(request: RequestHead, head: ResponseHead): Framing {
	const empty = request.method === "HEAD" || head.status === 204 || head.status === 304;
	return empty ? { kind: "none" } : head.framing;
}

async function relayResponse(
	client: Wire,
	upstream: Wire,
	request: RequestHead,
	head: ResponseHead,
	limits: GateLimits,
): Promise<Exchanged> {
	const framing = bodyFraming(request, head);
	const endless = framing.kind === "until-close" || (framing.kind === "chunked" && request.version === "1.0");
	const keep = keepsAlive(request) && !endless;
	const fields: { name: string; value: string }[] = [];
	if (head.framing.kind === "length" && head.status !== 204) fields.push(...framingFields(head.framing));
	if (framing.kind === "chunked" && !endless) fields.push(...framingFields(framing));
	fields.push({ name: "Connection", value: keep ? "keep-alive" : "close" });
	client.send(statusText(head, fields));
	const chunks = framing.kind === "chunked" && !endless ? "chunks" : "plain";
	const moved = await moveBody(upstream, client, framing, chunks, limits);
	if (moved !== "done") return CLOSE;
	// Bytes after the response were not asked for: they must not become the next request's answer.
	const reusable = keepsAlive(head) && framing.kind !== "until-close" && upstream.held.length === 0;
	return { kind: "answered", client: keep ? "keep" : "close", upstream: reusable ? "keep" : "close" };
}

/** After 101 the stream belongs to the two ends; it still goes to the one address that was judged. */
async function switchProtocols(client: Wire, upstream: Wire, head: ResponseHead): Promise<Exchanged> {
	client.send(
		statusText(head, [
			{ name: "Connection", value: "Upgrade" },
			{ name: "Upgrade", value: "websocket" },
		]),
	);
	upstream.closed.then(() => client.socket.destroySoon());
	await Promise.all([client.relayTo(upstream), upstream.relayTo(client)]);
	await Promise.all([client.closed, upstream.closed]);
	return CLOSE;
}
