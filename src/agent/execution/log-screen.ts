import { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Screens } from "../../runtime/index.ts";
import type { ExecutionTies } from "../engine.ts";

/** Output on its way to the control plane, in place of a terminal. It is shown to others, so secrets are masked. */
export class LogScreens implements Screens {
	readonly stdin = null;
	readonly stdout: Writable;
	readonly stderr: Writable;
	readonly secrets = "masked";
	readonly #write: ExecutionTies["write"];

	constructor(write: ExecutionTies["write"]) {
		this.#write = write;
		this.stdout = this.#screen("stdout");
		this.stderr = this.#screen("stderr");
	}

	readonly say = (text: string): void => {
		void this.note(`[vouch] ${text}`);
	};

	/** A line of ours among the command's. */
	note(line: string): Promise<void> {
		return this.#write("stderr", Buffer.from(`${line}\n`));
	}

	/** Resolves when everything was handed on. */
	async end(): Promise<void> {
		await Promise.all([this.stdout, this.stderr].map((screen) => finished(screen.end())));
	}

	#screen(stream: "stdout" | "stderr"): Writable {
		return new Writable({
			write: (chunk: Buffer, _encoding, done) => {
				this.#write(stream, chunk).then(() => done(), done);
			},
		});
	}
}
