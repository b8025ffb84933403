/**
 * runtime: a workload becomes a launch plan, and a launch plan a run.
 *
 * Hides     what each way of isolating needs, measures and says; seccomp, control groups, mounts, image formats; how a run is
 *           watched, measured and cleaned up (`conduct/`).
 * Promises  `plan` is pure and total: it keeps everything asked for or returns every reason why not; `start` does the plan.
 * Never     weakens: what can't be kept is refused. Never takes the host itself unless it was asked for by name.
 * Start at  `driver.ts`, then `drivers/bwrap/plan.ts`; `conduct/conduct.ts` for a run from its first process to its last.
 */
export { type Choice, type Measurements, measureOnce } from "./choose.ts";
export * from "./conduct/index.ts";
export type * from "./driver.ts";
export { type FakeScript, fakeDriver } from "./drivers/fake/index.ts";
export type { QemuPlan } from "./drivers/qemu/index.ts";
export {
	openPool,
	type PoolRequest,
	type Warmed,
	type WarmPool,
	type WarmRequest,
	warmImage,
} from "./drivers/qemu/index.ts";
export { failures as runtimeFailures } from "./failures.ts";
export { candidateDrivers, chooseDriver, drivers, isolatingDrivers, machineDrivers, rootFor } from "./known-drivers.ts";
export { findRoot, prepareRoot, type RootChoice, type RootOptions } from "./roots/index.ts";
export { forgetTrials } from "./trials.ts";
export { BASE_ENVIRONMENT, GUEST } from "./view/index.ts";
export { applyChanges, buildDisk } from "./workspace-disk/index.ts";
