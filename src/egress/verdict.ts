import { specialUseOf } from "./addresses.ts";
import { type Host, printable, textOfDestination, textOfHost } from "./destination.ts";
import { type CompiledHttpRule, type CompiledRules, covers, coversHost } from "./rules.ts";
import type { ReasonCode } from "./schema.ts";

export interface Allowed {
	readonly verdict: "allowed";
	/** The rule that decided, as written; null when `unrestricted` did. */
	readonly rule: string | null;
	readonly detail: string;
}

export interface Refused {
	readonly verdict: "refused";
	readonly reason: ReasonCode;
	readonly rule: string | null;
	readonly detail: string;
}

export type Verdict = Allowed | Refused;

export function refused(reason: ReasonCode, detail: string, rule: string | null = null): Refused {
	return { verdict: "refused", reason, rule, detail: printable(detail, 300) };
}

function allowed(rule: string | null, detail: string): Allowed {
	return { verdict: "allowed", rule, detail: printable(detail, 300) };
}

/** Whether the rules let this destination be tried at all. Addresses that names resolve to are judged by `judgeAddress`. */
export function judgeDestination(rules: CompiledRules, host: Host, port: number): Verdict {
	const asked = textOfDestination(textOfHost(host), port);
	if (rules.mode === "none") return refused("NET_MODE_NONE", `this run has no network; ${asked} would need --allow`);
	const deny = rules.deny.find((rule) => covers(rule, host, port));
	if (deny !== undefined) return refused("NOT_IN_ALLOWLIST", `${asked} is denied by the rule ${deny.text}`, deny.text);
	const rule = rules.allow.find((candidate) => covers(candidate, host, port));
	if (rule !== undefined) return allowed(rule.text, `allowed by the rule ${rule.text}`);
	if (rules.mode === "unrestricted") return allowed(null, "this run's network is unrestricted");
	const otherPort = rules.allow.find((candidate) => coversHost(candidate.pattern, host));
	return refused(
		"NOT_IN_ALLOWLIST",
		otherPort === undefined
			? `no rule names ${textOfHost(host)}; it would need --allow ${asked}`
			: `${otherPort.text} allows this host on another port; port ${port} would need --allow ${asked}`,
	);
}

/**
 * Judges the very address that will be dialled, whether a name resolved to it or it was asked for. An allowed name
 * gives no right to a special address: only a rule that spells the address or a network around it does.
 */
export function judgeAddress(rules: CompiledRules, host: Host, address: string, port: number): Verdict {
	const literal: Host = { kind: "address", address };
	const asked = textOfDestination(address, port);
	const deny = rules.deny.find((rule) => covers(rule, literal, port));
	if (deny !== undefined) return refused("DNS_DENIED", `${asked} is denied by the rule ${deny.text}`, deny.text);
	const special = specialUseOf(address);
	if (special === undefined) return allowed(null, `${address} is a public address`);
	const rule = rules.allow.find((candidate) => covers(candidate, literal, port));
	if (rule !== undefined) return allowed(rule.text, `${address} is allowed by the rule ${rule.text}`);
	const whose = host.kind === "name" ? `${host.name} resolves to ${address}, ${special}` : `${address} is ${special}`;
	return refused("DNS_DENIED", `${whose}; it would need --allow ${asked}`);
}

/** Whether some port of this name could be reached: the resolver answers for those and no others. */
export function judgeName(rules: CompiledRules, name: string): Verdict {
	const host: Host = { kind: "name", name };
	if (rules.mode === "none") return refused("NET_MODE_NONE", `this run has no network; ${name} would need --allow`);
	const deny = rules.deny.find((rule) => rule.ports === "any" && coversHost(rule.pattern, host));
	if (deny !== undefined) return refused("NOT_IN_ALLOWLIST", `${name} is denied by the rule ${deny.text}`, deny.text);
	const rule = rules.allow.find((candidate) => coversHost(candidate.pattern, host));
	if (rule !== undefined) return allowed(rule.text, `allowed by the rule ${rule.text}`);
	if (rules.mode === "unrestricted") return allowed(null, "this run's network is unrestricted");
	return refused("NOT_IN_ALLOWLIST", `no rule names ${name}; it would need --allow ${name}`);
}

/** The method and path rules of a destination; empty when plain HTTP may do anything there. */
export function httpRulesFor(rules: CompiledRules, host: Host, port: number): readonly CompiledHttpRule[] {
	return rules.http.filter((row) => covers(row.rule, host, port));
}

/**
 * The name that TLS and HTTP must show on this connection, or null when there is nothing to compare: a literal
 * address, or a run that may reach every name anyway.
 */
export function expectedNameOf(rules: CompiledRules, host: Host): string | null {
	if (host.kind === "address") return null;
	return rules.mode === "unrestricted" && rules.deny.length === 0 ? null : host.name;
}
