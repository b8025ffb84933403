import type { GateContext, Guest, TunnelEnds } from "./admission.ts";
import { judgeFirstFlight, TLS_ALERT } from "./first-flight.ts";
import { refusalResponse } from "./http-route.ts";
import { serveHttp } from "./http-session.ts";
import type { GateLimits } from "./limits.ts";
import { streamRoute } from "./stream-route.ts";
import type { Refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

/** Two-way bytes between a guest and where it was admitted to, once its first flight shows what was allowed. */
export async function serveTunnel(context: GateContext, guest: Guest, ends: TunnelEnds): Promise<void> {
	const { client } = guest;
	const { upstream, line, expected } = ends;
	const stopWatching = watch(client, upstream, context.limits);
	// Whoever goes first takes the other along, after what is queued for it has been written.
	client.closed.then(() => upstream.socket.destroySoon());
	let pairing = true;
	upstream.closed.then(() => pairing && client.socket.destroySoon());
	upstream.relayTo(client);
	try {
		const flight = await judgeFirstFlight(client, upstream, line, expected, context.limits);
		if (flight.kind === "pass") {
			client.relayTo(upstream);
			await Promise.all([client.closed, upstream.closed]);
			return;
		}
		pairing = false;
		if (flight.kind === "refused") {
			line.decide(flight.refusal);
			const silent = upstream.bytesIn > 0;
			upstream.destroy();
			client.hangUp(silent ? "" : partingWords(flight.shape.kind, flight.refusal), context.limits.lingerMs);
			await client.closed;
			return;
		}
		upstream.stopRelay();
		stopWatching();
		await serveHttp(client, streamRoute(context, guest, ends), context.limits);
	} finally {
		stopWatching();
		line.finish();
	}
}

function partingWords(shape: string, refusal: Refused): Buffer | string {
	if (shape === "tls" || shape === "broken-tls") return TLS_ALERT;
	return shape === "http" ? refusalResponse(403, refusal) : "";
}

/**
 * Cuts both sides when neither moved a byte for the idle time, and at the total time whatever moved. The hot path
 * pays nothing: byte counts are compared four times per idle time.
 */
function watch(client: Wire, upstream: Wire, limits: GateLimits): () => void {
	const cut = (): void => {
		client.destroy();
		upstream.destroy();
	};
	const moved = (): number => client.bytesIn + client.bytesOut + upstream.bytesIn + upstream.bytesOut;
	let last = moved();
	let quietChecks = 0;
	const idle = setInterval(() => {
		quietChecks = moved() === last ? quietChecks + 1 : 0;
		last = moved();
		if (quietChecks >= 4) cut();
	}, limits.idleMs / 4);
	const total = setTimeout(cut, limits.totalMs);
	const stop = (): void => {
		clearInterval(idle);
		clearTimeout(total);
	};
	client.closed.then(stop);
	return stop;
}
