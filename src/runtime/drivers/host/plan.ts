import { digestOfJson, type Failure } from "../../../core/index.ts";
import type { LaunchPlan, PlanRequest, Unmet } from "../../driver.ts";
import { failures } from "../../failures.ts";
import { type Guarantees, unkeptDemands } from "../../guarantees.ts";
import { planLimits } from "../../limits/index.ts";
import { type Guarantee, guaranteeSchema } from "../../schema.ts";
import { planTerminal } from "../../terminal.ts";
import type { HostFacts } from "./probe.ts";

export type HostPlan = LaunchPlan<"host">;

const TERMINAL_FD = 3;

const NOTHING_KEPT: Guarantees = {
	kept: [],
	notKept: guaranteeSchema.options.map((guarantee: Guarantee) => ({ guarantee, reason: "it runs without isolation" })),
};

export function planHost(request: PlanRequest, facts: HostFacts): { kind: "planned"; plan: HostPlan } | Unmet {
	const { workload, runId } = request;
	const limits = planLimits(workload.limits, facts.limits, runId, { processes: 0, userNamespace: "shared" });
	const [first, ...others] = [...refusals(request), ...unkeptDemands("host", request, NOTHING_KEPT)];
	if (first !== undefined) return { kind: "unmet", reasons: [first, ...others] };
	const terminal = planTerminal(request, TERMINAL_FD);
	const plan: HostPlan = {
		schema: "vouch.launch-plan/v1",
		driver: "host",
		runId,
		workloadDigest: digestOfJson(workload),
		guarantees: NOTHING_KEPT,
		limits: { enforced: limits.enforced, notEnforced: [...limits.notEnforced, ...limits.unmet] },
		supervision: {
			wrapper: [],
			controlGroups: limits.controlGroups,
			resourceLimits: limits.resourceLimits,
			privateMounts: null,
			network: null,
			...terminal.supervision,
			argv: [...terminal.prefix, ...workload.argv] as [string, ...string[]],
			workingDirectory: hostDirectory(request),
			signalTarget: "program",
			diskWriteBytes: limits.diskWriteBytes,
			afterwards: [],
		},
	};
	return { kind: "planned", plan };
}

function refusals(request: PlanRequest): readonly Failure[] {
	const { workload, acceptNoIsolation } = request;
	const unkept = (what: string): Failure => failures.failure("access-not-enforceable", { driver: "host", what });
	return [
		...(acceptNoIsolation === "accepted" ? [] : [failures.failure("isolation-not-accepted")]),
		...(workload.root.kind === "image" ? [failures.failure("image-needs-isolation", { driver: "host" })] : []),
		...(workload.workspace?.access === "read-only" ? [unkept("a workspace read-only")] : []),
	];
}

/** There is no /workspace here: what is below it is below the folder that it stands for. */
function hostDirectory({ workload }: PlanRequest): string {
	const { workingDirectory, workspace } = workload;
	const inside = /^\/workspace(\/.*)?$/.exec(workingDirectory);
	return inside === null || workspace === null ? workingDirectory : `${workspace.source}${inside[1] ?? ""}`;
}
