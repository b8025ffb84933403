import { realHost } from "../../src/host/index.ts";
import { type Driver, drivers } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "./context.ts";

/** A driver that isolates, and why this machine can't have it, or false. */
export interface Candidate {
	readonly driver: Driver;
	readonly skip: string | false;
}

/**
 * Every driver that isolates, looked at once. A file awaits this before its first suite: node:test ends a file whose root has
 * nothing to do, so what is registered after an `await` behind a skipped suite would be cancelled.
 */
export async function isolatingDrivers(): Promise<readonly Candidate[]> {
	const candidates: Candidate[] = [];
	for (const driver of drivers.filter(({ strength }) => strength > 0)) {
		const facts = driver.explain(await driver.probe(realHost(), TEST_CONTEXT));
		const missing = facts.filter(({ status }) => status === "missing");
		const skip = missing.length > 0 && missing.map(({ name, found }) => `${name}: ${found}`).join("; ");
		candidates.push({ driver, skip });
	}
	return candidates;
}
