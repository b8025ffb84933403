import type { Failure } from "../../../core/index.ts";
import type { Check, PlanRequest } from "../../driver.ts";
import { failures } from "../../failures.ts";
import { oldGuest } from "../../guest/index.ts";
import { limitChecks } from "../../limits/index.ts";
import { installCommand, programChecks } from "../../programs.ts";
import type { QemuFacts } from "./facts.ts";
import { programOf } from "./machine.ts";
import { machineFor } from "./machine-choice.ts";

/** Every reason why this machine can't boot what is asked. */
export function unavailable(request: PlanRequest, facts: QemuFacts): readonly Failure[] {
	const { root } = request;
	const refuse = (reason: string, fix: string): Failure =>
		failures.failure("driver-not-available", { driver: "qemu", reason, fix });
	if (root?.kind !== "image") return [failures.failure("image-needed", { driver: "qemu" })];
	const old = oldGuest("qemu", root.manifest);
	if (old.length > 0) return old;
	const { platform } = root.manifest;
	const missing = Object.entries(facts.programs)
		.filter(([, path]) => path === null)
		.map(([name]) => refuse(`${name} is not installed`, `Run \`${installCommand(name)}\`.`));
	const program = programOf(platform);
	const emulator = facts.emulators[platform];
	if (emulator === undefined) {
		missing.push(refuse(`${program} is not installed`, `Run \`${installCommand(program)}\`.`));
	}
	if (missing.length > 0 || emulator === undefined) return missing;
	if (facts.trialError !== null) return [refuse(`a confined QEMU did not start: ${facts.trialError}`, "")];
	const hidden = request.workload.exposed.filter((path) => /^\/run\//.test(path));
	if (hidden.length > 0) {
		const what = `${hidden[0]} shown where the machine has a file system of its own`;
		return [failures.failure("access-not-enforceable", { driver: "qemu", what })];
	}
	const { machine, reason } = machineFor(root, request, facts);
	if (!emulator.machines.includes(machine.type)) return [refuse(`${program} has no machine ${machine.type}`, "")];
	if (machine.type === "microvm" && machine.acceleration === "tcg" && facts.tscKHz === null) {
		return [refuse("the frequency of its time stamp counter is not known, which a microvm needs", "Ask for q35.")];
	}
	if (machine.acceleration === "tcg" && request.emulation === "not-accepted") {
		return [failures.failure("emulation-not-asked-for", { driver: "qemu", reason })];
	}
	return [];
}

export function explainQemu(facts: QemuFacts): readonly Check[] {
	const { programs, platform, emulators, hardware, trialError, confinement } = facts;
	const own = platform === null ? undefined : emulators[platform];
	const program = platform === null ? "qemu-system" : programOf(platform);
	const others = Object.keys(emulators).filter((name) => name !== platform);
	return [
		...programChecks(programs),
		{
			name: program,
			status: own === undefined ? "missing" : "ok",
			found: own?.version ?? "not on PATH",
			fix: own === undefined ? installCommand(program) : null,
		},
		{
			name: "images for other machines",
			status: "ok",
			found: others.length === 0 ? "none: no other QEMU is installed" : `${others.join(", ")}, emulated`,
			fix: null,
		},
		{
			name: "a confined QEMU",
			status: trialError === null && confinement !== null ? "ok" : "missing",
			found: trialError ?? (confinement === null ? "not tried" : "started"),
			fix: null,
		},
		{
			name: "speed",
			status: hardware.works ? "ok" : "warning",
			found: hardware.works ? `hardware: ${hardware.found}` : `emulated, 6 to 20 times slower: ${hardware.found}`,
			fix: null,
		},
		{
			name: "templates to wake machines from",
			status: "ok",
			found: String(facts.templates.length),
			fix: null,
		},
		{
			name: "pools of booted machines",
			status: "ok",
			found: String(facts.pools.length),
			fix: null,
		},
		...limitChecks(facts.limits).map((check): Check => ({ ...check, status: "ok", fix: null })),
	];
}
