import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";
import type { Failure, NonEmpty } from "../core/index.ts";
import { isInNetwork, type Network } from "./addresses.ts";
import { type Host, isAddress, parseHost, parsePort } from "./destination.ts";
import { failure } from "./failures.ts";
import type { HttpRule, NetworkRules } from "./schema.ts";

export type HostPattern =
	| { readonly kind: "name"; readonly name: string }
	/** `.example.com`: sub-domains at any depth, never the name itself (conduits 5.3). */
	| { readonly kind: "subdomains"; readonly suffix: string }
	/** The name localhost, 127.0.0.1 and ::1. */
	| { readonly kind: "localhost" }
	/** A literal address is a network of one. */
	| { readonly kind: "network"; readonly network: Network };

export interface Rule {
	/** As written. */
	readonly text: string;
	readonly pattern: HostPattern;
	readonly ports: readonly number[] | "any";
}

export interface CompiledHttpRule {
	readonly rule: Rule;
	readonly methods: readonly string[];
	readonly paths: readonly string[];
}

export interface CompiledRules {
	readonly mode: NetworkRules["mode"];
	readonly allow: readonly Rule[];
	readonly deny: readonly Rule[];
	readonly http: readonly CompiledHttpRule[];
}

export type CompiledOutcome =
	| { readonly kind: "compiled"; readonly rules: CompiledRules }
	| { readonly kind: "invalid"; readonly reasons: NonEmpty<Failure> };

/** A bare host means the two ports of the web. */
const WEB_PORTS = [80, 443] as const;

type Purpose = "allow" | "deny" | "http";
type Parsed = { readonly kind: "rule"; readonly rule: Rule } | { readonly kind: "invalid"; readonly failure: Failure };

/** Compiles every rule or names every one that is wrong. `none` compiles its rules too: a typo is a typo. */
export function compileRules(rules: NetworkRules): CompiledOutcome {
	const failures: Failure[] = [];
	const parseAll = (texts: readonly string[], purpose: Purpose): Rule[] =>
		texts.flatMap((text) => {
			const parsed = parseRule(text, purpose);
			if (parsed.kind === "rule") return [parsed.rule];
			failures.push(parsed.failure);
			return [];
		});
	const allow = parseAll(rules.allow, "allow");
	const deny = parseAll(rules.deny, "deny");
	const http = rules.http.flatMap((row: HttpRule) =>
		parseAll([row.destination], "http").map((rule) => ({ rule, methods: row.methods, paths: row.paths })),
	);
	const [first, ...rest] = failures;
	if (first !== undefined) return { kind: "invalid", reasons: [first, ...rest] };
	return { kind: "compiled", rules: { mode: rules.mode, allow, deny, http } };
}

export function parseRule(written: string, purpose: Purpose): Parsed {
	const text = written.trim();
	const wrong = (problem: string, fix: string): Parsed => ({
		kind: "invalid",
		failure: failure("invalid-network-rule", { rule: JSON.stringify(written.slice(0, 300)), problem, fix }),
	});
	const split = splitPort(text);
	if (split === undefined) return wrong("it is not host:port", "Write host:port, [IPv6]:port or network/bits:port.");
	const pattern = parsePattern(split.host);
	if (pattern.kind === "invalid") return wrong(pattern.problem, pattern.fix);
	const ports = parsePorts(split.port, pattern.pattern, purpose);
	if (ports === undefined) {
		const problem = split.port === undefined ? "it has no port" : "its port is not a number from 1 to 65535";
		return wrong(problem, `Write it with its port, such as ${split.host || "host"}:443.`);
	}
	return { kind: "rule", rule: { text: written, pattern: pattern.pattern, ports } };
}

interface SplitRule {
	readonly host: string;
	readonly port: string | undefined;
}

function splitPort(text: string): SplitRule | undefined {
	const bracketed = /^\[([^\][]+)\](?::(.*))?$/.exec(text);
	if (bracketed !== null) {
		const host = bracketed[1] ?? "";
		return host.includes(":") ? { host, port: bracketed[2] } : undefined;
	}
	// Without brackets an IPv6 address can't be told from its port, so it never has one.
	if (text.split(":").length > 2)
		return isAddress(text.split("/")[0] ?? "") ? { host: text, port: undefined } : undefined;
	const [host = "", port] = text.split(":");
	return { host, port };
}

function parsePorts(text: string | undefined, pattern: HostPattern, purpose: Purpose): Rule["ports"] | undefined {
	if (purpose === "deny" && (text === undefined || text === "*")) return "any";
	if (text !== undefined) {
		const port = parsePort(text);
		return port === undefined ? undefined : [port];
	}
	return pattern.kind === "name" || pattern.kind === "subdomains" ? WEB_PORTS : undefined;
}

type ParsedPattern =
	| { readonly kind: "pattern"; readonly pattern: HostPattern }
	| { readonly kind: "invalid"; readonly problem: string; readonly fix: string };

