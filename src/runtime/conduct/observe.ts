import { createHash, type Hash } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import type { Clock, Digest } from "../../core/index.ts";
import type { Ending, Supervised, WindowSize } from "../../host/index.ts";
import type { Workload } from "../schema.ts";
import { KEPT_NOTHING, keptOf } from "./beyond-limit.ts";
import { type Captured, capture, type OutputBudget, type Screen } from "./capture.ts";
import type { Hidden } from "./masking.ts";
import type { Ties } from "./parts.ts";
import type { RunFiles } from "./records.ts";
import { Stopping, type StopReason } from "./stop.ts";
import { TOKEN_FORMS } from "./token-forms.ts";

/** What was seen of a run from its first process to its last. */
export interface Observed {
	readonly ending: Ending;
	/** Why Vouch ended it; null when it ended by itself. */
	readonly stopped: StopReason | null;
	/** The signal a person sent, when that is what ended it. */
	readonly cancelSignal: NodeJS.Signals | null;
	readonly startedAtMs: number;
	readonly durationMs: number;
	readonly stdout: Captured;
	readonly stderr: Captured;
	readonly stdin: { readonly digest: Digest; readonly bytes: number } | null;
}

/** Hands on the size of a window, now and whenever it changes, until the function that it returns is called. */
export type WindowSizes = (take: (size: WindowSize) => void) => () => void;

export interface Screens {
	readonly stdin: Readable | null;
	readonly stdout: Writable | null;
	readonly stderr: Writable | null;
	/** A person's own terminal is shown secrets too; what is passed on to others is not. */
	readonly secrets: "shown" | "masked";
	readonly say: (text: string) => void;
	/** Of a workload with a terminal that somebody looks at. */
	readonly windowSizes?: WindowSizes;
}

function screenOf(screens: Screens, stream: "stdout" | "stderr"): Screen | null {
	const target = screens[stream];
	return target === null ? null : { target, secrets: screens.secrets };
}

type ObservingTies = Pick<Ties, "environment" | "hidden" | "screens" | "cancels" | "beyondOutputLimit">;

/** Joins a live run to the person's streams, the clock and the limits that Vouch itself keeps, until nothing of it is left. */
export async function observe(
	run: Supervised,
	workload: Workload,
	files: RunFiles,
	{ environment, hidden = [], screens, cancels, beyondOutputLimit }: ObservingTies,
	clock: Clock,
): Promise<Observed> {
	const secrets = [...workload.secrets.flatMap((name) => environment[name] ?? []), ...hidden];
	// What one person sees and keeps alone stays as the command wrote it, but for the secrets they gave it.
	const masked: Hidden = { secrets, forms: screens.secrets === "masked" ? TOKEN_FORMS : [] };
	const startedAtMs = clock.nowMs();
	const startedAt = clock.monotonicMs();
	const stopping = new Stopping(run, workload.limits.timeoutMs, cancels, screens.say);
	const ignoreSizes = screens.windowSizes?.((size) => run.resize(size));
	const input = new Input(run.stdin, screens.stdin);
	const limitBytes = workload.limits.outputBytes ?? Number.POSITIVE_INFINITY;
	const kept = beyondOutputLimit === "killed" ? KEPT_NOTHING : keptOf(limitBytes, beyondOutputLimit.overflowBytes);
	const budget: OutputBudget = {
		left: limitBytes - kept.reservedBytes,
		beyond: 0,
		kept,
		exhausted: () => {
			if (beyondOutputLimit === "killed") stopping.outputExhausted();
		},
	};
	try {
		const [ending, stdout, stderr] = await Promise.all([
			run.ended,
			capture(run.stdout, screenOf(screens, "stdout"), files.stdout, masked, budget),
			capture(run.stderr, screenOf(screens, "stderr"), files.stderr, masked, budget),
		]);
		const durationMs = clock.monotonicMs() - startedAt;
		const { reason: stopped, signal: cancelSignal } = stopping;
		return { ending, stopped, cancelSignal, startedAtMs, durationMs, stdout, stderr, stdin: input.end() };
	} catch (error) {
		// Its output can't be kept any more, so it must not go on unseen.
		run.kill();
		input.end();
		await run.ended;
		throw error;
	} finally {
		stopping.done();
		ignoreSizes?.();
	}
}

/** Passes stdin on, digesting what the command was given. */
class Input {
	readonly #hash: Hash = createHash("sha256");
	#bytes = 0;
	readonly #source: Readable | null;

	constructor(target: Writable, source: Readable | null) {
		this.#source = source;
		// A command that doesn't read its input is no failure of the run.
		target.on("error", () => source?.unpipe(target));
		if (source === null) {
			target.end();
			return;
		}
		source.on("data", (chunk: Buffer) => {
			this.#hash.update(chunk);
			this.#bytes += chunk.length;
		});
		source.pipe(target);
	}

	end(): Observed["stdin"] {
		this.#source?.unpipe();
		this.#source?.destroy();
		if (this.#source === null) return null;
		return { digest: `sha256:${this.#hash.digest("hex")}` as Digest, bytes: this.#bytes };
	}
}
