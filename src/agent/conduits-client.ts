import { z } from "zod";
import {
	type directiveHeartbeatResponseSchema,
	type Lease,
	leaseSchema,
	pollResponseSchema,
	type territoryHeartbeatRequestSchema,
} from "../api/conduits/schema.ts";
import { WORKLOAD_SCHEMA } from "../api/index.ts";
import { type Command, commandSchema } from "./commands.ts";
import { agentFailures } from "./failures.ts";
import type { Reply, Transport } from "./transport.ts";

const POLL_TIMEOUT_MS = 25_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** Of one piece, over a slow line. */
const ARTIFACT_TIMEOUT_MS = 60_000;
const DEFAULT_LEASE_MS = 300_000;
/** The lease is not ours any more (conduits section 12.2, 9). */
const LOST: ReadonlySet<number> = new Set([401, 403, 404, 409]);

export interface Polled {
	readonly leases: readonly Lease[];
	/** How many more were given that are none of the protocol's: theirs must run out. */
	readonly unreadable: number;
	readonly retryAfterSeconds: number;
	/** How long a lease lasts from when it was given or renewed. */
	readonly leaseMs: number;
}

/** Each that can't be read is none: what the control plane says of versions never stops a node (section 2.3.2). */
const answerSchema = z.object({
	next_heartbeat_interval_seconds: z.number().positive().nullable().catch(null),
	upgrade_available: z.boolean().catch(false),
	latest_version: z.string().nullable().catch(null),
	min_compatible_version: z.string().nullable().catch(null),
});
export type HeartbeatAnswer = z.infer<typeof answerSchema>;

type Heartbeat = z.input<typeof territoryHeartbeatRequestSchema>;
type Renewal = z.infer<typeof directiveHeartbeatResponseSchema>;
type Report = "started" | "finished" | "log_chunks" | "receipt" | "artifacts";

/** The node's side of the protocol (conduits section 2), for one territory. */
export class ConduitsClient {
	readonly #transport: Transport;

	constructor(transport: Transport) {
		this.#transport = transport;
	}

	/** Throws VouchError when there is no answer or it is no lease list; one unreadable lease does not spoil the others. */
	async poll(profiles: readonly string[], most: number, signal: AbortSignal): Promise<Polled> {
		const body = {
			supported_sandbox_profiles: profiles,
			max_directives_to_claim: most,
			workload_schemas: [WORKLOAD_SCHEMA],
		};
		const reply = await this.#transport.post("/conduits/v1/polls", body, { timeoutMs: POLL_TIMEOUT_MS, signal });
		mustBeGood("a poll", reply);
		const outer = pollResponseSchema.omit({ directives: true }).safeParse(reply.body);
		const directives = (reply.body as { directives?: unknown }).directives;
		const leases = (Array.isArray(directives) ? directives : []).flatMap((one) => {
			const lease = leaseSchema.safeParse(withNetMode(one));
			return lease.success ? [lease.data] : [];
		});
		const unreadable = (Array.isArray(directives) ? directives.length : 0) - leases.length;
		if (!outer.success) return { leases, unreadable, retryAfterSeconds: 0, leaseMs: DEFAULT_LEASE_MS };
		const { retry_after_seconds: retryAfterSeconds, lease_ttl_seconds } = outer.data;
		return { leases, unreadable, retryAfterSeconds, leaseMs: lease_ttl_seconds * 1000 };
	}

	/** Seconds until the next one, when the control plane says so, and what it says of versions. */
	async heartbeat(body: Heartbeat): Promise<HeartbeatAnswer> {
		const path = "/conduits/v1/territories/heartbeat";
		const reply = await this.#transport.post(path, body, { timeoutMs: REQUEST_TIMEOUT_MS });
		mustBeGood("the territory's heartbeat", reply);
		return answerSchema.parse(reply.body);
	}

	/** Commands that the channel did not bring; none from a control plane that has no such thing. */
	async pendingCommands(): Promise<readonly Command[]> {
		const reply = await this.#transport.get("/conduits/v1/commands/pending?max=20", { timeoutMs: REQUEST_TIMEOUT_MS });
		const { commands } = (reply.body ?? {}) as { readonly commands?: unknown };
		return Array.isArray(commands) ? commands.flatMap((one) => commandSchema.safeParse(one).data ?? []) : [];
	}

	commandResult(commandId: string, body: unknown): Promise<Reply> {
		const path = `/conduits/v1/commands/${encodeURIComponent(commandId)}/result`;
		return this.#transport.post(path, body, { timeoutMs: REQUEST_TIMEOUT_MS });
	}

	/** Any report on a directive, by the last part of its path. */
	report(directiveId: string, what: Report, body: unknown, token: string): Promise<Reply> {
		const path = `/conduits/v1/directives/${encodeURIComponent(directiveId)}/${what}`;
		const timeoutMs = what === "artifacts" ? ARTIFACT_TIMEOUT_MS : REQUEST_TIMEOUT_MS;
		return this.#transport.post(path, body, { timeoutMs, token });
	}

	/** The renewal, or the status that says the lease is lost. Throws when there is no answer. */
	async renew(directiveId: string, token: string, now: string): Promise<Renewal | { readonly lost: number }> {
		const path = `/conduits/v1/directives/${encodeURIComponent(directiveId)}/heartbeat`;
		const body = { progress: { state: "running" }, now };
		const reply = await this.#transport.post(path, body, { timeoutMs: REQUEST_TIMEOUT_MS, token });
		if (LOST.has(reply.status)) return { lost: reply.status };
		mustBeGood("a directive's heartbeat", reply);
		return reply.body as Renewal;
	}
}

/** An existing control plane says `"net": {}` where no policy says anything: nothing may be reached (conduits section 5.1). */
function withNetMode(lease: unknown): unknown {
	const read = emptyNetSchema.safeParse(lease);
	if (!read.success) return lease;
	const { spec } = read.data;
	return { ...read.data, spec: { ...spec, capabilities: { ...spec.capabilities, net: { mode: "none" } } } };
}

const emptyNetSchema = z.looseObject({
	spec: z.looseObject({ capabilities: z.looseObject({ net: z.strictObject({}) }) }),
});

function mustBeGood(what: string, { status, body }: Reply): void {
	if (status >= 200 && status < 300 && typeof body === "object" && body !== null) return;
	const { error, detail } = (body ?? {}) as { error?: unknown; detail?: unknown };
	throw agentFailures.fail("control-plane-refused", {
		what,
		status: String(status),
		code: typeof error === "string" ? error : "",
		detail: typeof detail === "string" ? detail : "no reason was given.",
	});
}
