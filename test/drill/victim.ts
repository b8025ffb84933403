import { setTimeout as sleep } from "node:timers/promises";
import type { FrontDoor, Going } from "../system/front-door.ts";

/** A program of the fleet that is killed and stopped, and started again as a service manager would. */
export class Victim {
	readonly name: string;
	readonly #door: FrontDoor;
	readonly #words: readonly string[];
	readonly #environment: Readonly<Record<string, string>>;
	#going: Going;
	isHurt = false;

	constructor(name: string, door: FrontDoor, words: readonly string[], environment: Readonly<Record<string, string>>) {
		this.name = name;
		this.#door = door;
		this.#words = words;
		this.#environment = environment;
		this.#going = this.#start();
	}

	get going(): Going {
		return this.#going;
	}

	async killFor(durationMs: number): Promise<void> {
		this.isHurt = true;
		this.#going.process.kill("SIGKILL");
		await this.#going.ended;
		await sleep(durationMs);
		this.#going = this.#start();
		this.isHurt = false;
	}

	async stopFor(durationMs: number): Promise<void> {
		this.isHurt = true;
		this.#going.process.kill("SIGSTOP");
		await sleep(durationMs);
		this.#going.process.kill("SIGCONT");
		this.isHurt = false;
	}

	/** Undefined while it runs; else what it said at the end. */
	async fault(): Promise<string | undefined> {
		const { exitCode, signalCode } = this.#going.process;
		if (exitCode === null && signalCode === null) return undefined;
		return `${this.name} ended by itself: ${(await this.#going.ended).stderr.slice(-500)}`;
	}

	#start(): Going {
		return this.#door.start(this.#words, { input: null, environment: this.#environment });
	}
}
