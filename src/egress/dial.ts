import { isIPv4 } from "node:net";
import type { VouchError } from "../core/index.ts";
import { type Host, parseAuthority, parseHost, printable, textOfDestination, textOfHost } from "./destination.ts";
import { fail } from "./failures.ts";
import type { GateLimits } from "./limits.ts";
import { type GateResolver, lookUp } from "./resolver.ts";
import type { CompiledRules } from "./rules.ts";
import { judgeAddress, type Refused, refused } from "./verdict.ts";
import { Wire } from "./wire.ts";

/** An HTTP proxy that stands between this machine and the world. */
export interface UpstreamProxy {
	readonly host: string;
	readonly port: number;
	/** Value of Proxy-Authorization, or null. */
	readonly authorization: string | null;
	/** Names, `.suffixes`, addresses or `*` that are reached without it, as NO_PROXY spells them. */
	readonly exceptions: readonly string[];
}

export interface DialContext {
	readonly rules: CompiledRules;
	readonly limits: GateLimits;
	readonly resolver: GateResolver;
	readonly upstreamProxy: UpstreamProxy | null;
}

export type Dialled =
	| { readonly kind: "connected"; readonly wire: Wire; readonly address: string | null; readonly detail: string | null }
	| { readonly kind: "refused"; readonly refusal: Refused; readonly address: string | null };

/**
 * Connects to an allowed destination: looks its name up once, judges each address, and dials the first acceptable one
 * that answers. The address dialled is the address judged; there is no second look-up to rebind.
 */
export async function dial(context: DialContext, host: Host, port: number): Promise<Dialled> {
	const found = host.kind === "address" ? [host.address] : await lookUp(context.resolver, host.name, context.limits);
	const proxy = proxyFor(context.upstreamProxy, host, found);
	if (found.length === 0 && proxy !== null) return dialThrough(context, proxy, textOfHost(host), port, null);
	let first: { refusal: Refused; address: string } | null = null;
	const acceptable: string[] = [];
	for (const address of found.slice(0, context.limits.answersJudged)) {
		const verdict = judgeAddress(context.rules, host, address, port);
		if (verdict.verdict === "allowed") acceptable.push(address);
		else first ??= { refusal: verdict, address };
	}
	if (acceptable.length === 0) {
		if (first !== null) return { kind: "refused", ...first };
		const refusal = refused("DNS_DENIED", `${textOfHost(host)} has no address: the gate's own look-up found none`);
		return { kind: "refused", refusal, address: null };
	}
	const deadline = performance.now() + context.limits.connectMs;
	let last: Dialled = { kind: "refused", refusal: refused("OTHER", "nothing was dialled"), address: null };
	for (const address of acceptable) {
		last =
			proxy === null
				? await dialAddress(address, port, deadline - performance.now())
				: await dialThrough(context, proxy, address, port, address);
		if (last.kind === "connected" || performance.now() >= deadline) return last;
	}
	return last;
}

async function dialAddress(address: string, port: number, timeoutMs: number): Promise<Dialled> {
	const wire = Wire.dial(address, port);
	const problem = await connected(wire, timeoutMs);
	if (problem === null) return { kind: "connected", wire, address, detail: null };
	wire.destroy();
	const refusal = refused("OTHER", `${textOfDestination(address, port)} did not answer: ${problem}`);
	return { kind: "refused", refusal, address };
}

function connected(wire: Wire, timeoutMs: number): Promise<string | null> {
	return new Promise((resolve) => {
		const timer = setTimeout(() => resolve("the time to connect is over"), Math.max(1, timeoutMs));
		const settle = (problem: string | null): void => {
			clearTimeout(timer);
			resolve(problem);
		};
		wire.socket.once("connect", () => settle(null));
		wire.socket.once("error", (error: NodeJS.ErrnoException) => settle(error.code ?? "the connection failed"));
		wire.socket.once("close", () => settle("the connection was closed"));
	});
}

