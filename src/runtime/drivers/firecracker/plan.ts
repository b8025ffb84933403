import { type Digest, digestOfJson, type Failure } from "../../../core/index.ts";
import type { Platform } from "../../../image/schema.ts";
import type { ImageRoot, LaunchPlan, PlanRequest, Unmet } from "../../driver.ts";
import { failures } from "../../failures.ts";
import { type Guarantees, unkeptDemands, unsafeSources } from "../../guarantees.ts";
import {
	type GuestDisks,
	type GuestTimes,
	guestSetup,
	machineGuarantees,
	oldGuest,
	type PlannedSetup,
	plannedSecrets,
} from "../../guest/index.ts";
import { planLimits } from "../../limits/index.ts";
import { installCommand } from "../../programs.ts";
import { NO_LIMITS } from "../../schema.ts";
import { BASE_ENVIRONMENT } from "../../view/index.ts";
import type { DiskPart } from "../../workspace-disk/index.ts";
import { diskFolder } from "../qemu/disks.ts";
import { guestLimits, limitWords, outerDiskBytes } from "../qemu/limit-words.ts";
import { architectureOf } from "../qemu/machine-choice.ts";
import { type MachineSize, machineSize, outerLimits } from "../qemu/size.ts";
import { type ApiCall, bootCalls, diskFile, JAIL_FILES, type MachineDisk } from "./calls.ts";
import { type Jail, jailerArguments, jailOf } from "./jailer.ts";
import { type FirecrackerFacts, isRecent, OLDEST_VERSION, RELEASES } from "./probe.ts";

export interface FirecrackerPlan extends LaunchPlan<"firecracker">, PlannedSetup {
	readonly performance: { readonly acceleration: "hardware"; readonly reason: string };
	readonly version: string;
	readonly image: { readonly digest: Digest; readonly platform: Platform; readonly verityRoot: string };
	/** The machine's own folder of this run, with the jail in it. */
	readonly folder: string;
	readonly jail: Jail;
	/** What is in the jail before the machine starts, in the order in which it is put there. */
	readonly files: readonly JailFile[];
	/** Requests to its API, in order. */
	readonly calls: readonly ApiCall[];
	/** Sockets of the machine, on the host. */
	readonly sockets: { readonly api: string; readonly vsock: string };
	readonly gate: { readonly socket: string; readonly maxConnections: number };
	readonly times: GuestTimes;
	/** The folder whose changes are brought back at a graceful end, and what in it stays as it is. */
	readonly workspace: { readonly folder: string; readonly protected: readonly string[] } | null;
}

export interface JailFile {
	/** Inside the jail. */
	readonly path: string;
	readonly content: /** Of the image store, shared. */
		| { readonly kind: "image"; readonly source: string }
		/** Empty, for the machine to write. */
		| { readonly kind: "log" }
		/** Packed from these folders and files. */
		| { readonly kind: "packed"; readonly parts: readonly DiskPart[] }
		| { readonly kind: "scratch"; readonly sizeBytes: number };
}

const MIB = 2 ** 20;
/** Connections carried at once; a workload that opens more is told no. */
const MAX_CONNECTIONS = 512;
/** A guest on real processors is up within a second; a busy machine gets more. */
const TIMES: GuestTimes = { bootMs: 30_000, heartbeatMs: 5000, stallMs: 30_000, collectMs: 600_000, killMs: 2000 };
/** unshare(1) and the jailer, which becomes Firecracker, are gone or asleep once the machine runs. */
const OVERHEAD = { processes: 8, userNamespace: "shared" } as const;
/** One machine's share of a disk that others use too; no workload needs more for long. */
const SCRATCH_RATE = { bytesPerSecond: 512 * MIB, operationsPerSecond: 50_000 };

