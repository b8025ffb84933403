import { setTimeout as delay } from "node:timers/promises";
import { type Host, printable, textOfHost } from "./destination.ts";
import { type DialContext, dial } from "./dial.ts";
import type { Expectation } from "./first-flight.ts";
import type { Ledger, Line, Source } from "./ledger.ts";
import type { LedgerEntry } from "./schema.ts";
import { expectedNameOf, httpRulesFor, judgeDestination, type Refused, refused } from "./verdict.ts";
import type { Visit } from "./visit.ts";
import type { Wire } from "./wire.ts";

export interface GateContext extends DialContext {
	readonly ledger: Ledger;
}

/** One connection from the sandbox: who opened it, and the record of what it tried. */
export interface Guest {
	readonly client: Wire;
	readonly source: Source | null;
	readonly visit: Visit;
}

export interface Asked {
	readonly method: LedgerEntry["method"];
	readonly host: Host;
	readonly port: number;
}

export type Admission =
	| { readonly kind: "connected"; readonly upstream: Wire; readonly line: Line; readonly expected: Expectation }
	| { readonly kind: "refused"; readonly refusal: Refused; readonly line: Line | null };

/** An admitted connection that carries bytes both ways. */
export interface TunnelEnds {
	readonly upstream: Wire;
	readonly line: Line;
	readonly expected: Expectation;
	readonly host: Host;
	readonly port: number;
}

const FULL: Refused = refused("OTHER", "the ledger is full: this run tried too many things to list");

/** Opens the ledger's entry, judges the destination, and connects to it. Everything that leaves comes through here. */
export async function admit(context: GateContext, guest: Guest, asked: Asked): Promise<Admission> {
	const line = beginLine(context, guest, asked.method, textOfHost(asked.host), asked.port);
	if (line === null) return { kind: "refused", refusal: FULL, line };
	const verdict = judgeDestination(context.rules, asked.host, asked.port);
	line.decide(verdict);
	if (verdict.verdict === "refused") return refuse(line, verdict);
	const dialled = await dial(context, asked.host, asked.port);
	line.draft.address = dialled.address;
	if (dialled.kind === "refused") return refuse(line, dialled.refusal);
	if (dialled.detail !== null) line.draft.detail = printable(`${line.draft.detail}, ${dialled.detail}`, 300);
	line.carriedBy(dialled.wire);
	if (guest.client.isClosed) dialled.wire.destroy();
	return { kind: "connected", upstream: dialled.wire, line, expected: expectationOf(context, asked) };
}

export function expectationOf(context: GateContext, asked: Pick<Asked, "host" | "port">): Expectation {
	return {
		name: expectedNameOf(context.rules, asked.host),
		httpRules: httpRulesFor(context.rules, asked.host, asked.port),
	};
}

/** An entry for something that is refused before it could be judged: a malformed request, an impossible host. */
export function noteRefusal(
	context: GateContext,
	guest: Guest,
	asked: { readonly method: LedgerEntry["method"]; readonly host: string; readonly port: number },
	refusal: Refused,
): Line | null {
	const line = beginLine(context, guest, asked.method, asked.host, asked.port);
	line?.decide(refusal);
	line?.finish();
	return line;
}

export function beginLine(
	context: GateContext,
	guest: Guest,
	method: LedgerEntry["method"],
	host: string,
	port: number,
): Line | null {
	const line = context.ledger.open({ method, protocol: "tcp", host, port }, guest.source);
	if (line !== null) guest.visit.add(line);
	return line;
}

/** How long a refused connection is held so that the process behind it can still be found. */
const LOOK_UP_MS = 50;

async function refuse(line: Line, refusal: Refused): Promise<Admission> {
	line.decide(refusal);
	await Promise.race([line.lookedUp, delay(LOOK_UP_MS, undefined, { ref: false })]);
	line.finish();
	return { kind: "refused", refusal, line };
}