async function dialThrough(
	context: DialContext,
	proxy: UpstreamProxy,
	host: string,
	port: number,
	address: string | null,
): Promise<Dialled> {
	const wire = Wire.dial(proxy.host, proxy.port);
	const name = textOfDestination(host, port);
	const deadline = performance.now() + context.limits.connectMs;
	const problem = (await connected(wire, context.limits.connectMs)) ?? (await askProxy(wire, proxy, name, deadline));
	if (problem !== null) {
		wire.destroy();
		return {
			kind: "refused",
			refusal: refused("OTHER", `the upstream proxy did not reach ${name}: ${problem}`),
			address,
		};
	}
	// The proxy's own words are not the destination's bytes.
	wire.bytesOut = 0;
	wire.bytesIn = wire.held.length;
	const detail =
		address === null
			? "through the upstream proxy, which looked the name up itself: its address was not judged here"
			: "through the upstream proxy, to the address judged here";
	return { kind: "connected", wire, address, detail };
}

async function askProxy(wire: Wire, proxy: UpstreamProxy, name: string, deadline: number): Promise<string | null> {
	const authorization = proxy.authorization === null ? "" : `Proxy-Authorization: ${proxy.authorization}\r\n`;
	wire.send(`CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n${authorization}\r\n`);
	for (;;) {
		const end = wire.held.indexOf("\r\n\r\n");
		if (end >= 0) {
			const head = wire.take(end + 4).toString("latin1");
			return /^HTTP\/1\.[01] 2\d\d/.test(head) ? null : `it answered ${printable(head.split("\r\n")[0] ?? "", 60)}`;
		}
		if (wire.held.length > 16_384) return "its answer is too long";
		const arrival = await wire.more(deadline - performance.now());
		if (arrival !== "bytes") return arrival === "end" ? "it closed the connection" : "its answer came too late";
	}
}

/** The upstream proxy this destination goes through. Loopback never does: it would be the proxy's own. */
function proxyFor(proxy: UpstreamProxy | null, host: Host, found: readonly string[]): UpstreamProxy | null {
	if (proxy === null) return null;
	const asked = textOfHost(host);
	const local = asked === "localhost" || [asked, ...found].some((text) => text === "::1" || /^127\./.test(text));
	const exempt = proxy.exceptions.some((exception) => matchesException(exception, asked));
	return local || exempt ? null : proxy;
}

function matchesException(exception: string, asked: string): boolean {
	if (exception === "*" || exception === asked) return true;
	if (isIPv4(asked) || asked.includes(":")) return false;
	const suffix = exception.replace(/^\*?\./, "");
	return suffix.length > 0 && asked.endsWith(`.${suffix}`);
}

/** Reads HTTPS_PROXY and NO_PROXY as curl does; throws invalid-upstream-proxy for what is not a plain HTTP proxy. */
export function parseUpstreamProxy(url: string, noProxy: string): UpstreamProxy {
	const wrong = (problem: string): VouchError =>
		fail("invalid-upstream-proxy", { proxy: url.replace(/\/\/[^@/]*@/, "//***@"), problem });
	const match = /^(?:(http):\/\/)?(?:([^@/]*)@)?([^@/]+)\/?$/i.exec(url.trim());
	if (match === null) throw wrong("it is not http://host:port");
	const authority = parseAuthority(match[3] ?? "", 80);
	if (authority.kind === "invalid") throw wrong(authority.problem);
	const credentials = match[2];
	return {
		host: textOfHost(authority.host),
		port: authority.port,
		authorization:
			credentials === undefined ? null : `Basic ${Buffer.from(decodeURIComponent(credentials)).toString("base64")}`,
		exceptions: noProxy
			.split(",")
			.map((text) => text.trim().toLowerCase())
			.filter((text) => text === "*" || parseHost(text.replace(/^\*?\./, "")).kind !== "invalid"),
	};
}
