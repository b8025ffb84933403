import { type Digest, digestOfJson } from "../../../core/index.ts";
import type { Platform } from "../../../image/schema.ts";
import type { ImageRoot, LaunchPlan, PlanRequest, Unmet } from "../../driver.ts";
import { type Guarantees, unkeptDemands, unsafeSources } from "../../guarantees.ts";
import {
	type GuestTimes,
	guestSetup,
	machineGuarantees,
	type PlannedSetup,
	plannedSecrets,
} from "../../guest/index.ts";
import { planLimits } from "../../limits/index.ts";
import { NO_LIMITS } from "../../schema.ts";
import { BASE_ENVIRONMENT } from "../../view/index.ts";
import { type Confinement, confinedArguments } from "./confinement.ts";
import { diskFolder, diskNames, type PlannedDisk, plannedDisks, shownFiles } from "./disks.ts";
import type { Emulator, QemuFacts } from "./facts.ts";
import { guestLimits, limitWords, outerDiskBytes } from "./limit-words.ts";
import { type Acceleration, type Machine, machineArguments } from "./machine.ts";
import { architectureOf, machineFor, rightsFor, tiesOf } from "./machine-choice.ts";
import { MACHINE_OVERHEAD, type PoolPlace, poolKey } from "./pools.ts";
import { unavailable } from "./problems.ts";
import { outerLimits } from "./size.ts";
import { templateKey } from "./templates.ts";

export interface QemuPlan extends LaunchPlan<"qemu">, PlannedSetup {
	readonly performance: { readonly acceleration: "hardware" | "emulated"; readonly reason: string };
	readonly machine: Machine;
	readonly emulator: { readonly path: string; readonly version: string };
	readonly image: { readonly digest: Digest; readonly platform: Platform; readonly verityRoot: string };
	/** The machine's own folder of this run: its disks. */
	readonly folder: string;
	readonly disks: readonly PlannedDisk[];
	/** Socket that the guest's channel ends at. */
	readonly channelSocket: string;
	readonly gate: { readonly socket: string; readonly maxConnections: number };
	/** Set: the machine wakes from this instead of booting. */
	readonly template: { readonly key: Digest; readonly stateDigest: Digest; readonly state: string } | null;
	/**
	 * Set: one of this pool's machines is taken instead. It was started as `supervision` has it, with a name, a user and a folder of
	 * its own, and knows of no run.
	 */
	readonly pool: PoolPlace | null;
	readonly times: GuestTimes;
	/** The folder whose changes are brought back at a graceful end, and what in it stays as it is. */
	readonly workspace: { readonly folder: string; readonly protected: readonly string[] } | null;
}

/** Connections carried at once; a workload that opens more is told no. */
const MAX_CONNECTIONS = 512;

/** A busy host must not end a guest that is merely slow: emulated ones get longer. */
const TIMES: Readonly<Record<Acceleration, GuestTimes>> = {
	tcg: { bootMs: 120_000, heartbeatMs: 5000, stallMs: 60_000, collectMs: 600_000, killMs: 3000 },
	kvm: { bootMs: 30_000, heartbeatMs: 5000, stallMs: 30_000, collectMs: 600_000, killMs: 2000 },
};

export function planQemu(request: PlanRequest, facts: QemuFacts): { kind: "planned"; plan: QemuPlan } | Unmet {
	const { root } = request;
	const guarantees = machineGuarantees(root?.kind === "image" ? architectureOf(root.manifest.platform) : null);
	const [first, ...others] = [
		...unavailable(request, facts),
		...unkeptDemands("qemu", request, guarantees),
		...unsafeSources(request),
	];
	if (first !== undefined) return { kind: "unmet", reasons: [first, ...others] };
	const emulator = root?.kind === "image" ? facts.emulators[root.manifest.platform] : undefined;
	const { confinement } = facts;
	if (root?.kind !== "image" || emulator === undefined || confinement === null) {
		throw new TypeError("facts without a machine for the image were found available");
	}
	return { kind: "planned", plan: planFor(request, facts, { root, emulator, confinement, guarantees }) };
}

interface Available {
	readonly root: ImageRoot;
	readonly emulator: Emulator;
	readonly confinement: Confinement;
	readonly guarantees: Guarantees;
}

function planFor(request: PlanRequest, facts: QemuFacts, available: Available): QemuPlan {
	const { root, emulator, confinement, guarantees } = available;
	const { workload, runId, runDirectory } = request;
	const { platform, verity } = root.manifest;
	const { machine, size, reason } = machineFor(root, request, facts);
	const walls = outerLimits(workload.limits, size);
	const outer = planLimits({ ...NO_LIMITS, ...walls }, facts.limits, runId, MACHINE_OVERHEAD);
	const ties = tiesOf(machine, root.digest, emulator, facts);
	const key = templateKey(ties);
	const taken = facts.pools.find((place) => place.key === poolKey(ties, walls)) ?? null;
	const found = taken === null ? facts.templates.find((template) => template.key === key) : undefined;
	const start = found === undefined ? "cold" : "restored";
	// One that boots for this run alone needs no empty disk in the place of another: each costs it time.
	const isShared = taken !== null || found !== undefined;
	const disks = plannedDisks(request, root, size).filter(({ content }) => isShared || content.kind !== "empty");
	const roles = disks.map(({ role }) => role);
	const sockets = `${runDirectory}/machine`;
	return {
		schema: "vouch.launch-plan/v1",
		driver: "qemu",
		runId,
		workloadDigest: digestOfJson(workload),
		guarantees,
		limits: limitWords(workload.limits, size),
		performance: { acceleration: machine.acceleration === "kvm" ? "hardware" : "emulated", reason },
		machine,
		emulator: { path: emulator.path, version: emulator.version },
		image: { digest: root.digest, platform, verityRoot: verity.rootHash },
		folder: diskFolder(request),
		disks,
		channelSocket: `${sockets}/channel`,
		gate: { socket: request.gateSocket, maxConnections: MAX_CONNECTIONS },
		pool: taken,
		template: found === undefined ? null : { key, stateDigest: found.stateDigest, state: found.state },
		setup: guestSetup(request, {
			disks: diskNames(disks),
			limits: guestLimits(workload.limits, size),
			architecture: architectureOf(platform),
		}),
		baseEnvironment: BASE_ENVIRONMENT,
		secrets: plannedSecrets(request),
		times: TIMES[machine.acceleration],
		workspace:
			workload.workspace === null || workload.workspace.access === "read-only"
				? null
				: { folder: workload.workspace.source, protected: workload.workspace.protected },
		supervision: {
			wrapper: [],
			controlGroups: outer.controlGroups,
			resourceLimits: [{ name: "CORE", value: 0 }],
			privateMounts: null,
			// It gets no network to take away: an empty namespace of bwrap's, and no card.
			network: null,
			argv: confinedArguments(confinement, {
				...rightsFor(machine, facts, runId),
				files: shownFiles(root.files, disks, sockets, found?.state ?? null),
				stateFile: found === undefined ? null : "shown",
				argv: [emulator.path, "-name", `vouch-${runId}`, ...machineArguments(machine, "connected", start, roles)],
			}),
			workingDirectory: "/",
			signalTarget: "program",
			diskWriteBytes: outerDiskBytes(workload.limits),
			afterwards: [],
		},
	};
}
