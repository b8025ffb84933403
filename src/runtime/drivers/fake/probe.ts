import type { Failure, NonEmpty } from "../../../core/index.ts";
import type { Guarantee } from "../../schema.ts";

/** What a scripted driver does: each member is one thing that can go wrong with a real one. */
export interface FakeScript {
	readonly kept: readonly Guarantee[];
	/** Set: no plan is made, for these reasons. */
	readonly unmet?: NonEmpty<Failure>;
	/** Set: start throws this. */
	readonly startError?: Error;
	/** Written to stdout and stderr, in chunks as they stand. */
	readonly stdout?: readonly Uint8Array[];
	readonly stderr?: readonly Uint8Array[];
	/** How it ends by itself; without it, it runs until it is killed or gets a signal. */
	readonly ending?: { readonly exitCode: number; readonly afterMs: number };
}

/** The script is all the facts there are. */
export type FakeFacts = FakeScript;
