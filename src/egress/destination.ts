import { isIPv4, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";

/** What a connection asks for: a name, or a literal address in its one canonical spelling. */
export type Host =
	| { readonly kind: "name"; readonly name: string }
	| { readonly kind: "address"; readonly address: string };
export type InvalidHost = { readonly kind: "invalid"; readonly problem: string };

/** RFC 1035 section 3.1, with the underscore that service names use. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const MAX_NAME = 253;

/**
 * Reads a host as a hostile client may spell it. One trailing dot is dropped and letters are lowered; there is no
 * second spelling of anything: decimal, octal, hexadecimal and short IPv4 forms, zone ids and non-ASCII are invalid.
 * IPv6 comes without brackets. IPv4-mapped IPv6 becomes the IPv4 address it is.
 */
export function parseHost(text: string): Host | InvalidHost {
	if (text.length === 0) return invalid("it is empty");
	if (text.length > MAX_NAME + 1) return invalid(`it is longer than ${MAX_NAME} characters`);
	if (!/^[\x21-\x7e]+$/.test(text)) return invalid("it has spaces, control characters or characters outside ASCII");
	if (text.includes("%")) return invalid("it has a zone id or percent-encoding");
	if (/[/\\@#?,;"'<>()[\]{}|^`*&=+!$~]/.test(text)) return invalid("it has characters that no host has");
	if (text.includes(":")) return isIPv6(text) ? literal(text) : invalid("it is not an IPv6 address");
	if (isIPv4(text)) return literal(text);
	return parseName(text.toLowerCase());
}

function parseName(lowered: string): Host | InvalidHost {
	const name = lowered.endsWith(".") ? lowered.slice(0, -1) : lowered;
	if (name.length > MAX_NAME) return invalid(`it is longer than ${MAX_NAME} characters`);
	const labels = name.split(".");
	if (!labels.every((label) => LABEL.test(label))) return invalid("it has an empty, too long or malformed label");
	// WHATWG URL "ends in a number": these reach inet_aton(3) and mean an address to some programs (127.1, 0x7f.1).
	if (/^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "")) {
		return invalid("it is a number; addresses are written as four decimal parts without leading zeros");
	}
	return { kind: "name", name };
}

function literal(text: string): Host {
	return { kind: "address", address: canonicalAddress(text) };
}

function invalid(problem: string): InvalidHost {
	return { kind: "invalid", problem };
}

/** RFC 5952 text of a valid address; IPv4-mapped IPv6 as IPv4. */
export function canonicalAddress(address: string): string {
	return parseAddress(address).toString();
}

export function parseAddress(address: string): ipaddr.IPv4 | ipaddr.IPv6 {
	return ipaddr.process(address);
}

export function isAddress(text: string): boolean {
	return isIPv4(text) || (isIPv6(text) && !text.includes("%"));
}

/** Port of decimal text without sign or leading zeros, 1 to 65535. */
export function parsePort(text: string): number | undefined {
	if (!/^[1-9][0-9]{0,4}$/.test(text)) return undefined;
	const port = Number(text);
	return port <= 65_535 ? port : undefined;
}

export function textOfHost(host: Host): string {
	return host.kind === "name" ? host.name : host.address;
}

/** `host:port` for people, IPv6 in brackets. */
export function textOfDestination(host: string, port: number): string {
	return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

export type Authority = {
	readonly kind: "authority";
	readonly host: Host;
	readonly port: number;
	readonly text: string;
};

/** `host[:port]` as in a request target or Host field (RFC 9110 section 4.3); user information is refused. */
export function parseAuthority(text: string, defaultPort: number): Authority | InvalidHost {
	const match = /^(?:\[([^\][]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text);
	if (match === null) return invalid("it is not host:port");
	const [, bracketed, plain, portText] = match;
	const host = parseHost(bracketed ?? plain ?? "");
	if (host.kind === "invalid") return host;
	if (bracketed !== undefined && !isIPv6(bracketed)) return invalid("only IPv6 addresses have brackets");
	const port = portText === undefined ? defaultPort : parsePort(portText);
	if (port === undefined) return invalid("its port is not a number from 1 to 65535");
	return { kind: "authority", host, port, text };
}

/** Text of unknown origin, safe to show and to keep: printable ASCII, cut to a length. */
export function printable(text: string, maxLength: number): string {
	const clean = text.replace(/[^\x20-\x7e]/g, "?");
	return clean.length <= maxLength ? clean : `${clean.slice(0, maxLength - 3)}...`;
}
