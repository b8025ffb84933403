import { realHost } from "../../src/host/index.ts";
import { drivers } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "../conformance/context.ts";

/** The driver under test, and why this machine can't have it, or false. */
export const qemuDriver = drivers.find(({ name }) => name === "qemu") ?? missingDriver();

export async function whyNoMachines(): Promise<string | false> {
	const checks = qemuDriver.explain(await qemuDriver.probe(realHost(), TEST_CONTEXT));
	const missing = checks.filter(({ status }) => status === "missing");
	return missing.length > 0 && missing.map(({ name, found }) => `${name}: ${found}`).join("; ");
}

function missingDriver(): never {
	throw new Error("there is no qemu driver");
}
