import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { z } from "zod";
import { PLACE } from "./machine.ts";

const messageSchema = z.looseObject({
	return: z.unknown().optional(),
	error: z.looseObject({ desc: z.string() }).optional(),
});

/** QEMU's machine protocol (QMP) on a private socket: one command at a time, events are passed over. */
export class MachineControl {
	readonly #socket: Socket;
	readonly #lines: AsyncIterator<string>;

	private constructor(socket: Socket) {
		this.#socket = socket;
		this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
	}

	static async greet(socket: Socket): Promise<MachineControl> {
		const control = new MachineControl(socket);
		await control.#lines.next();
		await control.say("qmp_capabilities");
		return control;
	}

	/** QEMU connects the guest's channel to whoever listens at PLACE.channel. */
	async connectChannel(): Promise<void> {
		const addr = { type: "unix", data: { path: PLACE.channel } };
		await this.say("chardev-change", { id: "channel", backend: { type: "socket", data: { addr, server: false } } });
	}

	/** Throws Error with QEMU's own words. */
	async say(command: string, words: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
		this.#socket.write(`${JSON.stringify({ execute: command, arguments: words })}\n`);
		for (;;) {
			const line = await this.#lines.next();
			if (line.done) throw new Error(`QEMU ended before it answered ${command}`);
			const message = messageSchema.parse(JSON.parse(line.value));
			if (message.error !== undefined) throw new Error(`${command}: ${message.error.desc}`);
			if (message.return !== undefined) return message.return;
		}
	}
}
