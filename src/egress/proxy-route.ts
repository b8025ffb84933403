import { admit, expectationOf, type GateContext, type Guest, noteRefusal } from "./admission.ts";
import { parseAuthority, textOfDestination, textOfHost } from "./destination.ts";
import type { RequestHead } from "./http-head.ts";
import { judgeRequest, proxyTarget, unreadableRequest } from "./http-judge.ts";
import { type HttpRoute, recordRequest, refusalResponse, refusedRequest, usable } from "./http-route.ts";
import type { Line } from "./ledger.ts";
import { serveTunnel } from "./tunnel.ts";
import { type Refused, refused } from "./verdict.ts";
import type { Wire } from "./wire.ts";

interface Kept {
	readonly key: string;
	readonly line: Line;
	upstream: Wire | null;
}

/** Requests to the gate as an HTTP proxy: each names its own destination. */
export function proxyRoute(context: GateContext, guest: Guest): HttpRoute {
	let kept: Kept | null = null;
	const drop = (): void => {
		kept?.upstream?.destroy();
		if (kept !== null) kept.upstream = null;
	};
	return {
		drop,
		connect: (head) => connect(context, guest, head),
		malformed: (problem) => {
			const refusal = unreadableRequest(problem);
			noteRefusal(context, guest, { method: "HTTP", host: "", port: 0 }, refusal);
			return refusedRequest(refusal);
		},
		open: async (head) => {
			const outcome = proxyTarget(head);
			if (outcome.kind === "refused") {
				noteRefusal(context, guest, { method: "HTTP", host: "", port: 0 }, outcome.refusal);
				return outcome;
			}
			const { target } = outcome;
			const key = textOfDestination(textOfHost(target.host), target.port);
			const refusal = judgeRequest(expectationOf(context, target).httpRules, head.method, target.target);
			if (refusal !== null) {
				const line = noteRefusal(
					context,
					guest,
					{ method: "HTTP", host: textOfHost(target.host), port: target.port },
					refusal,
				);
				if (line !== null) recordRequest(line, head, target);
				return refusedRequest(refusal);
			}
			const again = kept?.key === key ? usable(kept.upstream) : null;
			if (kept !== null && again !== null) {
				recordRequest(kept.line, head, target);
				return { kind: "opened", upstream: again, use: "reused", line: kept.line, target };
			}
			drop();
			kept?.line.finish();
			kept = null;
			const admission = await admit(context, guest, { method: "HTTP", host: target.host, port: target.port });
			if (admission.kind === "refused") {
				if (admission.line !== null) recordRequest(admission.line, head, target);
				return refusedRequest(admission.refusal);
			}
			kept = { key, line: admission.line, upstream: admission.upstream };
			recordRequest(admission.line, head, target);
			return { kind: "opened", upstream: admission.upstream, use: "fresh", line: admission.line, target };
		},
	};
}

/** CONNECT (RFC 9110 section 9.3.6): a tunnel to an allowed place, or a refusal after which nothing is read. */
async function connect(context: GateContext, guest: Guest, head: RequestHead): Promise<void> {
	const { client } = guest;
	const { lingerMs } = context.limits;
	const reject = (refusal: Refused): void => {
		client.hangUp(refusalResponse(refusedRequest(refusal).status, refusal), lingerMs);
	};
	const asked = parseAuthority(head.target, 443);
	if (asked.kind === "invalid" || head.framing.kind !== "none") {
		const problem = asked.kind === "invalid" ? asked.problem : "CONNECT has no body";
		const refusal = refused("INVALID_DESTINATION", `the CONNECT target can't be used: ${problem}`);
		noteRefusal(context, guest, { method: "CONNECT", host: head.target, port: 0 }, refusal);
		return reject(refusal);
	}
	const { host, port } = asked;
	const said = head.host === null ? null : parseAuthority(head.host, port);
	if (said !== null && (said.kind === "invalid" || textOfHost(said.host) !== textOfHost(host))) {
		const refusal = refused("SNI_MISMATCH", `CONNECT names ${head.target} and its Host field ${head.host ?? ""}`);
		noteRefusal(context, guest, { method: "CONNECT", host: textOfHost(host), port }, refusal)?.saw({
			httpHost: head.host,
		});
		return reject(refusal);
	}
	const admission = await admit(context, guest, { method: "CONNECT", host, port });
	if (admission.kind === "refused") return reject(admission.refusal);
	client.send("HTTP/1.1 200 Connection Established\r\n\r\n");
	await serveTunnel(context, guest, { ...admission, host, port });
}
