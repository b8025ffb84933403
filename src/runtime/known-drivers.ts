import { type Choice, chooseDriver as chooseAmong, type Measurements } from "./choose.ts";
import type { Driver, PlanRequest, PreparedRoot } from "./driver.ts";
import { bwrapDriver } from "./drivers/bwrap/index.ts";
import { containerDriver } from "./drivers/container/index.ts";
import { firecrackerDriver } from "./drivers/firecracker/index.ts";
import { hostDriver } from "./drivers/host/index.ts";
import { qemuDriver } from "./drivers/qemu/index.ts";
import type { RootChoice } from "./roots/index.ts";
import type { DriverName, Workload } from "./schema.ts";

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

/**
 * The drivers that are asked for a plan, strongest first: the one that is named, machines where a kernel of its own is demanded of an
 * image, else those that take the root as it is, or unpacked. Nothing is built for a driver that nobody asked for.
 */
export function candidateDrivers(
	{ isolation, demands }: Pick<Workload, "isolation" | "demands">,
	root: RootChoice | null,
): readonly DriverName[] {
	if (isolation !== null) return [isolation];
	if (root !== null && demands.includes("separate-kernel")) return machineDrivers;
	const shapes = root === null ? ["host"] : root.native === "image" ? ["image", "folder"] : ["folder"];
	return drivers
		.filter(({ strength, roots }) => strength > 0 && roots.some((shape) => shapes.includes(shape)))
		.map(({ name }) => name);
}

/** The root in the shape that the driver takes: as it is where it can. */
export function rootFor(name: DriverName, root: RootChoice): Promise<PreparedRoot> {
	const taken = drivers.find((driver) => driver.name === name)?.roots ?? [];
	return root.prepare(taken.includes(root.native) ? root.native : taken.includes("image") ? "image" : "folder");
}
