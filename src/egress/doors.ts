import type { Gate, GateOptions } from "./gate.ts";

/** Loaded when a gate is wanted: whoever plans a run need not wait for what parses its bytes. */
export async function openGate(options: GateOptions): Promise<Gate> {
	return (await import("./gate.ts")).openGate(options);
}
