import type { Socket } from "node:net";
import { VouchError } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import { GUEST } from "../../view/index.ts";
import { type BuiltDisk, buildDisk, scratchDisk } from "../../workspace-disk/index.ts";
import { type Booted, startMachine as startProgram } from "../qemu/boot.ts";
import { makeCalls } from "./api.ts";
import { emptyFile, giveFile, shareFile } from "./jail.ts";
import type { FirecrackerPlan, JailFile } from "./plan.ts";
import { connectGuest } from "./vsock.ts";

/** A machine that was started, and what came of its guest. */
export interface StartedMachine {
	readonly booted: Booted;
	/** The one connection to the guest; without one, whether the machine ended or was still silent when its time was up. */
	readonly guest: Socket | "machine-ended" | "boot-timeout";
	/** The workspace's disk, when there is one. */
	readonly work: BuiltDisk | null;
}

/** The jailer copies a program and makes devices first. */
const START_TIMEOUT_MS = 10_000;
const CALL_TIMEOUT_MS = 10_000;

/** Exactly the plan: fills the jail, starts the jailer, makes the calls, waits for the guest. When it throws nothing runs. */
export async function startMachine(plan: FirecrackerPlan, host: Host): Promise<StartedMachine> {
	let work: BuiltDisk | null = null;
	for (const file of plan.files) {
		const built = await putFile(plan, file, host);
		if (built !== null && built.baseline !== null) work = built;
	}
	const booted = await startProgram(plan.supervision, host);
	try {
		return { booted, guest: await meetGuest(plan, booted), work };
	} catch (error) {
		booted.supervised.kill();
		await booted.supervised.ended;
		throw error;
	}
}

async function putFile(plan: FirecrackerPlan, { path, content }: JailFile, host: Host): Promise<BuiltDisk | null> {
	const { jail } = plan;
	const onHost = `${jail.root}${path}`;
	switch (content.kind) {
		case "image":
			shareFile(jail, path, content.source);
			return null;
		case "log":
			emptyFile(jail, path);
			return null;
		case "packed": {
			const owner = { userId: GUEST.userId, groupId: GUEST.groupId };
			const built = await buildDisk({ path: onHost, parts: content.parts, owner });
			giveFile(jail, path);
			return built;
		}
		case "scratch":
			await scratchDisk({ path: onHost, sizeBytes: content.sizeBytes, place: "new", host });
			giveFile(jail, path);
			return null;
	}
}

async function meetGuest(plan: FirecrackerPlan, { supervised, said }: Booted): Promise<StartedMachine["guest"]> {
	const over = new AbortController();
	supervised.ended.then(({ exitCode, signal, message }) => {
		const words = said.lastLine || message;
		over.abort(new Error(words || `it ended with ${signal ?? `exit code ${exitCode}`}`));
	});
	try {
		await makeCalls(plan.calls, {
			socketPath: plan.sockets.api,
			startTimeoutMs: START_TIMEOUT_MS,
			callTimeoutMs: CALL_TIMEOUT_MS,
			signal: over.signal,
		});
		return await connectGuest({
			socketPath: plan.sockets.vsock,
			timeoutMs: plan.times.bootMs,
			signal: over.signal,
		});
	} catch (error) {
		if (over.signal.aborted) return "machine-ended";
		if (error instanceof VouchError && error.code === "guest-not-listening") return "boot-timeout";
		throw error;
	}
}
