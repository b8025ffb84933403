/**
 * runtime: a workload becomes a launch plan, and a launch plan a run.
 *
 * Hides     what each way of isolating needs, measures and says; seccomp, control groups, mounts, image formats.
 * Promises  `plan` is pure and total: it keeps everything asked for or returns every reason why not; `start` does the plan.
 * Never     weakens: what can't be kept is refused. Never takes the host itself unless it was asked for by name.
 * Start at  `driver.ts`, then `drivers/bwrap/plan.ts`.
 */
import { type Choice, chooseDriver as chooseAmong, type Measurements } from "./choose.ts";
import type { Driver, PlanRequest } from "./driver.ts";
import { bwrapDriver } from "./drivers/bwrap/index.ts";
import { containerDriver } from "./drivers/container/index.ts";
import { firecrackerDriver } from "./drivers/firecracker/index.ts";
import { hostDriver } from "./drivers/host/index.ts";
import { qemuDriver } from "./drivers/qemu/index.ts";
import type { DriverName } from "./schema.ts";

export { type Choice, type Measurements, measureOnce } from "./choose.ts";
export type * from "./driver.ts";
export { type FakeScript, fakeDriver } from "./drivers/fake/index.ts";
export type { QemuPlan } from "./drivers/qemu/index.ts";
export { type Warmed, type WarmRequest, warmImage } from "./drivers/qemu/index.ts";
export { failures as runtimeFailures } from "./failures.ts";
export { findRoot, prepareRoot, type RootChoice, type RootOptions } from "./roots/index.ts";
export { BASE_ENVIRONMENT, GUEST } from "./view/index.ts";
export { applyChanges, buildDisk } from "./workspace-disk/index.ts";

/** Strongest first. */
export const drivers: readonly Driver[] = [firecrackerDriver, qemuDriver, bwrapDriver, containerDriver, hostDriver];

/** The drivers that isolate, strongest first. */
export const isolatingDrivers: readonly DriverName[] = drivers
	.filter(({ strength }) => strength > 0)
	.map(({ name }) => name);

/** Those that boot a kernel of their own, strongest first. */
export const machineDrivers: readonly DriverName[] = drivers
	.filter(({ roots }) => roots.includes("image"))
	.map(({ name }) => name);

/** The strongest of `drivers` that keeps what the workload demands; with `wanted`, that one or its reasons. */
export function chooseDriver(request: PlanRequest, wanted: DriverName | null, measured: Measurements): Promise<Choice> {
	return chooseAmong(drivers, request, wanted, measured);
}
