import { type Clock, canonicalJson, type Digest, type Json, utf8 } from "../core/index.ts";
import { printable } from "./destination.ts";
import type { GateLimits } from "./limits.ts";
import type { LedgerEntry, LedgerSummary, ReasonCode, Reconciliation } from "./schema.ts";
import type { Verdict } from "./verdict.ts";
import type { Wire } from "./wire.ts";

/** Where an attempt came from, as the sandbox's own namespace numbers it. */
export interface Source {
	readonly address: string;
	readonly port: number;
}

export type ProcessLookup = (source: Source) => Promise<LedgerEntry["process"]>;

export interface Attempt {
	readonly method: LedgerEntry["method"];
	readonly protocol: LedgerEntry["protocol"];
	readonly host: string;
	readonly port: number;
}

/** Attempts that are counted in one entry. */
export interface GroupedRefusal {
	readonly attempt: Omit<Attempt, "host">;
	readonly verdict: Verdict;
	readonly withheld: number;
	readonly attempts: number;
}

type Draft = { -readonly [name in keyof LedgerEntry]: LedgerEntry[name] };

/** One attempt while it lasts. */
export class Line {
	readonly draft: Draft;
	/** Settles when the process behind it is known, or can't be. Never rejects. */
	lookedUp: Promise<unknown> = Promise.resolve();
	readonly #startedMs: number;
	readonly #clock: Clock;
	readonly #finished: (entry: LedgerEntry) => void;
	readonly #wires: Wire[] = [];
	#open = true;

	constructor(draft: Draft, clock: Clock, finished: (entry: LedgerEntry) => void) {
		this.draft = draft;
		this.#clock = clock;
		this.#startedMs = clock.monotonicMs();
		this.#finished = finished;
	}

	decide(verdict: Verdict): void {
		this.draft.verdict = verdict.verdict;
		this.draft.reason = verdict.verdict === "allowed" ? "OK" : verdict.reason;
		this.draft.rule = verdict.rule ?? (verdict.verdict === "refused" ? this.draft.rule : null);
		this.draft.detail = printable(verdict.detail, 300);
	}

	/** The upstream connection whose bytes are this attempt's. */
	carriedBy(wire: Wire): void {
		this.#wires.push(wire);
	}

	saw(what: { readonly sni?: string | null; readonly httpHost?: string | null; readonly request?: string }): void {
		if (what.sni !== undefined) this.draft.sni = what.sni === null ? null : printable(what.sni, 255);
		if (what.httpHost !== undefined)
			this.draft.httpHost = what.httpHost === null ? null : printable(what.httpHost, 255);
		if (what.request !== undefined && this.draft.requests.length < 32) {
			this.draft.requests.push(printable(what.request, 300));
		}
	}

	get isOpen(): boolean {
		return this.#open;
	}

	finish(): void {
		if (!this.#open) return;
		this.#open = false;
		for (const wire of this.#wires) {
			this.draft.bytesUp += wire.bytesOut;
			this.draft.bytesDown += wire.bytesIn;
		}
		this.draft.durationMs = Math.max(0, Math.round((this.#clock.monotonicMs() - this.#startedMs) * 1000) / 1000);
		this.#finished(this.draft);
	}
}

export interface LedgerOptions {
	readonly clock: Clock;
	readonly limits: GateLimits;
	readonly processOf: ProcessLookup | null;
	readonly onEntry: ((entry: LedgerEntry) => void) | null;
}

/** Every attempt of one run, in the order they began. */
export class Ledger {
	/** Attempts past the bound: refused, counted, not listed. */
	overflow = 0;
	readonly #lines: Line[] = [];
	readonly #together = new Map<string, Line>();
	readonly #listed = new Map<string, number>();
	readonly #options: LedgerOptions;

	constructor(options: LedgerOptions) {
		this.#options = options;
	}

	/** Begins an entry, refused until decided otherwise; null when the ledger is full, which refuses the attempt. */
	open(attempt: Attempt, source: Source | null): Line | null {
		if (this.#lines.length >= this.#options.limits.ledgerEntries) {
			this.overflow += 1;
			return null;
		}
		const line = new Line(this.#draftOf(attempt), this.#options.clock, (entry) => this.#options.onEntry?.(entry));
		this.#lines.push(line);
		if (source !== null && this.#options.processOf !== null) {
			// Best effort: the process may have ended, and what is allowed never waits for it.
			line.lookedUp = this.#options.processOf(source).then(
				(found) => {
					line.draft.process = found === null ? null : { pid: found.pid, name: printable(found.name, 64) };
				},
				() => undefined,
			);
		}
		return line;
	}

	/**
	 * Counts like attempts in one entry: what a flood repeats must not fill memory. `levels` go from the narrowest host
	 * text to the widest; each level lists at most `perLevel` entries, the last one as many as reach it.
	 */
	together(levels: readonly [string, ...string[]], perLevel: number, refusal: GroupedRefusal): void {
		const { attempt } = refusal;
		const keyed = levels.map((host, level) => ({
			host,
			group: `${attempt.method} ${level}`,
			key: `${attempt.method} ${attempt.protocol} ${attempt.port} ${host}`,
		}));
		const chosen =
			keyed.find(({ key }) => this.#together.has(key)) ??
			keyed.find(({ group }) => (this.#listed.get(group) ?? 0) < perLevel) ??
			keyed.at(-1);
		if (chosen === undefined) return;
		const known = this.#together.get(chosen.key);
		const line = known ?? this.open({ ...attempt, host: chosen.host }, null);
		if (line === null) return;
		line.draft.bytesWithheld += refusal.withheld;
		if (known !== undefined) {
			line.draft.attempts += refusal.attempts;
			return;
		}
		line.draft.attempts = Math.max(1, refusal.attempts);
		this.#together.set(chosen.key, line);
		this.#listed.set(chosen.group, (this.#listed.get(chosen.group) ?? 0) + 1);
		line.decide(refusal.verdict);
		line.finish();
	}

	#draftOf(attempt: Attempt): Draft {
		return {
			sequence: this.#lines.length,
			time: new Date(this.#options.clock.nowMs()).toISOString(),
			process: null,
			...attempt,
			host: printable(attempt.host, 255),
			address: null,
			sni: null,
			httpHost: null,
			requests: [],
			verdict: "refused",
			reason: "OTHER" satisfies ReasonCode,
			detail: "it ended before anything was decided",
			rule: null,
			bytesUp: 0,
			bytesDown: 0,
			bytesWithheld: 0,
			durationMs: 0,
			attempts: 1,
		};
	}

	/** Ends what is still open and returns everything, with its Merkle root. */
	close(
		merkleRoot: (leaves: Uint8Array[]) => Digest,
		reconciliation: Reconciliation,
	): { readonly summary: LedgerSummary; readonly entries: LedgerEntry[] } {
		for (const line of this.#lines) line.finish();
		const entries = this.#lines.map((line): LedgerEntry => structuredClone(line.draft));
		const sum = (of: (entry: LedgerEntry) => number): number => entries.reduce((total, entry) => total + of(entry), 0);
		const summary: LedgerSummary = {
			root: merkleRoot(entries.map((entry) => utf8(canonicalJson(entry as unknown as Json)))),
			entries: entries.length,
			overflow: this.overflow,
			allowed: sum((entry) => (entry.verdict === "allowed" ? entry.attempts : 0)),
			refused: sum((entry) => (entry.verdict === "refused" ? entry.attempts : 0)) + this.overflow,
			bytesUp: sum((entry) => entry.bytesUp),
			bytesDown: sum((entry) => entry.bytesDown),
			reconciliation,
		};
		return { summary, entries };
	}
}