/** No PCI bus, a keyboard controller that is there for resetting alone (Firecracker's own words for x86-64). */
const MACHINE_WORDS: Readonly<Record<Platform, readonly string[]>> = {
	"linux/amd64": ["reboot=k", "pci=off", "i8042.noaux", "i8042.nomux", "i8042.dumbkbd"],
	// Its serial port is an 8250, not the image's PL011.
	"linux/arm64": ["console=ttyS0", "pci=off"],
	"linux/riscv64": [],
};

export function planFirecracker(
	request: PlanRequest,
	facts: FirecrackerFacts,
): { kind: "planned"; plan: FirecrackerPlan } | Unmet {
	const { root } = request;
	const guarantees = machineGuarantees(root?.kind === "image" ? architectureOf(root.manifest.platform) : null);
	const [first, ...others] = [
		...unavailable(request, facts),
		...unkeptDemands("firecracker", request, guarantees),
		...unsafeSources(request),
	];
	if (first !== undefined) return { kind: "unmet", reasons: [first, ...others] };
	if (root?.kind !== "image") throw new TypeError("facts without an image were found available");
	return { kind: "planned", plan: planFor(request, facts, root, guarantees) };
}

function planFor(
	request: PlanRequest,
	facts: FirecrackerFacts,
	root: ImageRoot,
	guarantees: Guarantees,
): FirecrackerPlan {
	const { workload, runId } = request;
	const { unshare, jailer, firecracker } = facts.programs;
	if (unshare === null || jailer === null || firecracker === null) throw new TypeError("facts without programs");
	const size = machineSize(workload.limits, facts.processors, "kvm");
	const outer = planLimits({ ...NO_LIMITS, ...outerLimits(workload.limits, size) }, facts.limits, runId, OVERHEAD);
	const folder = diskFolder(request);
	const jail = jailOf(runId, `${folder}/jail`, firecracker);
	const disks = disksOf(request, root, size);
	const { platform, commandLine, verity } = root.manifest;
	return {
		schema: "vouch.launch-plan/v1",
		driver: "firecracker",
		runId,
		workloadDigest: digestOfJson(workload),
		guarantees,
		limits: limitWords(workload.limits, size),
		performance: { acceleration: "hardware", reason: facts.hardware.found },
		version: facts.versions.firecracker ?? "",
		image: { digest: root.digest, platform, verityRoot: verity.rootHash },
		folder,
		jail,
		files: [
			{ path: JAIL_FILES.kernel, content: { kind: "image", source: root.files.kernel } },
			{ path: JAIL_FILES.initramfs, content: { kind: "image", source: root.files.initramfs } },
			{ path: JAIL_FILES.log, content: { kind: "log" } },
			...disks.map(({ name, content }) => ({ path: diskFile(name), content })),
		],
		calls: bootCalls({
			cores: size.processors,
			memoryMiB: size.memoryMiB,
			commandLine: [commandLine, ...MACHINE_WORDS[platform]].join(" "),
			disks: disks.map(({ name, access, rate }) => ({ name, access, rate })),
		}),
		sockets: { api: `${jail.root}${JAIL_FILES.api}`, vsock: `${jail.root}${JAIL_FILES.vsock}` },
		gate: { socket: request.gateSocket, maxConnections: MAX_CONNECTIONS },
		setup: guestSetup(request, {
			disks: namesOf(disks),
			limits: guestLimits(workload.limits, size),
			architecture: architectureOf(platform),
		}),
		baseEnvironment: BASE_ENVIRONMENT,
		secrets: plannedSecrets(request),
		times: TIMES,
		workspace:
			workload.workspace?.access === "read-write"
				? { folder: workload.workspace.source, protected: workload.workspace.protected }
				: null,
		supervision: {
			wrapper: [],
			controlGroups: outer.controlGroups,
			resourceLimits: [{ name: "CORE", value: 0 }],
			privateMounts: null,
			// It gets no network to take away: an empty namespace of unshare's, and no card.
			network: null,
			argv: jailerArguments({ unshare, jailer, firecracker }, jail, { fileBytes: size.scratchMiB * MIB }),
			workingDirectory: "/",
			signalTarget: "descendants",
			diskWriteBytes: outerDiskBytes(workload.limits),
			afterwards: [],
		},
	};
}

