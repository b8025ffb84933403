import { PassThrough, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Ending } from "../../../host/index.ts";
import type { Run } from "../../driver.ts";
import type { FakeFacts } from "./probe.ts";

const FAKE_PID = 1;

/** Plays the script; touches nothing. Input is read and thrown away. */
export async function startFake(script: FakeFacts): Promise<Run> {
	if (script.startError !== undefined) throw script.startError;
	const { promise: stopped, resolve: stop } = Promise.withResolvers<Ending>();
	const stdin = new PassThrough();
	stdin.resume();
	return {
		stdin,
		stdout: Readable.from(script.stdout ?? []),
		stderr: Readable.from(script.stderr ?? []),
		supervisorPid: FAKE_PID,
		programPid: FAKE_PID,
		signal: (name) => stop(ended({ signal: name })),
		resize: () => {},
		watchDisk: () => {},
		kill: () => stop(ended({ signal: "SIGKILL", cause: "killed" })),
		onEvent: () => {},
		ended: Promise.race([stopped, byItself(script)]),
	};
}

async function byItself({ ending }: FakeFacts): Promise<Ending> {
	if (ending === undefined) return new Promise(() => {});
	await delay(ending.afterMs);
	return ended({ exitCode: ending.exitCode });
}

function ended(how: Partial<Ending>): Ending {
	return { exitCode: null, signal: null, cause: "program", message: null, counters: null, ...how };
}
