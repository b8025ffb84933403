import type { Failure } from "../../core/index.ts";
import type { Check } from "../driver.ts";
import { failures } from "../failures.ts";
import type { Controller, LimitFacts } from "./facts.ts";
import type { PlannedLimits } from "./plan.ts";

const NAMES: readonly Controller[] = ["cpu", "memory", "pids"];

export function limitChecks(facts: LimitFacts): readonly Check[] {
	return NAMES.map((name) => {
		const found = facts.controllers[name];
		return {
			name: `${name} limit`,
			status: found === undefined ? "warning" : "ok",
			found: found === undefined ? "no writable control group" : `control group v${found.version}`,
			fix: found === undefined ? "systemctl set-property user.slice Delegate=yes # or run as root" : null,
		};
	});
}

export function unmetLimits(planned: PlannedLimits): readonly Failure[] {
	return planned.unmet.map((row) => failures.failure("limit-not-enforceable", row));
}
