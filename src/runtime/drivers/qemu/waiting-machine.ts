import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { BareMachine } from "./bare-machine.ts";
import { type Booted, openMeetingPlace } from "./boot.ts";
import { MachineControl } from "./control.ts";

/** What the guest says on its console when it is up and nobody is at the other end of its channel. */
const WAITING = "vouch: waiting";
const BOOT_MS = 120_000;

/** A machine whose guest has booted, rehearsed a run of nothing, and waits for a host. It has never heard of a run. */
export interface WaitingMachine {
	readonly booted: Booted;
	readonly control: MachineControl;
}

/** Starts `bare`, whose channel nobody holds, and waits until its guest does. Throws Error with what was said instead. */
export async function untilWaiting({ sockets, start }: BareMachine): Promise<WaitingMachine> {
	await using place = await openMeetingPlace(join(sockets, "control"));
	const booted = await start();
	const { console, said, supervised } = booted;
	const socket = await place.meet(supervised.ended);
	if (socket === null) throw new Error(`QEMU did not start: ${said.lastLine}`);
	socket.on("error", () => {}); // seen as its end
	const over = supervised.ended.then(() => {
		throw new Error(`it ended: ${said.lastLine || console.lastLine}`);
	});
	await within(BOOT_MS, "booting it", Promise.race([console.heard(WAITING), over]));
	return { booted, control: await MachineControl.greet(socket) };
}

export async function within<Result>(ms: number, what: string, work: Promise<Result>): Promise<Result> {
	const late = new AbortController();
	const timer = delay(ms, undefined, { signal: late.signal }).then(() => {
		throw new Error(`${what} took over ${ms} ms`);
	});
	timer.catch(() => {});
	try {
		return await Promise.race([work, timer]);
	} finally {
		late.abort();
	}
}
