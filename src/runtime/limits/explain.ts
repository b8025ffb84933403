import type { Failure } from "../../core/index.ts";
import type { Check } from "../driver.ts";
import { failures } from "../failures.ts";
import type { Controller, LimitFacts } from "./facts.ts";
import type { PlannedLimits } from "./plan.ts";

/** systemd hands users no control groups by itself; from the next log-in on, it does. Or run as root. */
const DELEGATE =
	"mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu memory pids\\n' > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload";

const NAMES: readonly Controller[] = ["cpu", "memory", "pids"];

export function limitChecks(facts: LimitFacts): readonly Check[] {
	return NAMES.map((name) => {
		const found = facts.controllers[name];
		return {
			name: `${name} limit`,
			status: found === undefined ? "warning" : "ok",
			found: found === undefined ? "no writable control group" : `control group v${found.version}`,
			fix: found === undefined ? DELEGATE : null,
		};
	});
}

export function unmetLimits(planned: PlannedLimits): readonly Failure[] {
	return planned.unmet.map((row) => failures.failure("limit-not-enforceable", row));
}
