import { test } from "node:test";
import { isolatingDrivers } from "./isolating-drivers.ts";
import { testDriver } from "./test-driver.ts";

/** Every driver that isolates, or the reason why this machine can't have it. */
for (const { driver, skip } of await isolatingDrivers()) {
	if (skip === false) testDriver(driver);
	else test(`driver ${driver.name}`, { skip }, () => {});
}
