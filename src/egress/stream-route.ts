import { admit, type GateContext, type Guest, noteRefusal, type TunnelEnds } from "./admission.ts";
import { textOfHost } from "./destination.ts";
import type { RequestHead } from "./http-head.ts";
import { judgeRequest, type RequestTarget, streamTarget, unreadableRequest } from "./http-judge.ts";
import { type HttpRoute, type Opened, recordRequest, refusedRequest, usable } from "./http-route.ts";
import type { Line } from "./ledger.ts";
import type { Refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

/** Requests on a stream that goes to one place: each must say that place. */
export function streamRoute(context: GateContext, guest: Guest, ends: TunnelEnds): HttpRoute {
	const { host, port, expected } = ends;
	const method = ends.line.draft.method;
	let line = ends.line;
	let upstream: Wire | null = ends.upstream;
	let served = 0;
	const refuse = (refusal: Refused): Line | null => {
		// The first request is what the stream is; a later one is an attempt of its own beside those that were allowed.
		if (served > 0) return noteRefusal(context, guest, { method, host: textOfHost(host), port }, refusal);
		line.decide(refusal);
		return line;
	};
	const opened = (head: RequestHead, target: RequestTarget, wire: Wire, use: Opened["use"]): Opened => {
		served += 1;
		recordRequest(line, head, target);
		return { kind: "opened", upstream: wire, use, line, target };
	};
	return {
		connect: null,
		drop: () => {
			upstream?.destroy();
			upstream = null;
		},
		malformed: (problem) => {
			const refusal = unreadableRequest(problem);
			refuse(refusal);
			return refusedRequest(refusal);
		},
		open: async (head) => {
			const outcome = streamTarget(head, expected.name, host, port);
			const refusal =
				outcome.kind === "refused"
					? outcome.refusal
					: judgeRequest(expected.httpRules, head.method, outcome.target.target);
			if (refusal !== null || outcome.kind === "refused") {
				const why = refusal ?? unreadableRequest("it has no target");
				refuse(why)?.saw({ httpHost: head.host, request: `${head.method} ${head.target.split("?", 1)[0] ?? ""}` });
				return outcome.kind === "refused" ? outcome : refusedRequest(why);
			}
			const kept = usable(upstream);
			if (kept !== null) {
				return opened(head, outcome.target, kept, served === 0 ? "fresh" : "reused");
			}
			const admission = await admit(context, guest, { method, host, port });
			if (admission.kind === "refused") return refusedRequest(admission.refusal);
			line.finish();
			upstream?.destroy();
			({ line, upstream } = admission);
			return opened(head, outcome.target, upstream, "fresh");
		},
	};
}
