import { test } from "node:test";
import { realHost } from "../../src/host/index.ts";
import { drivers } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "./context.ts";
import { testDriver } from "./test-driver.ts";

/** Every driver that isolates, or the reason why this machine can't have it. */
for (const driver of drivers.filter(({ strength }) => strength > 0)) {
	const missing = driver
		.explain(await driver.probe(realHost(), TEST_CONTEXT))
		.filter(({ status }) => status === "missing");
	if (missing.length === 0) testDriver(driver);
	else
		test(`driver ${driver.name}`, { skip: missing.map(({ name, found }) => `${name}: ${found}`).join("; ") }, () => {});
}
