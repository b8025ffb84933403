import { arch, availableParallelism, freemem, hostname, release, totalmem, uptime } from "node:os";
import type { Logger } from "pino";
import { z } from "zod";
import type { Json } from "../core/index.ts";
import { delivered, type Waiting } from "./back-off.ts";
import type { ConduitsClient } from "./conduits-client.ts";

/** A command as the channel and `commands/pending` give it (conduits sections 2.4.1 and 4.4). */
export const commandSchema = z.object({
	command_id: z.string().max(128),
	capability: z.string().max(255),
	bridge_entity_ref: z.string().max(255).nullish(),
});
export type Command = z.infer<typeof commandSchema>;

type Capability = () => Readonly<Record<string, Json>>;

/** What this machine can tell or do as a device. */
const CAPABILITIES: Readonly<Record<string, Capability>> = {
	"system.info": () => ({
		platform: process.platform,
		architecture: arch(),
		hostname: hostname(),
		kernel: release(),
		processors: availableParallelism(),
		memory_bytes: totalmem(),
		free_memory_bytes: freemem(),
		uptime_seconds: Math.floor(uptime()),
	}),
};

export const capabilityNames: readonly string[] = Object.keys(CAPABILITIES);

/** Does a command and tells its result, again until it is heard. One that was told twice is stored once. */
export async function serveCommand(
	{ command_id: id, capability, bridge_entity_ref: entity }: Command,
	parts: {
		readonly client: ConduitsClient;
		readonly waiting: Waiting;
		readonly log: Logger;
		readonly stop: AbortSignal;
	},
): Promise<void> {
	const { client, waiting, log, stop } = parts;
	const act = Object.hasOwn(CAPABILITIES, capability) ? CAPABILITIES[capability] : undefined;
	const result =
		act === undefined || entity
			? { status: "failed", result: {}, error_message: `This node has no capability ${capability}.` }
			: { status: "completed", result: act() };
	const reply = await delivered(() => client.commandResult(id, result), waiting, stop);
	log.info({ command: id, capability, status: result.status, answer: reply?.status ?? 0 }, "a command was served");
}
