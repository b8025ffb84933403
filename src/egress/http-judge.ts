import { type Authority, type Host, parseAuthority, textOfDestination, textOfHost } from "./destination.ts";
import type { RequestHead } from "./http-head.ts";
import { judgePath } from "./http-path.ts";
import type { CompiledHttpRule } from "./rules.ts";
import { type Refused, refused } from "./verdict.ts";

/** Where a request goes and how it is spelled there. */
export interface RequestTarget {
	readonly host: Host;
	readonly port: number;
	/** Origin form: path and query, or `*`. */
	readonly target: string;
	/** Value of the Host field that we write. */
	readonly authority: string;
}

export type TargetOutcome =
	| { readonly kind: "target"; readonly target: RequestTarget }
	| { readonly kind: "refused"; readonly status: 400 | 403; readonly refusal: Refused };

const bad = (problem: string): TargetOutcome => ({
	kind: "refused",
	status: 400,
	refusal: refused("INVALID_DESTINATION", `the request's target can't be used: ${problem}`),
});

/** The target of a request to a proxy: absolute form, plain HTTP only (RFC 9112 section 3.2.2). */
export function proxyTarget(head: RequestHead): TargetOutcome {
	const match = /^http:\/\/([^/?#]*)(.*)$/i.exec(head.target);
	if (match === null) return bad("it is not http://host/path");
	const authority = parseAuthority(match[1] ?? "", 80);
	if (authority.kind === "invalid") return bad(authority.problem);
	const rest = match[2] ?? "";
	if (rest.includes("#")) return bad("it has a fragment");
	const target = rest === "" ? (head.method === "OPTIONS" ? "*" : "/") : rest.startsWith("/") ? rest : `/${rest}`;
	return { kind: "target", target: targetAt(authority, target, 80) };
}

function targetAt(authority: Authority, target: string, defaultPort: number): RequestTarget {
	const { host, port } = authority;
	const name = textOfDestination(textOfHost(host), port);
	return { host, port, target, authority: port === defaultPort ? name.replace(/:\d+$/, "") : name };
}

/**
 * The target of a request on a stream that already goes to one place: origin form, and a Host that says that place.
 * An absolute or authority form would be a second hop when the server there is a proxy.
 */
export function streamTarget(head: RequestHead, name: string | null, host: Host, port: number): TargetOutcome {
	const mismatch = (detail: string): TargetOutcome => ({
		kind: "refused",
		status: 403,
		refusal: refused("SNI_MISMATCH", detail),
	});
	const here = { host, port, target: head.target, authority: head.host ?? textOfDestination(textOfHost(host), port) };
	if (head.method === "CONNECT") return mismatch(`CONNECT asks for a second hop through ${textOfHost(host)}`);
	if (!head.target.startsWith("/") && head.target !== "*") {
		const absolute = /^https?:\/\//i.test(head.target) ? proxyTarget(head) : bad("it is neither a path nor a URL");
		if (absolute.kind === "refused") return absolute;
		if (textOfHost(absolute.target.host) !== textOfHost(host) || absolute.target.port !== port) {
			return mismatch(`the request asks for ${absolute.target.authority} through ${textOfHost(host)}`);
		}
		return { kind: "target", target: { ...absolute.target, authority: here.authority } };
	}
	if (name === null) return { kind: "target", target: here };
	if (head.host === null) return mismatch(`HTTP shows no Host, ${name} was allowed`);
	const shown = parseAuthority(head.host, port);
	if (shown.kind === "invalid") return mismatch(`the Host of the request can't be used: ${shown.problem}`);
	if (shown.host.kind !== "name" || shown.host.name !== name || shown.port !== port) {
		return mismatch(`HTTP asks for ${head.host}, ${textOfDestination(name, port)} was allowed`);
	}
	return { kind: "target", target: here };
}

/** Null when a method and path rule covers the request, or when there are none for this destination. */
export function judgeRequest(rules: readonly CompiledHttpRule[], method: string, target: string): Refused | null {
	let why = "";
	for (const { methods, paths } of rules) {
		if (methods.length > 0 && !methods.includes(method)) {
			why ||= `only ${methods.join(", ")} is allowed there`;
			continue;
		}
		const path = judgePath(target, paths);
		if (path.kind === "below") return null;
		why = `its path is refused: ${path.problem}`;
	}
	const [first] = rules;
	return first === undefined ? null : refused("NOT_IN_ALLOWLIST", `${method} request: ${why}`, first.rule.text);
}

export function unreadableRequest(problem: string): Refused {
	return refused("INVALID_DESTINATION", `the request can't be read: ${problem}`);
}
