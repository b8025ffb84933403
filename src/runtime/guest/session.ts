import type { Duplex, Readable, Writable } from "node:stream";
import type { InterfaceCounters, SupervisorEvent, WindowSize } from "../../host/index.ts";
import { type ChannelEnd, type ControlFrame, GuestChannel } from "./channel.ts";
import type { GateDoor } from "./connections.ts";
import { Datagrams } from "./datagrams.ts";
import type { GuestFacts } from "./guest-frame.ts";
import * as say from "./host-frame.ts";
import type { GuestTimes } from "./limits.ts";
import { GENERATION, GUEST_FAILURE } from "./protocol.ts";

/** Why a guest, rather than its workload, ended a run. */
export type GuestFailureReason = "verity" | "boot-timeout" | "guest-stalled" | "guest-protocol" | "guest-lost";

export type GuestEnding =
	| {
			readonly kind: "workload";
			/** As a shell says it: 128 + N for a signal. */
			readonly exitCode: number;
			readonly memory: "limit-met" | "within-limit";
			readonly facts: GuestFacts;
	  }
	| { readonly kind: "failed"; readonly reason: GuestFailureReason; readonly message: string }
	/** The guest could not do what it was set up to do: nothing of the workload ran. */
	| { readonly kind: "not-started"; readonly message: string };

export interface SessionOptions {
	readonly gate: GateDoor;
	readonly times: GuestTimes;
	readonly onEvent: (event: SupervisorEvent) => void;
	/** Fresh for this machine: 64 bytes of the host's randomness, and the time. */
	readonly entropy: () => Uint8Array;
	readonly wallClockNs: () => bigint;
}

type Phase = "boot" | "greeting" | "setup" | "running" | "exited" | "over";

/**
 * The conversation with one guest from its first frame to its last. Everything has a time limit; whatever the guest does, it
 * ends with one `GuestEnding`.
 */
export class GuestSession {
	readonly stdin: Writable;
	readonly stdout: Readable;
	readonly stderr: Readable;
	/** Settles once, when the workload has ended or the guest has failed. Changes are read after it. */
	readonly ended: Promise<GuestEnding>;
	readonly #channel: GuestChannel;
	readonly #options: SessionOptions;
	readonly #datagrams: Datagrams;
	readonly #ready = Promise.withResolvers<GuestFacts>();
	readonly #greeted = Promise.withResolvers<void>();
	readonly #started = Promise.withResolvers<void>();
	readonly #ended = Promise.withResolvers<GuestEnding>();
	readonly #timers = new Set<NodeJS.Timeout>();
	#phase: Phase = "boot";
	#failure: Exclude<GuestEnding, { readonly kind: "workload" }> | null = null;
	#tickedMs = performance.now();

