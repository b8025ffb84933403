import { bodyReader, chunkOf, LAST_CHUNK } from "./http-body.ts";
import type { Framing } from "./http-head.ts";
import type { GateLimits } from "./limits.ts";
import type { Wire } from "./wire.ts";

export type BodyOutcome = "done" | "malformed" | "cut";

/** Moves a body from one side to the other, taken apart and framed anew. */
export async function moveBody(
	from: Wire,
	to: Wire,
	framing: Framing,
	asChunks: "chunks" | "plain",
	limits: GateLimits,
): Promise<BodyOutcome> {
	if (framing.kind === "none" || (framing.kind === "length" && framing.bytes === 0)) return "done";
	const reader = bodyReader(framing);
	for (;;) {
		while (from.held.length > 0) {
			const step = reader.read(from.held);
			if (step.state === "malformed") return "malformed";
			if (step.data.length > 0) {
				const slow = asChunks === "chunks" ? to.send(chunkOf(step.data)) : sendAll(to, step.data);
				if (slow !== undefined) await slow;
			}
			from.take(step.used);
			if (step.state === "done") {
				if (asChunks === "chunks") to.send(LAST_CHUNK);
				return "done";
			}
			if (step.used === 0) break;
		}
		if (to.isClosed) return "cut";
		const arrival = await from.more(limits.idleMs);
		if (arrival === "bytes") continue;
		return arrival === "end" && reader.endsWithConnection ? "done" : "cut";
	}
}

function sendAll(to: Wire, parts: readonly Buffer[]): Promise<void> | undefined {
	let slow: Promise<void> | undefined;
	for (const part of parts) slow = to.send(part);
	return slow;
}
