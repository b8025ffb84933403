import { constants } from "node:os";
import { z } from "zod";
import type { Ending, SupervisorEvent } from "./host.ts";

const count = z.int().nonnegative();

const counters = z.strictObject({
	txBytes: count,
	txPackets: count,
	rxBytes: count,
	rxPackets: count,
	retransmittedBytes: count,
});

/** The lines that the supervisor writes to its control socket. */
const report = z.discriminatedUnion("event", [
	z.strictObject({ event: z.literal("started"), pid: z.int().positive() }),
	z.strictObject({ event: z.literal("connection"), id: count, received: count, sent: count }),
	z.strictObject({
		event: z.literal("datagram"),
		protocol: count,
		source: z.string().max(64),
		destination: z.string().max(64),
		port: z.int().min(0).max(65535),
		bytes: count,
		packets: count,
	}),
	z.strictObject({
		event: z.literal("ended"),
		exitCode: z.int().min(0).max(255).nullable(),
		signal: z.int().min(1).max(64).nullable(),
		cause: z.enum(["program", "killed", "disk-write-limit", "out-of-memory", "failed-to-start"]),
		message: z.string().nullable(),
		counters: counters.nullable(),
	}),
]);

export type Report =
	| { readonly kind: "started"; readonly programPid: number }
	| { readonly kind: "event"; readonly event: SupervisorEvent }
	| { readonly kind: "ended"; readonly ending: Ending };

/** Throws on a line that is not the supervisor's. */
export function readReport(line: string): Report {
	const said = report.parse(JSON.parse(line));
	if (said.event === "started") return { kind: "started", programPid: said.pid };
	if (said.event !== "ended") return { kind: "event", event: said };
	const { event: _, signal, ...rest } = said;
	return { kind: "ended", ending: { ...rest, signal: signal === null ? null : signalName(signal) } };
}

function signalName(number: number): NodeJS.Signals {
	for (const [name, value] of Object.entries(constants.signals)) {
		if (value === number) return name as NodeJS.Signals;
	}
	// Real-time signals have no name in Node; they end a program like a kill does.
	return "SIGKILL";
}

/** Splits a byte stream into its lines. */
export class LineSplitter {
	#rest = "";
	lines(part: Buffer): string[] {
		const lines = (this.#rest + part.toString("latin1")).split("\n");
		this.#rest = lines.pop() ?? "";
		return lines;
	}
}
