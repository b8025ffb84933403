import { admit, type GateContext, type Guest, noteRefusal } from "./admission.ts";
import { serveHttp } from "./http-session.ts";
import { proxyRoute } from "./proxy-route.ts";
import { NO_AUTHENTICATION, NO_METHOD, parseGreeting, parseSocksRequest, REPLY, replyOf } from "./socks5.ts";
import { serveTunnel } from "./tunnel.ts";
import { refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

/** A guest that knows it talks to a proxy: SOCKS5 by its first byte, HTTP otherwise (conduits 9.1). */
export async function serveProxy(context: GateContext, guest: Guest): Promise<void> {
	const { client } = guest;
	if (client.held.length === 0 && (await client.more(context.limits.protocolByteMs)) !== "bytes") {
		client.hangUp("", context.limits.lingerMs);
		return;
	}
	if (client.held[0] === 5) await serveSocks(context, guest);
	else await serveHttp(client, proxyRoute(context, guest), context.limits);
}

async function serveSocks(context: GateContext, guest: Guest): Promise<void> {
	const { client } = guest;
	const { limits } = context;
	const deadline = performance.now() + limits.headMs;
	const greeting = await readMessage(client, parseGreeting, deadline);
	if (greeting === null || greeting.offersNone === "not-offered") {
		const refusal = refused(
			"INVALID_DESTINATION",
			"SOCKS5 here has no authentication, and the client offers only that",
		);
		noteRefusal(context, guest, { method: "SOCKS5", host: "", port: 0 }, refusal);
		return client.hangUp(greeting === null ? "" : NO_METHOD, limits.lingerMs);
	}
	client.take(greeting.length);
	client.send(NO_AUTHENTICATION);
	const request = await readMessage(client, parseSocksRequest, deadline);
	if (request === null) return client.hangUp("", limits.lingerMs);
	if (request.state === "refused") {
		const refusal = refused("INVALID_DESTINATION", `the SOCKS5 request can't be used: ${request.problem}`);
		noteRefusal(context, guest, { method: "SOCKS5", host: request.shown, port: 0 }, refusal);
		return client.hangUp(replyOf(request.reply), limits.lingerMs);
	}
	client.take(request.length);
	const { host, port } = request;
	const admission = await admit(context, guest, { method: "SOCKS5", host, port });
	if (admission.kind === "refused") return client.hangUp(replyOf(REPLY.notAllowed), limits.lingerMs);
	client.send(replyOf(REPLY.succeeded));
	await serveTunnel(context, guest, { ...admission, host, port });
}

async function readMessage<T extends { readonly state: string }>(
	client: Wire,
	parse: (bytes: Buffer) => T,
	deadline: number,
): Promise<Exclude<T, { readonly state: "incomplete" }> | null> {
	for (;;) {
		const parsed = parse(client.held);
		if (parsed.state !== "incomplete") return parsed as Exclude<T, { readonly state: "incomplete" }>;
		if ((await client.more(deadline - performance.now())) !== "bytes") return null;
	}
}
