import { admit, type GateContext, type Guest, noteRefusal } from "./admission.ts";
import type { CarrierHeader } from "./carrier.ts";
import { answerQuery } from "./dns-server.ts";
import { isSynthetic, type NamePool } from "./names.ts";
import { DNS_PORT, GATE_ADDRESS, GATE_ADDRESS_6, PROXY_PORT } from "./network-plan.ts";
import { serveProxy } from "./proxy.ts";
import { serveTunnel } from "./tunnel.ts";
import { refused } from "./verdict.ts";

export interface RoutingContext extends GateContext {
	readonly names: NamePool;
}

/** Decides what a carried TCP connection is for by the address it was opened to, and serves it to its end. */
export async function serveCarried(
	context: RoutingContext,
	guest: Guest,
	destination: CarrierHeader["destination"],
): Promise<void> {
	const { address, port } = destination;
	if (address === GATE_ADDRESS || address === GATE_ADDRESS_6) {
		if (port === PROXY_PORT) return serveProxy(context, guest);
		if (port === DNS_PORT) return serveDnsStream(context, guest);
		return refuseTransparent(context, guest, destination, `the gate itself offers ports ${DNS_PORT} and ${PROXY_PORT}`);
	}
	if (!isSynthetic(address)) return serveTransparent(context, guest, { kind: "address", address }, port);
	const name = context.names.nameOf(address);
	if (name === undefined)
		return refuseTransparent(context, guest, destination, `no name was given the address ${address}`);
	return serveTransparent(context, guest, { kind: "name", name }, port);
}

async function serveTransparent(
	context: RoutingContext,
	guest: Guest,
	host: Parameters<typeof admit>[2]["host"],
	port: number,
): Promise<void> {
	const admission = await admit(context, guest, { method: "TRANSPARENT", host, port });
	if (admission.kind === "refused") return guest.client.hangUp("", context.limits.lingerMs);
	await serveTunnel(context, guest, { ...admission, host, port });
}

function refuseTransparent(
	context: RoutingContext,
	guest: Guest,
	{ address, port }: CarrierHeader["destination"],
	detail: string,
): void {
	noteRefusal(context, guest, { method: "TRANSPARENT", host: address, port }, refused("DNS_DENIED", detail));
	guest.client.hangUp("", context.limits.lingerMs);
}

/** DNS over TCP (RFC 7766): messages with their length before them, answered in order. */
export async function serveDnsStream(context: RoutingContext, guest: Guest): Promise<void> {
	const { client } = guest;
	for (let served = 0; served < context.limits.dnsMessagesPerStream; served += 1) {
		const message = await readDnsMessage(context, guest);
		if (message === null) break;
		const answer = answerQuery(context, message);
		if (answer === null) break;
		const slow = client.send(withLength(answer));
		if (slow !== undefined) await slow;
	}
	client.hangUp("", context.limits.lingerMs);
}

/** One length-prefixed message; null at the end, when it is too long, or when it comes too slowly. */
export async function readDnsMessage(context: RoutingContext, guest: Guest): Promise<Buffer | null> {
	const { client } = guest;
	const deadline = performance.now() + context.limits.headMs;
	for (;;) {
		const { held } = client;
		const length = held.length >= 2 ? held.readUInt16BE(0) : null;
		if (length !== null && length > context.limits.dnsMessageBytes) return null;
		if (length !== null && held.length >= 2 + length) return client.take(2 + length).subarray(2);
		if ((await client.more(deadline - performance.now())) !== "bytes") return null;
	}
}

export function withLength(message: Buffer): Buffer {
	const framed = Buffer.alloc(2 + message.length);
	framed.writeUInt16BE(message.length, 0);
	message.copy(framed, 2);
	return framed;
}
