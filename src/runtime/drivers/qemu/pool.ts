import { mkdir, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { newId, type RunId } from "../../../core/index.ts";
import { failures } from "../../failures.ts";
import { planLimits } from "../../limits/index.ts";
import { type Limits, NO_LIMITS } from "../../schema.ts";
import { type BareRequest, withBareMachine } from "./bare-machine.ts";
import { tiesOf } from "./machine-choice.ts";
import { onLines, poolRequestSchema, sendLine } from "./pool-lines.ts";
import { listPools, MACHINE_OVERHEAD, poolKey, poolSocket } from "./pools.ts";
import { outerLimits } from "./size.ts";
import { untilWaiting, type WaitingMachine } from "./waiting-machine.ts";
import { type WarmRequest, wantedMachine } from "./warm.ts";

export interface PoolRequest extends WarmRequest {
	/** Machines that wait at any time. */
	readonly size: number;
	/** A machine that did not come up: the pool goes on with the next, a little later. */
	readonly onFailure: (reason: string) => void;
}

/** Booted machines of one image and size, each for one run. */
export interface WarmPool extends AsyncDisposable {
	readonly memoryMiB: number;
	/** Resolves when as many wait as shall. */
	filled(): Promise<void>;
}

interface Member {
	readonly waiting: WaitingMachine;
	readonly folder: string;
	/** Ends it and all that it left. */
	readonly release: () => void;
}

/** After a machine that did not come up, so that a broken image costs little. */
const PAUSE_MS = 2000;
/** Before a machine is booted in the place of one that was taken. */
const REFILL_MS = 500;

/**
 * Keeps machines booted until it is disposed, and gives each to one run: whoever asks at its socket. Runs find it in the cache,
 * by what they would boot. It ends when those that are taken have ended. Throws VouchError `driver-not-available`, and `pool-exists` when there is one for the same machine.
 */
export async function openPool(request: PoolRequest): Promise<WarmPool> {
	const { facts, machine, size, emulator } = await wantedMachine(request);
	const limits: Limits = { ...NO_LIMITS, ...request.limits };
	const outer = outerLimits(limits, size);
	const key = poolKey(tiesOf(machine, request.image.digest, emulator, facts), outer);
	const bare = (): BareRequest => ({
		...{ host: request.host, cacheDirectory: request.cacheDirectory, facts, image: request.image, machine },
		channel: "waiting",
		controlGroups: planLimits({ ...NO_LIMITS, ...outer }, facts.limits, newId<RunId>(Date.now()), MACHINE_OVERHEAD)
			.controlGroups,
	});
	// Forgets what a killed one left in its place.
	await listPools(request.cacheDirectory);
	const pool = new Pool(bare, request);
	const path = poolSocket(request.cacheDirectory, key);
	const server = await listen(path, (socket) => pool.serve(socket));
	pool.fill();
	return {
		memoryMiB: machine.memoryMiB,
		filled: () => pool.filled(),
		async [Symbol.asyncDispose]() {
			server.close();
			await rm(path, { force: true });
			await pool.close();
		},
	};
}

async function listen(path: string, serve: (socket: Socket) => void): Promise<Server> {
	await mkdir(dirname(path), { recursive: true, mode: 0o700 });
	const server = createServer(serve);
	await new Promise<void>((resolve, reject) => {
		server.once("error", (error) => reject(failures.fail("pool-exists", { socket: path }, error)));
		server.listen(path, resolve);
	});
	return server;
}

class Pool {
	readonly #bare: () => BareRequest;
	readonly #request: PoolRequest;
	readonly #idle: Member[] = [];
	readonly #wanted: ((member: Member) => void)[] = [];
	readonly #lives = new Set<Promise<void>>();
	readonly #closing = Promise.withResolvers<void>();
	readonly #onFilled: (() => void)[] = [];
	#booting = 0;
	#closed = false;

	constructor(bare: () => BareRequest, request: PoolRequest) {
		this.#bare = bare;
		this.#request = request;
	}

	fill(): void {
		while (!this.#closed && this.#idle.length + this.#booting < this.#request.size + this.#wanted.length) this.#boot();
	}

	filled(): Promise<void> {
		if (this.#idle.length >= this.#request.size) return Promise.resolve();
		return new Promise((resolve) => this.#onFilled.push(resolve));
	}

	/** One connection is one run: it gets a machine that nobody had, and loses it with the connection. */
	serve(socket: Socket): void {
		let machine: Member["waiting"] | undefined;
		socket.on("error", () => {}); // seen as its close
		onLines(socket, poolRequestSchema, (request) => {
			if (request.ask === "take") {
				this.#take((member) => {
					if (socket.destroyed) this.#offer(member);
					else machine = handOver(member, socket, request.diskWriteBytes);
				});
			} else if (request.ask === "kill") machine?.booted.supervised.kill();
			// What QEMU can't do the run sees: nobody comes to where it listens.
			else machine?.control.connectChannel().catch(() => machine?.booted.supervised.kill());
		});
	}

	#take(take: (member: Member) => void): void {
		const member = this.#idle.shift();
		if (member === undefined) {
			this.#wanted.push(take);
			this.fill();
			return;
		}
		take(member);
		// The run that has just begun gets the processors first.
		setTimeout(() => this.fill(), REFILL_MS);
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#closing.resolve();
		for (const { release } of this.#idle.splice(0)) release();
		await Promise.all(this.#lives);
	}

	#boot(): void {
		this.#booting += 1;
		const life = this.#live().finally(() => this.#lives.delete(life));
		this.#lives.add(life);
	}

	async #live(): Promise<void> {
		let came = false;
		try {
			await withBareMachine(this.#bare(), async (bare) => {
				const waiting = await Promise.race([untilWaiting(bare), this.#closing.promise]);
				if (waiting === undefined) return;
				came = true;
				this.#booting -= 1;
				const released = Promise.withResolvers<void>();
				const member = { waiting, folder: bare.folder, release: released.resolve };
				this.#offer(member);
				await Promise.race([released.promise, waiting.booted.supervised.ended]);
				this.#idle.splice(0, this.#idle.length, ...this.#idle.filter((one) => one !== member));
			});
		} catch (error) {
			this.#request.onFailure(error instanceof Error ? error.message : String(error));
		}
		if (came) this.fill();
		else {
			await Promise.race([this.#closing.promise, new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref())]);
			this.#booting -= 1;
			this.fill();
		}
	}

	#offer(member: Member): void {
		const take = this.#wanted.shift();
		if (take !== undefined) take(member);
		else if (this.#closed) member.release();
		else this.#idle.push(member);
		if (this.#idle.length >= this.#request.size) for (const told of this.#onFilled.splice(0)) told();
	}
}

function handOver({ waiting, folder, release }: Member, socket: Socket, diskWriteBytes: number | null): WaitingMachine {
	const { supervised, console, said } = waiting.booted;
	if (diskWriteBytes !== null) supervised.watchDisk(diskWriteBytes);
	const { supervisorPid, programPid } = supervised;
	socket.on("close", release);
	void supervised.ended.then(({ exitCode, signal, cause, message }) => {
		const known = cause === "guest-failed" ? "program" : cause;
		const ending = { exitCode, signal, cause: known, message } as const;
		sendLine(socket, { say: "ended", ending, console: console.lastLine, said: said.lastLine });
		socket.end();
	});
	sendLine(socket, { say: "machine", folder, supervisorPid, programPid });
	return waiting;
}
