/** Workloads and policies for the tests of this folder. */
import { NO_LIMITS, type Workload, workloadSchema } from "../runtime/schema.ts";
import type { Policy } from "./policy.ts";
import { readPolicy } from "./policy-text.ts";

export function workload(changes: Partial<Workload> = {}): Workload {
	return workloadSchema.parse({
		schema: "vouch.workload/v1",
		root: { kind: "host" },
		argv: ["npm", "test"],
		workingDirectory: "/workspace",
		environment: [],
		secrets: [],
		workspace: { source: "/home/user/project", access: "read-write", protected: [] },
		exposed: [],
		network: { mode: "none", allow: [], deny: [], http: [] },
		limits: NO_LIMITS,
		demands: [],
		isolation: "bwrap",
		...changes,
	});
}

export function policy(text: string, source = "p.yaml"): Policy {
	const read = readPolicy(`version: 1\n${text}`, source);
	if (read.kind === "policy") return read.policy;
	throw new Error(read.reasons.map(({ sentence }) => sentence).join("\n"));
}

export const network = (
	mode: Workload["network"]["mode"],
	allow: string[] = [],
	deny: string[] = [],
): Partial<Workload> => ({
	network: { mode, allow, deny, http: [] },
});
export const allowlist = (...allow: string[]) => network("allowlist", allow);
