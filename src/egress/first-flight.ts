import { parseHost, printable } from "./destination.ts";
import { parseRequestHead } from "./http-head.ts";
import type { Line } from "./ledger.ts";
import type { GateLimits } from "./limits.ts";
import type { CompiledHttpRule } from "./rules.ts";
import { type Shape, shapeOf } from "./sniff.ts";
import { type Refused, refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

/** What a stream must show before its first byte leaves. */
export interface Expectation {
	/** The name that TLS and HTTP must carry; null when the destination is an address. */
	readonly name: string | null;
	readonly httpRules: readonly CompiledHttpRule[];
}

export type Flight =
	| { readonly kind: "pass" }
	/** Every request must be judged from here on. */
	| { readonly kind: "http" }
	| { readonly kind: "refused"; readonly refusal: Refused; readonly shape: Shape };

/** `unrecognized_name`, fatal (RFC 8446 section 6): clients show it instead of a reset. */
export const TLS_ALERT = Buffer.from("15030300020270", "hex");

/**
 * Holds the client's first bytes until they are judged; the caller relays the server's bytes meanwhile, so protocols
 * where the server speaks first work. Only `preamble` bytes are let through before the verdict.
 */
export async function judgeFirstFlight(
	client: Wire,
	upstream: Wire,
	line: Line,
	expected: Expectation,
	limits: GateLimits,
): Promise<Flight> {
	if (client.held.length === 0) await client.more(limits.totalMs);
	const deadline = performance.now() + limits.firstFlightMs;
	for (;;) {
		if (client.held.length === 0 && client.ended) return { kind: "pass" };
		const shape = shapeOf(client.held);
		record(shape, client, line, limits);
		if (expected.name === null && expected.httpRules.length === 0) return { kind: "pass" };
		if (shape.kind === "preamble") {
			upstream.send(client.take(shape.length));
			if (client.held.length > 0) continue;
		} else if (shape.kind !== "undecided" || client.held.length >= limits.firstFlightBytes) {
			return judgeShape(shape, expected);
		}
		const arrival = await client.more(shape.kind === "preamble" ? limits.totalMs : deadline - performance.now());
		if (arrival === "end" && client.held.length === 0) return { kind: "pass" };
		if (arrival !== "bytes") return judgeShape(shape, expected);
	}
}

/** The ledger tells what a stream showed even where nothing is compared. */
function record(shape: Shape, client: Wire, line: Line, limits: GateLimits): void {
	if (shape.kind === "tls") line.saw({ sni: shape.sni });
	if (shape.kind !== "http") return;
	const parsed = parseRequestHead(client.held, { bytes: limits.headBytes, fields: limits.headers });
	if (parsed.state === "head") line.saw({ httpHost: parsed.head.host });
}

function judgeShape(shape: Shape, expected: Expectation): Flight {
	const no = (refusal: Refused): Flight => ({ kind: "refused", refusal, shape });
	const rule = expected.httpRules[0]?.rule.text;
	if (shape.kind === "http") return { kind: "http" };
	if (rule !== undefined) {
		const what = shape.kind === "tls" ? "TLS hides them from the gate" : "this stream is not plain HTTP";
		return no(refused("NOT_IN_ALLOWLIST", `method and path rules apply here and ${what}`, rule));
	}
	const { name } = expected;
	if (name === null || shape.kind === "opaque" || shape.kind === "preamble") return { kind: "pass" };
	if (shape.kind === "broken-tls")
		return no(refused("SNI_MISMATCH", `its ClientHello can't be read: ${shape.problem}`));
	if (shape.kind === "undecided") return no(refused("SNI_MISMATCH", "its first bytes came too slowly to be judged"));
	if (shape.encrypted === "encrypted-client-hello") {
		return no(refused("SNI_MISMATCH", "Encrypted ClientHello hides the name asked for; turn it off in the client"));
	}
	if (shape.sni === null) return no(refused("SNI_MISMATCH", `TLS shows no server name, ${name} was allowed`));
	const shown = parseHost(shape.sni);
	if (shown.kind === "name" && shown.name === name) return { kind: "pass" };
	return no(refused("SNI_MISMATCH", `TLS asks for ${printable(shape.sni, 100)}, ${name} was allowed`));
}
