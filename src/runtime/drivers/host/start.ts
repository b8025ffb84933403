import type { Host } from "../../../host/index.ts";
import type { LaunchSecrets, Run } from "../../driver.ts";
import type { HostPlan } from "./plan.ts";

/** As planned, with the workload's variables as the program's whole environment. */
export function startHost(plan: HostPlan, secrets: LaunchSecrets, host: Host): Promise<Run> {
	return host.supervise({ ...plan.supervision, environment: secrets.environment, descriptors: [] });
}