function parsePattern(host: string): ParsedPattern {
	if (host.includes("/")) return parseNetwork(host);
	const wildcard = host.startsWith("*.");
	const spelled = wildcard ? host.slice(2) : host;
	const ascii = /^[\x21-\x7e]*$/.test(spelled) ? spelled : domainToASCII(spelled);
	const parsed = parseHost(ascii);
	if (parsed.kind === "invalid") {
		return { kind: "invalid", problem: `of its host ${parsed.problem}`, fix: "Write the name or address in full." };
	}
	if (parsed.kind === "address") {
		if (wildcard || ascii !== spelled) {
			return { kind: "invalid", problem: "an address can't be part of a name", fix: "Write the address alone." };
		}
		return pattern({ kind: "network", network: networkOf(parsed.address) });
	}
	if (parsed.name === "localhost" && !wildcard) return pattern({ kind: "localhost" });
	if (!parsed.name.includes(".")) {
		return wildcard
			? { kind: "invalid", problem: "its wildcard covers a whole top-level domain", fix: "Write *.name.tld:port." }
			: { kind: "invalid", problem: "its host has no dot", fix: "Write the full name, or the address." };
	}
	return pattern(wildcard ? { kind: "subdomains", suffix: `.${parsed.name}` } : { kind: "name", name: parsed.name });
}

function pattern(value: HostPattern): ParsedPattern {
	return { kind: "pattern", pattern: value };
}

function networkOf(address: string): Network {
	const parsed = ipaddr.parse(address);
	return [parsed, parsed.kind() === "ipv4" ? 32 : 128];
}

function parseNetwork(text: string): ParsedPattern {
	const [address = "", bitsText = "", ...rest] = text.split("/");
	const bits = /^(?:0|[1-9][0-9]{0,2})$/.test(bitsText) ? Number(bitsText) : -1;
	const fix = "Write the network's first address and its bits, such as 10.0.0.0/8:5432 or [fd00::/8]:443.";
	if (rest.length > 0 || !isAddress(address)) return { kind: "invalid", problem: "it is not a network", fix };
	const parsed = ipaddr.parse(address);
	if (parsed.kind() === "ipv6" && (parsed as ipaddr.IPv6).isIPv4MappedAddress()) {
		return { kind: "invalid", problem: "it is an IPv4-mapped network", fix: "Write the IPv4 network itself." };
	}
	if (bits < 0 || bits > (parsed.kind() === "ipv4" ? 32 : 128)) {
		return { kind: "invalid", problem: "its prefix length is out of range", fix };
	}
	// A network with host bits set is a likely slip: 10.1.2.3/8 reads as one address and means sixteen million.
	const first = (parsed.kind() === "ipv4" ? ipaddr.IPv4 : ipaddr.IPv6).networkAddressFromCIDR(text).toString();
	if (first !== parsed.toString()) {
		return { kind: "invalid", problem: "its address has bits past the prefix", fix: `Write ${first}/${bits}.` };
	}
	return pattern({ kind: "network", network: [parsed, bits] });
}

export function coversHost(pattern: HostPattern, host: Host): boolean {
	if (host.kind === "name") {
		if (pattern.kind === "name") return pattern.name === host.name;
		if (pattern.kind === "subdomains") return host.name.endsWith(pattern.suffix) && host.name !== pattern.suffix;
		return pattern.kind === "localhost" && host.name === "localhost";
	}
	if (pattern.kind === "localhost") return host.address === "127.0.0.1" || host.address === "::1";
	return pattern.kind === "network" && isInNetwork(host.address, pattern.network);
}

export function coversPort(rule: Rule, port: number): boolean {
	return rule.ports === "any" || rule.ports.includes(port);
}

export function covers(rule: Rule, host: Host, port: number): boolean {
	return coversPort(rule, port) && coversHost(rule.pattern, host);
}

/** The `address:port` pairs of the host's own loopback that rules allow: the supervisor listens for them in the sandbox. */
export function loopbackListenersOf(
	rules: CompiledRules,
): readonly { readonly address: string; readonly port: number }[] {
	if (rules.mode === "none") return [];
	const found = new Map<string, { address: string; port: number }>();
	for (const rule of rules.allow) {
		for (const address of loopbackAddressesOf(rule.pattern)) {
			for (const port of rule.ports === "any" ? [] : rule.ports) {
				const denied = rules.deny.some((deny) => covers(deny, { kind: "address", address }, port));
				if (!denied) found.set(`${address} ${port}`, { address, port });
			}
		}
	}
	return [...found.values()];
}

function loopbackAddressesOf(pattern: HostPattern): readonly string[] {
	if (pattern.kind === "localhost") return ["127.0.0.1", "::1"];
	if (pattern.kind !== "network") return [];
	const single = pattern.network[1] === (pattern.network[0].kind() === "ipv4" ? 32 : 128);
	if (single && pattern.network[0].range() === "loopback") return [pattern.network[0].toString()];
	return ["127.0.0.1", "::1"].filter((address) => isInNetwork(address, pattern.network));
}
