import type { Digest, Failure, NonEmpty, RunId } from "../core/index.ts";
import type { Host, Supervised, SupervisionSpec, WindowSize } from "../host/index.ts";
import type { ImageManifest, PartName } from "../image/schema.ts";
import type { DriverName, Guarantee, Limits, Workload } from "./schema.ts";

/**
 * One way to run a workload. Three files per driver: `probe.ts` measures the machine, `plan.ts` decides everything and
 * touches nothing, `start.ts` does exactly the plan.
 */
export interface Driver<Name extends DriverName = DriverName, Facts = unknown> {
	readonly name: Name;
	/** Higher is stronger; `host` is 0. Choosing a driver takes the strongest whose plan is met at native speed. */
	readonly strength: number;
	/** Two lines for people: what it is, and what it does not protect against. */
	readonly summary: string;
	readonly doesNotProtectAgainst: string;
	/** The shapes of root that it takes. Only one that takes a workload's root is asked for a plan unless it is named. */
	readonly roots: readonly RootShape[];
	/** Whether it can show `secretFiles`; one that does not say so can not. */
	readonly secretFiles?: "shown";
	/** Whether `start` makes all that the command runs in while `go` is still open; one that does not say so is started afterwards. */
	readonly starts?: "held";
	/** Measured now; a trial that worked is not made again while all that it depends on is the same. */
	probe(host: Host, context: ProbeContext): Promise<Facts>;
	/** What `doctor` prints of the facts. */
	explain(facts: Facts): readonly Check[];
	/** Pure and total. */
	plan(request: PlanRequest, facts: Facts): Planned<Name> | Unmet;
	start(plan: LaunchPlan<Name>, secrets: LaunchSecrets, host: Host): Promise<Run>;
	/** After a crash of Vouch: ends and removes whatever is left of that run. True when there was something. */
	recover(runId: RunId, host: Host, context: RecoveryContext): Promise<boolean>;
}

/** What a root file system can be: this machine's own, a folder, or a built image with its kernel. */
export type RootShape = "host" | "folder" | "image";

/** What looking at a machine may need besides the machine. */
export interface ProbeContext {
	/** `$XDG_CACHE_HOME/vouch`: what took long to find out is remembered there. */
	readonly cacheDirectory: string;
	/** An image for this machine whose kernel a trial may boot; undefined when there is none. */
	image(): Promise<ImageRoot | undefined>;
}

export type RecoveryContext = Pick<ProbeContext, "cacheDirectory">;

/** Everything that had to be chosen before planning. */
export interface PlanRequest {
	readonly runId: RunId;
	readonly workload: Workload;
	/** Private folder of this run (0700): sockets and temporary files. */
	readonly runDirectory: string;
	/** On a real disk, private to this user: the disks of a machine and templates of machines lie below it. */
	readonly cacheDirectory: string;
	/** The image's root file system on disk, from `prepareRoot`; null when the workload has none. */
	readonly root: PreparedRoot | null;
	/** Unix socket of the gate. */
	readonly gateSocket: string;
	/** Loopback destinations of the host that rules allow: they are listened for inside. */
	readonly loopbackListeners: readonly { readonly address: string; readonly port: number }[];
	/** `--isolation host` needs `--accept-no-isolation` said. */
	readonly acceptNoIsolation: "accepted" | "not-accepted";
	/** A machine that is emulated is slow: it is taken only when it was asked for. */
	readonly emulation: "accepted" | "not-accepted";
	/** A kind of machine asked for by name; null lets the driver choose. Drivers that boot none ignore it. */
	readonly machine: "microvm" | "q35" | null;
	/** Of the terminal of a workload that has one, when it begins; without it a usual size. */
	readonly windowSize?: WindowSize;
	/** Those of the workload's `exposed` that are files, not folders. */
	readonly exposedFiles: readonly string[];
	/** Folder on a file system in memory that holds a file for each of the workload's `secretFiles`. */
	readonly secretsFolder?: string;
}

/** A root file system that is ready to be shown read-only, in the shape that the driver takes. */
export type PreparedRoot = FolderRoot | ImageRoot;

/** A built image, as the image store holds it. */
export interface ImageRoot {
	readonly kind: "image";
	/** The image's name: the digest of its `image.json`. */
	readonly digest: Digest;
	readonly manifest: ImageManifest;
	/** Absolute path of each part. */
	readonly files: Readonly<Record<PartName, string>>;
}

/** A root file system unpacked in a folder. */
export interface FolderRoot {
	readonly kind: "folder";
	readonly directory: string;
	/** Content digest of its tree; of an image that was unpacked here, the image's. */
	readonly digest: Digest;
	/** The entries of its `/` and `/etc`: a plan shows each by itself, among folders of its own. */
	readonly entries: readonly RootEntry[];
}

/** One entry of a folder of a root file system. */
export interface RootEntry {
	/** Absolute within that root. */
	readonly path: string;
	readonly kind: "directory" | "file" | "link" | "other";
	/** What a link says; empty for the rest. */
	readonly target: string;
}

/** Values that no plan, log or receipt may hold. */
export interface LaunchSecrets {
	readonly environment: Readonly<Record<string, string>>;
	/** Of drivers that start held: the command runs once it has resolved; when it rejects, never. */
	readonly go?: Promise<unknown>;
}

export interface LaunchPlan<Name extends DriverName = DriverName> {
	readonly schema: "vouch.launch-plan/v1";
	readonly driver: Name;
	readonly runId: RunId;
	readonly workloadDigest: string;
	readonly guarantees: {
		readonly kept: readonly Guarantee[];
		readonly notKept: readonly { readonly guarantee: Guarantee; readonly reason: string }[];
	};
	readonly limits: {
		readonly enforced: readonly { readonly limit: keyof Limits; readonly by: string }[];
		readonly notEnforced: readonly { readonly limit: keyof Limits; readonly reason: string }[];
	};
	/** Set by drivers that may run slower than this machine can: how, and why. */
	readonly performance?: { readonly acceleration: "hardware" | "emulated"; readonly reason: string };
	/** Without the environment and descriptors' bytes, which hold values; the driver adds them at start. */
	readonly supervision: Omit<SupervisionSpec, "environment" | "descriptors">;
}

export type Planned<Name extends DriverName = DriverName> = {
	readonly kind: "planned";
	readonly plan: LaunchPlan<Name>;
};
export type Unmet = { readonly kind: "unmet"; readonly reasons: NonEmpty<Failure> };

/** The live thing. */
export type Run = Supervised;

export interface Check {
	readonly name: string;
	readonly status: "ok" | "warning" | "missing";
	readonly found: string;
	/** The exact command that mends it; null when nothing is wrong or nothing can be done. */
	readonly fix: string | null;
}
