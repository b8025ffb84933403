import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { Duplex } from "node:stream";
import type { Host } from "../../../host/index.ts";
import type { LaunchSecrets, Run } from "../../driver.ts";
import { ENTROPY_BYTES, GuestSession, wholeSetup } from "../../guest/index.ts";
import { gateDoor } from "../qemu/boot.ts";
import { GuestRun } from "../qemu/guest-run.ts";
import { startMachine } from "./machine.ts";
import type { FirecrackerPlan } from "./plan.ts";

/** Exactly the plan: makes the jail and the machine in it, greets its guest, and tells it what to run. */
export async function startFirecracker(plan: FirecrackerPlan, secrets: LaunchSecrets, host: Host): Promise<Run> {
	await mkdir(plan.folder, { recursive: true, mode: 0o700 });
	try {
		const { booted, guest, work } = await startMachine(plan, host);
		const run = new GuestRun(plan, booted, work);
		if (guest === "machine-ended") return run.asRun();
		const session = new GuestSession(guest === "boot-timeout" ? unanswered() : guest, {
			gate: gateDoor(plan.gate),
			times: plan.times,
			onEvent: (event) => run.note(event),
			entropy: () => randomBytes(ENTROPY_BYTES),
			wallClockNs: () => BigInt(Date.now()) * 1_000_000n,
		});
		if (guest === "boot-timeout") {
			session.fail("boot-timeout", `nobody listened in the guest within ${plan.times.bootMs} ms`);
		} else guest.resume();
		await run.begin(session, await wholeSetup(plan, secrets.environment));
		return run.asRun();
	} catch (error) {
		await rm(plan.folder, { recursive: true, force: true });
		throw error;
	}
}

/** The channel of a guest that never took one. */
function unanswered(): Duplex {
	return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
}
