import { digestOfJson } from "../../../core/index.ts";
import type { LaunchPlan, PlanRequest, Unmet } from "../../driver.ts";
import { type Guarantees, unkeptDemands } from "../../guarantees.ts";
import { guaranteeSchema } from "../../schema.ts";
import type { FakeFacts } from "./probe.ts";

export type FakePlan = LaunchPlan<"fake">;

export function planFake(request: PlanRequest, facts: FakeFacts): { kind: "planned"; plan: FakePlan } | Unmet {
	const notKept = guaranteeSchema.options.filter((guarantee) => !facts.kept.includes(guarantee));
	const guarantees: Guarantees = {
		kept: facts.kept,
		notKept: notKept.map((guarantee) => ({ guarantee, reason: "the script does not keep it" })),
	};
	const [first, ...others] = [...(facts.unmet ?? []), ...unkeptDemands("fake", request, guarantees)];
	if (first !== undefined) return { kind: "unmet", reasons: [first, ...others] };
	const { workload, runId } = request;
	const plan: FakePlan = {
		schema: "vouch.launch-plan/v1",
		driver: "fake",
		runId,
		workloadDigest: digestOfJson(workload),
		guarantees,
		limits: { enforced: [], notEnforced: [] },
		supervision: {
			wrapper: [],
			controlGroups: [],
			resourceLimits: [],
			privateMounts: null,
			network: null,
			argv: workload.argv as [string, ...string[]],
			workingDirectory: workload.workingDirectory,
			signalTarget: "program",
			diskWriteBytes: null,
			afterwards: [],
		},
	};
	return { kind: "planned", plan };
}
