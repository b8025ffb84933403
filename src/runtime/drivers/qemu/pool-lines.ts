import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { z } from "zod";

/** What a run asks of a pool, one JSON document a line. When its connection closes, its machine ends. */
export const poolRequestSchema = z.discriminatedUnion("ask", [
	/** A machine that nobody had, which is ended once it has written so much more to disks; null for no limit. */
	z.strictObject({ ask: z.literal("take"), diskWriteBytes: z.number().positive().nullable() }),
	/** The run listens for the guest's channel now. */
	z.strictObject({ ask: z.literal("connect") }),
	z.strictObject({ ask: z.literal("kill") }),
]);
export type PoolRequest = z.infer<typeof poolRequestSchema>;

const endingSchema = z.strictObject({
	exitCode: z.int().nullable(),
	signal: z.string().nullable(),
	cause: z.enum(["program", "killed", "disk-write-limit", "out-of-memory", "failed-to-start"]),
	message: z.string().nullable(),
});

/** What a pool says to a run. */
export const poolAnswerSchema = z.discriminatedUnion("say", [
	z.strictObject({
		say: z.literal("machine"),
		/** Of the machine: its disks by their roles, and `sockets`. */
		folder: z.string(),
		supervisorPid: z.int(),
		programPid: z.int(),
	}),
	z.strictObject({
		say: z.literal("ended"),
		ending: endingSchema,
		/** The last lines of the guest's console and of QEMU itself. */
		console: z.string(),
		said: z.string(),
	}),
]);
export type PoolAnswer = z.infer<typeof poolAnswerSchema>;

export function sendLine(stream: Writable, line: PoolRequest | PoolAnswer): void {
	if (stream.writable) stream.write(`${JSON.stringify(line)}\n`);
}

/** Calls `hear` for each line; one that is not of the schema ends the connection. */
export function onLines<Line>(stream: Readable, schema: z.ZodType<Line>, hear: (line: Line) => void): void {
	createInterface({ input: stream }).on("line", (text) => {
		try {
			hear(schema.parse(JSON.parse(text)));
		} catch {
			stream.destroy();
		}
	});
}
