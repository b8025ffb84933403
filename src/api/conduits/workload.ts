import { posix } from "node:path";
import type { Digest, Json } from "../../core/index.ts";
import { NO_LIMITS, type Workload } from "../../runtime/schema.ts";

export interface Image {
	readonly reference: string;
	readonly digest: Digest;
}

/** What a directive says of itself, from which its workload follows. */
export interface DescribedDirective {
	readonly facility_id: string;
	readonly sandbox_profile: string;
	readonly command: string;
	readonly shell?: string | null | undefined;
	readonly cwd?: string | null | undefined;
	readonly timeout_seconds: number;
	readonly image?: Image | null | undefined;
	/** Patterns of files to keep. */
	readonly artifacts?: readonly string[] | undefined;
	readonly limits: {
		readonly cpu?: number | undefined;
		readonly memory_mb?: number | undefined;
		readonly disk_mb?: number | undefined;
		readonly max_output_bytes?: number | undefined;
	};
	readonly effective: { readonly net?: Json | undefined; readonly secrets?: Json | undefined };
}

/** Variables of every directive (conduits section 7.10). The names are part of what is decided; the values are the node's. */
export const DIRECTIVE_VARIABLES = [
	"CI",
	"CYBROS_DIRECTIVE_ID",
	"CYBROS_FACILITY_ID",
	"CYBROS_NEXUS",
	"CYBROS_SANDBOX_PROFILE",
	"CYBROS_TERRITORY_ID",
	"CYBROS_WORKSPACE",
	"GIT_PAGER",
	"LANG",
	"LC_ALL",
	"NO_COLOR",
	"PAGER",
	"TERM",
] as const;

/** Section 1.7; both streams together. */
const DEFAULT_OUTPUT_BYTES = 2_000_000;
const MOUNT = "/workspace";

/** Names the language of workloads: nodes that run them say it. */
export const WORKLOAD_SCHEMA = "vouch.workload/v1";

type Isolation = Pick<Workload, "isolation" | "demands">;

/** A profile says how much is trusted; a driver is how a node keeps that. Null: the strongest that the node has. */
const STRONGEST: Isolation = { isolation: null, demands: [] };
const ISOLATION: Readonly<Record<string, Isolation>> = {
	untrusted: STRONGEST,
	trusted: { isolation: "container", demands: [] },
	host: { isolation: "host", demands: [] },
	"darwin-automation": { isolation: "darwin-automation", demands: [] },
	vm: { isolation: null, demands: ["separate-kernel"] },
	firecracker: { isolation: "firecracker", demands: [] },
	qemu: { isolation: "qemu", demands: [] },
	bwrap: { isolation: "bwrap", demands: [] },
	container: { isolation: "container", demands: [] },
};

/** Profiles that boot a kernel of their own, which only an image has. */
const BOOTING: ReadonlySet<string> = new Set(["vm", "firecracker", "qemu"]);

/** Why a profile and an image, or none, do not go together; undefined when they do. */
export function imageProblem(profile: string, image: Image | null | undefined): string | undefined {
	if (image && (profile === "host" || profile === "darwin-automation"))
		return `image: profile ${profile} runs on the machine's own files`;
	return !image && BOOTING.has(profile) ? `image: profile ${profile} boots one; give it` : undefined;
}

/** Whether the node protocol's specification of a directive leaves out something that its workload says. */
export function needsWorkload({ root, secretFiles, secretInput, artifacts }: Workload): boolean {
	return root.kind === "image" || [secretFiles, secretInput, artifacts].some((member) => member !== undefined);
}

/**
 * The workload of a directive: what decisions, approvals and receipts name. It is made once, at creation and whenever the
 * policies change what it may do. The node puts its own folder where `/facilities/ID` stands, and makes a workload itself only
 * of leases from control planes that send none.
 */
export function workloadOf(directive: DescribedDirective): Workload {
	const { cpu, memory_mb, disk_mb, max_output_bytes } = directive.limits;
	return {
		schema: WORKLOAD_SCHEMA,
		root: directive.image ? { kind: "image", ...directive.image } : { kind: "host" },
		argv: [directive.shell || "/bin/sh", "-c", directive.command],
		workingDirectory: workingDirectoryOf(directive.cwd) ?? MOUNT,
		environment: [...DIRECTIVE_VARIABLES],
		secrets: [],
		...secretsOf(directive.effective.secrets),
		workspace: { source: facilitySource(directive.facility_id), access: "read-write", protected: [] },
		exposed: [],
		...(directive.artifacts?.length ? { artifacts: [...new Set(directive.artifacts)].sort() } : {}),
		network: networkOf(directive.effective.net),
		limits: {
			...NO_LIMITS,
			cpuMillicores: cpu || null,
			memoryMiB: memory_mb || null,
			diskWriteMiB: disk_mb || null,
			outputBytes: max_output_bytes || DEFAULT_OUTPUT_BYTES,
			timeoutMs: directive.timeout_seconds > 0 ? directive.timeout_seconds * 1000 : null,
		},
		...(ISOLATION[directive.sandbox_profile] ?? STRONGEST),
	};
}

/** What stands for the facility in a workload: which folder it is, is the node's business. */
export function facilitySource(facilityId: string): string {
	return `/facilities/${facilityId}`;
}

/** Empty, `.` and `/workspace` are the workspace; everything else lies below it (section 7.6). Undefined when it does not. */
export function workingDirectoryOf(cwd: string | null | undefined): string | undefined {
	const given = cwd || MOUNT;
	const path = posix.resolve(MOUNT, given);
	return path === MOUNT || path.startsWith(`${MOUNT}/`) ? path : undefined;
}

/** Secrets that it asked for and that its policies allow it (conduits section 10, "Secret injection"): a file each, and one on stdin. */
function secretsOf(secrets: Json | undefined): Pick<Workload, "secretFiles" | "secretInput"> {
	const { refs = [], stdin } = (secrets ?? {}) as { readonly refs?: readonly string[]; readonly stdin?: string };
	return {
		...(refs.length === 0 ? {} : { secretFiles: [...new Set(refs)].sort() }),
		...(stdin === undefined ? {} : { secretInput: stdin }),
	};
}

function networkOf(net: Json | undefined): Workload["network"] {
	const { mode, allow } = (net ?? {}) as { mode?: string; allow?: readonly string[] };
	const known = mode === "allowlist" || mode === "unrestricted" ? mode : "none";
	return { mode: known, allow: known === "allowlist" ? [...(allow ?? [])] : [], deny: [], http: [] };
}
