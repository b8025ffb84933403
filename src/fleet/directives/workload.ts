import { posix } from "node:path";
import type { Json } from "../../core/index.ts";
import { type DriverName, NO_LIMITS, type Workload } from "../../runtime/schema.ts";
import type { DirectiveRow } from "../store/tables.ts";

/** What a directive says of itself, from which its workload follows. */
export type Described = Pick<
	DirectiveRow,
	"id" | "facility_id" | "sandbox_profile" | "command" | "shell" | "cwd" | "timeout_seconds"
> & {
	readonly limits: {
		readonly cpu?: number;
		readonly memory_mb?: number;
		readonly disk_mb?: number;
		readonly max_output_bytes?: number;
	};
	readonly effective: { readonly [dimension: string]: Json };
};

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

/** A profile says how much is trusted; a driver is how a node keeps that. Null: the strongest that the node has. */
const ISOLATION: Readonly<Record<string, DriverName | null>> = {
	untrusted: null,
	trusted: "container",
	host: "host",
	"darwin-automation": "darwin-automation",
};

/**
 * The workload of a directive: what decisions, approvals and receipts name. It is made once, at creation and whenever the
 * policies change what it may do, and never by the node, which puts its own folder where `/facilities/ID` stands.
 */
export function workloadOf(directive: Described): Workload {
	const { cpu, memory_mb, disk_mb, max_output_bytes } = directive.limits;
	return {
		schema: "vouch.workload/v1",
		root: { kind: "host" },
		argv: [directive.shell || "/bin/sh", "-c", directive.command],
		workingDirectory: workingDirectoryOf(directive.cwd) ?? MOUNT,
		environment: [...DIRECTIVE_VARIABLES],
		secrets: [],
		workspace: { source: `/facilities/${directive.facility_id}`, access: "read-write", protected: [] },
		exposed: [],
		network: networkOf(directive.effective.net),
		limits: {
			...NO_LIMITS,
			cpuMillicores: cpu || null,
			memoryMiB: memory_mb || null,
			diskWriteMiB: disk_mb || null,
			outputBytes: max_output_bytes || DEFAULT_OUTPUT_BYTES,
			timeoutMs: directive.timeout_seconds > 0 ? directive.timeout_seconds * 1000 : null,
		},
		demands: [],
		isolation: ISOLATION[directive.sandbox_profile] ?? null,
	};
}

/** Empty, `.` and `/workspace` are the workspace; everything else lies below it (section 7.6). Undefined when it does not. */
export function workingDirectoryOf(cwd: string | null): string | undefined {
	const given = cwd === null || cwd === "" ? MOUNT : cwd;
	const path = posix.resolve(MOUNT, given);
	return path === MOUNT || path.startsWith(`${MOUNT}/`) ? path : undefined;
}

function networkOf(net: Json | undefined): Workload["network"] {
	const { mode, allow } = (net ?? {}) as { mode?: string; allow?: readonly string[] };
	const known = mode === "allowlist" || mode === "unrestricted" ? mode : "none";
	return { mode: known, allow: known === "allowlist" ? [...(allow ?? [])] : [], deny: [], http: [] };
}
