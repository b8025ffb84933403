import type { Clock, Digest, RunId } from "../../core/index.ts";
import type { CompiledRules, UpstreamProxy } from "../../egress/index.ts";
import type { LedgerEntry, LedgerSummary } from "../../egress/schema.ts";
import type { Host, TreeSnapshot } from "../../host/index.ts";
import type { Measurements } from "../choose.ts";
import type { Driver, LaunchPlan } from "../driver.ts";
import type { Workload } from "../schema.ts";
import type { CollectedArtifacts } from "./artifacts.ts";
import type { WorkspaceChanges } from "./changes.ts";
import type { Observed, Screens } from "./observe.ts";
import type { Programs } from "./programs.ts";
import type { Cancels } from "./stop.ts";

/** What conducting runs needs of the machine. Made once per process. */
export interface ConductParts {
	readonly clock: Clock;
	readonly host: Host;
	readonly directories: {
		/** Digests of trees; on a real disk, private to this user. */
		readonly cache: string;
		/** One private folder for each live run: short paths, for sockets. */
		readonly runtime: string;
	};
	/** What the drivers find on this machine. */
	readonly measured: Measurements;
	/** Of this program, for receipts. */
	version(): string;
}

/** A run that is planned and has not begun. */
export interface PlannedRun {
	readonly runId: RunId;
	readonly workload: Workload;
	readonly rules: CompiledRules;
	readonly driver: Driver;
	readonly plan: LaunchPlan;
	readonly gateSocket: string;
	/** The folder on this machine that is the workspace; null when there is none. */
	readonly workspaceFolder: string | null;
}

/** What joins a run to whoever asked for it. */
export interface Ties {
	/** Values of the workload's variables: no record holds them. */
	readonly environment: Readonly<Record<string, string>>;
	/** Further values that no stored or masked output shows: what files of the run hold. */
	readonly hidden?: readonly string[];
	readonly screens: Screens;
	readonly cancels: Cancels;
	/**
	 * What becomes of a command that prints more than its limit: it is killed, or it goes on. Then the end of each stream is kept too, and
	 * of what is beyond so many bytes of each in `overflowFile`.
	 */
	readonly beyondOutputLimit: "killed" | { readonly overflowBytes: number };
	/** The HTTP proxy that this machine must go through; null for none. */
	readonly upstreamProxy: UpstreamProxy | null;
	/** Root of the ledger's Merkle tree over these leaves. */
	readonly merkleRoot: (leaves: Uint8Array[]) => Digest;
	/** Called before the command runs, while its sandbox is being made; when it throws, the command does not run. */
	beforeStart?(): void | Promise<void>;
	/** Told once the command runs: work that the end would wait for can be done now. */
	started(): void;
}

/** Everything a receipt is made of. */
export interface Finished {
	readonly run: PlannedRun;
	readonly observed: Observed;
	readonly ledger: { readonly summary: LedgerSummary; readonly entries: LedgerEntry[] };
	readonly before: TreeSnapshot | null;
	readonly changes: WorkspaceChanges;
	readonly diff: Uint8Array | null;
	/** Null when none were asked for. */
	readonly artifacts: CollectedArtifacts | null;
	readonly programs: Programs;
}
