import { parseHost, printable } from "./destination.ts";
import { answerTo, errorAnswer, parseQuestion, type Question, RCODE } from "./dns-message.ts";
import type { Ledger } from "./ledger.ts";
import type { GateLimits } from "./limits.ts";
import type { NamePool } from "./names.ts";
import type { CompiledRules } from "./rules.ts";
import { judgeName, type Refused, refused } from "./verdict.ts";

/** A name keeps its address for the whole run; this only bounds how often programs ask again. */
const TTL_SECONDS = 60;

export interface DnsContext {
	readonly rules: CompiledRules;
	readonly limits: GateLimits;
	readonly ledger: Ledger;
	readonly names: NamePool;
}

/**
 * Answers one question of the sandbox, or null to drop it. Nothing it asks ever leaves: an allowed name gets an address
 * of the gate's own pool, which a later connection brings back; every other name does not exist, and is in the ledger.
 */
export function answerQuery(context: DnsContext, message: Buffer): Buffer | null {
	const parsed = parseQuestion(message, context.limits.dnsMessageBytes);
	if (parsed.state === "dropped") {
		refuse(
			context,
			"(no question)",
			refused("INVALID_DESTINATION", "a datagram to the resolver is no DNS query"),
			message,
		);
		return null;
	}
	if (parsed.state === "malformed") {
		refuse(context, "(malformed)", refused("INVALID_DESTINATION", "a DNS query is malformed"), message);
		return errorAnswer(parsed.id, RCODE.formatError);
	}
	const { question } = parsed;
	const host = parseHost(question.name);
	if (host.kind !== "name") {
		const problem = host.kind === "invalid" ? host.problem : "it is an address";
		refuse(context, question.name, refused("INVALID_DESTINATION", `the name can't be looked up: ${problem}`), message);
		return answer(question, RCODE.noSuchName, null);
	}
	if (host.name === "localhost") return answer(question, RCODE.noError, loopbackFor(question.type));
	const verdict = judgeName(context.rules, host.name);
	if (verdict.verdict === "refused") {
		refuse(context, host.name, verdict, message);
		return answer(question, RCODE.noSuchName, null);
	}
	// No AAAA, HTTPS or SRV for allowed names: programs fall back to the one address that carries the name.
	if (question.type !== "A") return answer(question, RCODE.noError, null);
	const address = context.names.addressOf(host.name);
	return answer(question, address === undefined ? RCODE.serverFailure : RCODE.noError, address ?? null);
}

function answer(question: Question, code: number, address: string | null): Buffer {
	try {
		return answerTo(question, code, address, TTL_SECONDS);
	} catch {
		return errorAnswer(question.id, code);
	}
}

function loopbackFor(type: string): string | null {
	if (type === "A") return "127.0.0.1";
	return type === "AAAA" ? "::1" : null;
}

/**
 * One entry per name for the first names, then one per zone, then one for all: a tunnel by query names has as many
 * names as it likes and must not have as much memory.
 */
function refuse(context: DnsContext, name: string, refusal: Refused, message: Buffer): void {
	const shown = printable(name.toLowerCase(), 255);
	const zone = `*.${shown.split(".").slice(-2).join(".")}`;
	context.ledger.together([shown, zone, "*"], context.limits.dnsNamesListed, {
		attempt: { method: "DNS", protocol: "dns", port: 53 },
		verdict: refusal,
		withheld: message.length,
		attempts: 1,
	});
}
