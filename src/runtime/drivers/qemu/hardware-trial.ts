import { randomBytes } from "node:crypto";
import { createConnection } from "node:net";
import { join } from "node:path";
import type { Host } from "../../../host/index.ts";
import type { ImageRoot, ProbeContext } from "../../driver.ts";
import { ENTROPY_BYTES, GuestSession } from "../../guest/index.ts";
import { NO_LIMITS } from "../../schema.ts";
import { withBareMachine } from "./bare-machine.ts";
import { openMeetingPlace } from "./boot.ts";
import type { QemuFacts } from "./facts.ts";
import { machineFor } from "./machine-choice.ts";

/** Where hardware runs guests at all, one is up in under a second. */
const TRIAL_MS = 10_000;
const NEVER = { heartbeatMs: TRIAL_MS, stallMs: TRIAL_MS, collectMs: TRIAL_MS, killMs: TRIAL_MS };

export interface TrialOutcome {
	readonly works: boolean;
	readonly found: string;
}

/** Boots the image's own kernel on the hardware until its guest says that it is up. */
export function tryHardware(
	host: Host,
	{ cacheDirectory }: ProbeContext,
	facts: QemuFacts,
	image: ImageRoot,
): Promise<TrialOutcome> {
	const { machine } = machineFor(image, { machine: null, workload: { limits: NO_LIMITS } }, facts);
	const request = { host, cacheDirectory, facts, image, machine, channel: "connected", controlGroups: [] } as const;
	return withBareMachine(request, async ({ sockets, start }) => {
		await using place = await openMeetingPlace(join(sockets, "channel"));
		const { supervised, said } = await start();
		const socket = await place.meet(supervised.ended);
		if (socket === null) return { works: false, found: `QEMU did not start with it: ${said.lastLine}` };
		const session = new GuestSession(socket, {
			// It has no workload that could want it.
			gate: { connect: () => createConnection({ path: join(sockets, "none") }), maxConnections: 0 },
			times: { ...NEVER, bootMs: TRIAL_MS },
			onEvent: () => {},
			entropy: () => randomBytes(ENTROPY_BYTES),
			wallClockNs: () => 0n,
		});
		try {
			const { kernel = "unknown" } = await session.ready;
			return { works: true, found: `a guest with kernel ${kernel} came up on it` };
		} catch {
			const ending = await session.ended;
			const hung = ending.kind === "failed" && ending.reason === "boot-timeout";
			const words = said.lastLine === "" ? "" : `: ${said.lastLine}`;
			const what = `/dev/kvm is there, but a kernel that was booted on it ${hung ? "hung" : "ended"}`;
			return { works: false, found: `${what}${words}` };
		} finally {
			session.close();
		}
	});
}