type PlannedDisk = MachineDisk & Pick<JailFile, "content">;

/** Only those that hold something, and always in this order: without serial numbers a disk is known by its place. */
function disksOf({ workload }: PlanRequest, root: ImageRoot, size: MachineSize): readonly PlannedDisk[] {
	const { workspace, exposed } = workload;
	const packed = (name: "files" | "work", parts: readonly DiskPart[]): readonly PlannedDisk[] =>
		parts.length === 0 ? [] : [{ name, access: "read-only", rate: null, content: { kind: "packed", parts } }];
	const scratch: PlannedDisk = {
		name: "scratch",
		access: "read-write",
		rate: SCRATCH_RATE,
		content: { kind: "scratch", sizeBytes: size.scratchMiB * MIB },
	};
	return [
		{ name: "root", access: "read-only", rate: null, content: { kind: "image", source: root.files.disk } },
		...packed(
			"files",
			exposed.map((source, index) => ({ source, at: `/${index}` })),
		),
		...packed("work", workspace === null ? [] : [{ source: workspace.source, at: "/" }]),
		...(workspace?.access === "read-write" ? [scratch] : []),
	];
}

function namesOf(disks: readonly PlannedDisk[]): GuestDisks {
	const name = (wanted: MachineDisk["name"]) => {
		const index = disks.findIndex((disk) => disk.name === wanted);
		return index < 0 ? null : (`index:${index}` as const);
	};
	return { files: name("files"), work: name("work"), scratch: name("scratch") };
}

/** Every reason why this machine can't boot what is asked. */
function unavailable({ root, machine, workload }: PlanRequest, facts: FirecrackerFacts): readonly Failure[] {
	const refuse = (reason: string, fix: string): Failure =>
		failures.failure("driver-not-available", { driver: "firecracker", reason, fix });
	if (root?.kind !== "image") return [failures.failure("image-needed", { driver: "firecracker" })];
	const { firecracker, jailer, ...others } = facts.programs;
	const missing = [
		...(firecracker === null || jailer === null ? [refuse("firecracker or jailer is not installed", RELEASES)] : []),
		...Object.entries(others)
			.filter(([, path]) => path === null)
			.map(([name]) => refuse(`${name} is not installed`, `Run \`${installCommand(name)}\`.`)),
	];
	if (missing.length > 0) return missing;
	const { platform } = root.manifest;
	const hidden = workload.exposed.filter((path) => path.startsWith("/run/"));
	const hiding = (path: string) => {
		const what = `${path} shown where the machine has a file system of its own`;
		return failures.failure("access-not-enforceable", { driver: "firecracker", what });
	};
	return [
		...hidden.map(hiding),
		...oldGuest("firecracker", root.manifest),
		...(machine === null ? [] : [refuse(`it has no machine ${machine}`, "Ask for qemu.")]),
		...ageProblems(facts).map((reason) => refuse(reason, RELEASES)),
		...(facts.user === "root" ? [] : [refuse("only root can make a jail", "Ask for qemu, which needs no root.")]),
		...(facts.hardware.works ? [] : [refuse(`it needs hardware virtualisation: ${facts.hardware.found}`, "")]),
		...(platform === facts.platform ? [] : [refuse(`the image is for ${platform}`, "Ask for qemu, which emulates.")]),
	];
}

/** The jailer checks nothing of its partner, and two releases need not understand each other's arguments. */
function ageProblems({ versions: { firecracker, jailer } }: FirecrackerFacts): readonly string[] {
	if (firecracker === null || jailer === null) return ["firecracker or jailer does not say its version"];
	if (firecracker !== jailer) return [`firecracker is ${firecracker} and jailer ${jailer}`];
	return isRecent(firecracker) ? [] : [`it is ${firecracker}, older than ${OLDEST_VERSION}`];
}
