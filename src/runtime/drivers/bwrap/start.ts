import { readFileSync } from "node:fs";
import { utf8 } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import type { LaunchSecrets, Run } from "../../driver.ts";
import { SYSCALL_TABLE, seccompProgram } from "../../seccomp/index.ts";
import type { BwrapPlan } from "./plan.ts";

/** Exactly the plan. The variables go through a descriptor, where neither `ps` nor a core dump of bwrap's argv shows them. */
export async function startBwrap(plan: BwrapPlan, secrets: LaunchSecrets, host: Host): Promise<Run> {
	const { arguments: planned, descriptors, seccomp } = plan.bwrap;
	const variables = Object.entries({ ...plan.baseEnvironment, ...secrets.environment });
	const all = [...planned, ...variables.flatMap(([name, value]) => ["--setenv", name, value])];
	const program =
		descriptors.program === null ? [] : [{ fd: descriptors.program.fd, bytes: readFileSync(descriptors.program.path) }];
	const spec = {
		...plan.supervision,
		// Its own environment is empty: a variable such as LD_PRELOAD is the workload's, not bwrap's.
		environment: {},
		descriptors: [
			{ fd: descriptors.arguments, bytes: utf8(all.map((argument) => `${argument}\0`).join("")) },
			{ fd: descriptors.seccomp, bytes: seccompProgram(SYSCALL_TABLE, seccomp.architecture) },
			...program,
			...descriptors.files.map(({ fd, text }) => ({ fd, bytes: utf8(text) })),
		],
	};
	return host.supervise(spec, secrets.go);
}
