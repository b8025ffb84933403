import { PassThrough } from "node:stream";
import { type Ending, type Host, realHost, type Supervised, type SupervisionSpec } from "../../src/host/index.ts";
import { ApiPeer, type PeerScript } from "./api-peer.ts";

/** This machine, but for what the supervisor would start: that is a peer that answers Firecracker's API in the jail. */
export class ScriptedMachine implements AsyncDisposable {
	readonly host: Host;
	readonly specs: SupervisionSpec[] = [];
	/** Set once it was started. */
	peer: ApiPeer | undefined;
	readonly #ended = Promise.withResolvers<Ending>();
	readonly #kill: () => Promise<void>;

	constructor(jailRoot: string, script: PeerScript, kill: () => Promise<void> = async () => {}) {
		this.#kill = kill;
		this.host = {
			...realHost(),
			supervise: async (spec) => {
				this.specs.push(spec);
				this.peer = await ApiPeer.listen(jailRoot, script);
				return this.#supervised();
			},
		};
	}

	/** As when its process ends by itself. */
	async end(ending: Partial<Ending> = {}): Promise<void> {
		await this.#kill();
		await this.peer?.[Symbol.asyncDispose]();
		this.#ended.resolve({ exitCode: 0, signal: null, cause: "program", message: null, counters: null, ...ending });
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.end();
	}

	#supervised(): Supervised {
		return {
			stdin: new PassThrough().resume(),
			stdout: new PassThrough().end("console of the guest\n"),
			stderr: new PassThrough().end(),
			supervisorPid: process.pid,
			programPid: process.pid,
			signal: () => {},
			resize: () => {},
			watchDisk: () => {},
			kill: () => void this.end({ exitCode: null, signal: "SIGKILL", cause: "killed" }),
			onEvent: () => {},
			ended: this.#ended.promise,
		};
	}
}
