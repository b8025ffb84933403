import { type Choice, chooseDriver as chooseAmong, type Measurements } from "./choose.ts";
import type { Driver, PlanRequest } from "./driver.ts";
import { bwrapDriver } from "./drivers/bwrap/index.ts";
import { containerDriver } from "./drivers/container/index.ts";
import { firecrackerDriver } from "./drivers/firecracker/index.ts";
import { hostDriver } from "./drivers/host/index.ts";
import { qemuDriver } from "./drivers/qemu/index.ts";
import type { DriverName } from "./schema.ts";

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
