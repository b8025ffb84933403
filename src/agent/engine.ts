import type { Lease } from "../api/conduits/schema.ts";
import type { Json } from "../core/index.ts";
import type { Artifact } from "../runtime/schema.ts";
import type { TapeEvent, TapeMore } from "./debug-tape.ts";

/** How a directive ended on this machine. */
export interface Execution {
	readonly status: "succeeded" | "failed" | "canceled" | "timed_out";
	/** The command's own; 124 on timeout, 128 + N for a signal, 125 for a failure of ours. */
	readonly exitCode: number;
	/** What held it; empty when nothing ran. */
	readonly driver: string;
	/** Its receipt as it is posted, signed by this node; null when nothing ran. */
	readonly receipt: Json | null;
	/** Unified diff of the facility; null when there is none or it is too large. */
	readonly diff: Uint8Array | null;
	readonly diffTruncated: "whole" | "truncated";
	/** Streams of which more came than was kept. */
	readonly cut: readonly ("stdout" | "stderr")[];
	/** Digests of the facility; null when it was not looked at. */
	readonly snapshots: { readonly before: string | null; readonly after: string | null };
	/** Where in the facility output beyond the limit is; null when there is none. */
	readonly overflow: Readonly<Record<string, Json>> | null;
	/** Files that it handed over: `keepArtifacts` has their bytes. */
	readonly artifacts: readonly Artifact[];
}

/** What the engine gives and takes while a directive runs. */
export interface ExecutionTies {
	/** Resolves when more may come. */
	write(stream: "stdout" | "stderr", bytes: Uint8Array): Promise<void>;
	/** Takes a folder of artifacts, each by its digest in hexadecimal, to where it outlives the run. */
	keepArtifacts(folder: string): Promise<void>;
	/** Tells whoever looks for what went wrong how far it is. */
	tape(event: TapeEvent, more?: TapeMore): void;
	/** Aborted when it shall stop: asked for, or the lease is lost. */
	readonly stop: AbortSignal;
}

/** Runs leased directives. What it will not run it refuses before anything of it happened. */
export interface Engine {
	/** Profiles that work here now. */
	readonly profiles: readonly string[];
	/** Version that `started` names, e.g. `vouch-bwrap`. */
	readonly version: string;
	/** Undefined when it may run; otherwise why not, for people. */
	refuse(lease: Lease): Promise<string | undefined>;
	execute(lease: Lease, ties: ExecutionTies): Promise<Execution>;
	/** `capacity` of the territory's heartbeat: drivers and how they are. */
	capacity(): Promise<Readonly<Record<string, Json>>>;
}
