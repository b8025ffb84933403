import type { SupervisionSpec, WindowSize } from "../host/index.ts";
import type { PlanRequest } from "./driver.ts";

/** Of a terminal that nobody looks at. */
const USUAL_SIZE: WindowSize = { rows: 24, columns: 80 };

/** The size of the workload's terminal when it begins; null when it has none. */
export function terminalSize({ workload, windowSize = USUAL_SIZE }: PlanRequest): WindowSize | null {
	return workload.tty === undefined ? null : windowSize;
}

export interface Terminal {
	readonly supervision: Pick<SupervisionSpec, "terminal">;
	/** Words before the command: the program that makes the terminal in the sandbox and becomes the command. */
	readonly prefix: readonly string[];
}

/** For drivers whose workload shares this kernel. `descriptor` and the one after it are free in their program. */
export function planTerminal(request: PlanRequest, descriptor: number): Terminal {
	const size = terminalSize(request);
	if (size === null) return { supervision: {}, prefix: [] };
	return {
		supervision: { terminal: { descriptor, size } },
		prefix: [`/proc/self/fd/${descriptor}`, "--terminal", String(descriptor)],
	};
}
