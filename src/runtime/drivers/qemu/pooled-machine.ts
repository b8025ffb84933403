import { createConnection } from "node:net";
import { constants } from "node:os";
import { PassThrough } from "node:stream";
import type { Ending, Supervised } from "../../../host/index.ts";
import { failures } from "../../failures.ts";
import type { Booted } from "./boot.ts";
import { OutputTail } from "./output-tail.ts";
import type { QemuPlan } from "./plan.ts";
import { onLines, type PoolAnswer, poolAnswerSchema, sendLine } from "./pool-lines.ts";
import type { PoolPlace } from "./pools.ts";

/** A machine of a pool that is this run's alone. It ends with this process, whatever ends that. */
export interface PooledMachine {
	readonly booted: Booted;
	readonly folder: string;
	/** The guest's channel is connected to who listens in the machine's `sockets`. */
	connect(): void;
}

type Machine = Extract<PoolAnswer, { readonly say: "machine" }>;

type TakingPlan = Pick<QemuPlan, "times" | "supervision">;

/** Waits for one when all are taken, as long as a boot may take. Throws VouchError `pool-gone`. */
export async function takeMachine({ socket: path }: PoolPlace, plan: TakingPlan): Promise<PooledMachine> {
	const { bootMs } = plan.times;
	const socket = createConnection(path);
	let reason = "it ended";
	const given = Promise.withResolvers<Machine>();
	const ended = Promise.withResolvers<Ending>();
	const console = new PassThrough();
	const said = new PassThrough();
	onLines(socket, poolAnswerSchema, (answer) => {
		if (answer.say === "machine") {
			given.resolve(answer);
			return;
		}
		console.end(answer.console);
		said.end(answer.said);
		const signal = (answer.ending.signal ?? null) as NodeJS.Signals | null;
		ended.resolve({
			...answer.ending,
			signal: signal !== null && signal in constants.signals ? signal : null,
			counters: null,
		});
	});
	socket.on("error", () => {}); // seen as its close
	socket.on("close", () => {
		given.reject(failures.fail("pool-gone", { socket: path, reason }));
		ended.resolve({ exitCode: null, signal: "SIGKILL", cause: "killed", message: null, counters: null });
	});
	const late = setTimeout(() => {
		reason = `none came up in ${bootMs} ms`;
		socket.destroy();
	}, bootMs);
	sendLine(socket, { ask: "take", diskWriteBytes: plan.supervision.diskWriteBytes });
	const { folder, supervisorPid, programPid } = await given.promise.finally(() => clearTimeout(late));
	const kill = (): void => sendLine(socket, { ask: "kill" });
	const supervised: Supervised = {
		stdin: new PassThrough().resume(),
		stdout: console,
		stderr: said,
		supervisorPid,
		programPid,
		signal: kill,
		resize: () => {},
		watchDisk: () => {},
		kill,
		onEvent: () => {},
		ended: ended.promise,
	};
	return {
		booted: { supervised, console: new OutputTail(console), said: new OutputTail(said) },
		folder,
		connect: () => sendLine(socket, { ask: "connect" }),
	};
}