	constructor(socket: Duplex, options: SessionOptions) {
		this.#options = options;
		this.#channel = new GuestChannel(socket, {
			gate: options.gate,
			onEvent: options.onEvent,
			onControl: (frame) => this.#hear(frame),
			onEnd: (end) => this.#channelEnded(end),
		});
		this.#datagrams = new Datagrams((event) => {
			this.#channel.connections.countDatagrams(event.bytes, event.packets);
			options.onEvent(event);
		});
		this.stdin = this.#channel.stdin;
		this.stdout = this.#channel.stdout;
		this.stderr = this.#channel.stderr;
		this.ended = this.#ended.promise;
		for (const { promise } of [this.#ready, this.#greeted, this.#started]) promise.catch(() => {});
		this.#after(options.times.bootMs, () => {
			if (this.#phase === "boot") this.fail("boot-timeout", `nothing was heard of it in ${options.times.bootMs} ms`);
		});
	}

	/** Counted by the channel, which is the guest's only way out. */
	get counters(): InterfaceCounters {
		return this.#channel.connections.counters;
	}

	/** What READY said. Rejects when the guest fails before; `ended` says why. */
	get ready(): Promise<GuestFacts> {
		return this.#ready.promise;
	}

	/** After READY: hands over time and entropy, then the setup, and resolves when the guest has taken all of it. */
	async begin(setup: Buffer): Promise<void> {
		await this.#ready.promise;
		this.#phase = "greeting";
		this.#heartbeat();
		this.#channel.say(say.hello(GENERATION, this.#options.wallClockNs(), this.#options.entropy()));
		await this.#greeted.promise;
		this.#phase = "setup";
		for (const stream of [this.#channel.stdout, this.#channel.stderr, this.#channel.changes]) stream.begin();
		await new Promise<void>((sent) => {
			this.#channel.setup.onSent = sent;
			this.#channel.setup.send(setup);
		});
		this.#channel.setup.finish();
		// Answered after the records before it were carried out.
		this.#channel.say(say.ping(STARTED));
		await this.#started.promise;
	}

	signal(number: number): void {
		this.#channel.say(say.signal(number));
	}

	/** Of a workload with a terminal. */
	resize({ rows, columns }: WindowSize): void {
		this.#channel.say(say.windowSize(rows, columns));
	}

	/** Ends the workload's processes in the guest; when that brings no word in time, `giveUp` is called. */
	kill(giveUp: () => void): void {
		this.signal(SIGKILL);
		this.#after(this.#options.times.killMs, () => {
			if (this.#phase !== "exited") giveUp();
		});
	}

	/** After `ended`: what changed in the workspace, as stream 5 brings it. */
	collect(): Readable {
		this.#channel.say(say.collect());
		this.#after(this.#options.times.collectMs, () => this.fail("guest-stalled", "its changes took too long to come"));
		return this.#channel.changes;
	}

	/** Cuts the channel. After EXIT it is a failure of what was collected. */
	fail(reason: GuestFailureReason, message: string): void {
		this.#end({ kind: "failed", reason, message });
	}

	/** Set when the guest failed, be it after its workload had ended. */
	get failure(): Exclude<GuestEnding, { readonly kind: "workload" }> | null {
		return this.#failure;
	}

	close(): void {
		this.#phase = "over";
		for (const timer of this.#timers) clearTimeout(timer);
		this.#timers.clear();
		this.#datagrams.close();
		this.#channel.close();
		this.#settle({ kind: "failed", reason: "guest-lost", message: "the channel was closed" });
	}

	#hear(frame: ControlFrame): void {
		switch (frame.kind) {
			case "ready":
				this.#hearReady(frame);
				break;
			case "hello-ok":
				if (this.#phase !== "greeting" || frame.generation !== GENERATION) this.#outOfOrder("HELLO-OK");
				else this.#greeted.resolve();
				break;
			case "exit":
				this.#hearExit(frame);
				break;
			case "failed":
				this.#hearFailed(frame);
				break;
			case "ping":
				this.#channel.say(say.pong(frame.bytes));
				break;
			case "pong":
				if (frame.bytes.equals(STARTED)) this.#hearStarted();
				break;
			case "refused-datagram":
				this.#datagrams.note(frame);
		}
	}

	#hearReady(frame: Extract<ControlFrame, { readonly kind: "ready" }>): void {
		if (this.#phase !== "boot" || frame.generation < GENERATION) this.#outOfOrder("READY");
		else if (frame.bootState !== 0) this.fail("guest-lost", `it came up in state ${frame.bootState}`);
		else this.#ready.resolve(frame.facts);
	}

	#hearStarted(): void {
		if (this.#phase === "setup") this.#phase = "running";
		this.#started.resolve();
	}

	#hearExit(frame: Extract<ControlFrame, { readonly kind: "exit" }>): void {
		if (this.#phase !== "setup" && this.#phase !== "running") {
			this.#outOfOrder("EXIT");
			return;
		}
		this.#phase = "exited";
		this.#started.resolve();
		const { code, memory, facts } = frame;
		this.#channel.stdin.destroy();
		for (const stream of [this.#channel.stdout, this.#channel.stderr]) if (!stream.isOver) stream.finish();
		this.#settle({ kind: "workload", exitCode: frame.how === "exited" ? code : 128 + code, memory, facts });
	}

	#hearFailed({ reason, message }: Extract<ControlFrame, { readonly kind: "failed" }>): void {
		const words = printable(message);
		const nothingRan = this.#phase === "greeting" || this.#phase === "setup";
		if (reason === GUEST_FAILURE.verity) this.fail("verity", words);
		else if (reason === GUEST_FAILURE.protocol) this.fail("guest-protocol", words);
		else if (reason === GUEST_FAILURE.setup && nothingRan) this.#end({ kind: "not-started", message: words });
		else this.fail("guest-lost", words);
	}

	#outOfOrder(what: string): void {
		this.fail("guest-protocol", `${what} came when it can't`);
	}

	#channelEnded(end: ChannelEnd): void {
		if (end.kind === "violation") this.fail("guest-protocol", end.message);
		else this.fail("guest-lost", this.#phase === "boot" ? "it ended before it came up" : "it ended without a word");
	}

	#end(failure: Exclude<GuestEnding, { readonly kind: "workload" }>): void {
		this.#failure ??= failure;
		this.#settle(failure);
		this.close();
	}

	/** The first ending counts. */
	#settle(ending: GuestEnding): void {
		this.#ended.resolve(ending);
		const why = new Error("the guest has ended");
		for (const { reject } of [this.#ready, this.#greeted, this.#started]) reject(why);
	}

	#heartbeat(): void {
		const { heartbeatMs, stallMs } = this.#options.times;
		const timer = setInterval(() => {
			const nowMs = performance.now();
			// This process itself may have been stopped, or be held back by what it reads: then the guest is not to blame.
			const late = nowMs - this.#tickedMs > 2 * heartbeatMs;
			this.#tickedMs = nowMs;
			if (late || this.#channel.isHeldBack) this.#channel.heardMs = nowMs;
			const silentMs = nowMs - this.#channel.heardMs;
			if (silentMs >= stallMs) this.fail("guest-stalled", `nothing was heard of it in ${stallMs} ms`);
			else if (silentMs >= heartbeatMs / 2) this.#channel.say(say.ping(ALIVE));
		}, heartbeatMs);
		this.#timers.add(timer);
	}

	#after(ms: number, act: () => void): void {
		this.#timers.add(setTimeout(act, ms));
	}
}

const SIGKILL = 9;
const STARTED = Buffer.from("started");
const ALIVE = Buffer.from("alive");

/** The guest chose these words: no control characters of a terminal. */
function printable(text: string): string {
	return text.replace(/[^\x20-\x7e]+/g, " ").slice(0, 300);
}
