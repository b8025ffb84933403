/**
 * fake: a driver that does what a test says and fails on demand.
 *
 * Hides     nothing.
 * Promises  plays its script and touches no machine.
 * Never     is one of `drivers`.
 * Start at  `probe.ts`, the script.
 */
import type { Driver } from "../../driver.ts";
import { planFake } from "./plan.ts";
import type { FakeFacts, FakeScript } from "./probe.ts";
import { startFake } from "./start.ts";

export type { FakeScript } from "./probe.ts";

/** A driver that does what a test says and fails on demand. Never one of `drivers`. */
export function fakeDriver(script: FakeScript): Driver<"fake", FakeFacts> {
	return {
		name: "fake",
		strength: 0,
		summary: "nothing: a script for tests",
		doesNotProtectAgainst: "anything",
		roots: ["host", "folder", "image"],
		probe: async () => script,
		explain: () => [],
		plan: planFake,
		start: () => startFake(script),
		recover: async () => false,
	};
}
