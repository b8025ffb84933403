import assert from "node:assert/strict";
import { toBase64 } from "../../src/core/index.ts";
import { sampleSealed, sampleSigner } from "../../src/evidence/index.ts";
import type { Reply, World } from "./fleet-world.ts";
import type { Random } from "./random.ts";
import type { AcknowledgedRecord } from "./record.ts";

const NODE = "/conduits/v1";
/** A node that can't renew its lease stops the work so long after it last could. */
const LEASE_MS = 300_000;
export const NODE_KEY = sampleSigner(7);

interface Lease {
	readonly directive_id: string;
	readonly directive_token: string;
	readonly lease_id: string;
	readonly workload: never;
	readonly decision: { readonly payload: string };
	readonly spec: { readonly facility: { readonly id: string } };
}

interface Held {
	readonly lease: Lease;
	token: string;
	phase: "leased" | "running" | "done";
	/** When the last answer that renewed the lease was asked for. */
	renewedAtMs: number;
	/** What it will say in the end; the same however often it says it. */
	report: { readonly status: string; readonly exit_code: number } | null;
	isReceiptSent: boolean;
}

export interface NodeParts {
	readonly world: World;
	readonly random: Random;
	readonly record: AcknowledgedRecord;
	readonly territoryId: string;
	/** Whether it signs receipts. */
	readonly signs: "receipts" | "nothing";
	/** Requests that are lost, and those that come late, out of a hundred. */
	readonly network: { readonly lostPercent: number; readonly latePercent: number };
	/** Requests that come once more, much later. */
	readonly late: (() => Promise<unknown>)[];
}

/** A node that dies, is cut off, comes back with what it had on disk, and says everything at the worst moment. */
export class SimulatedNode {
	readonly #parts: NodeParts;
	/** In memory: gone when it dies. */
	#held: Held[] = [];
	/** On disk: ends that were not delivered. */
	#wal: Held[] = [];
	#commands: string[] = [];
	isAlive = true;
	isPartitioned = false;

	constructor(parts: NodeParts) {
		this.#parts = parts;
	}

	get territoryId(): string {
		return this.#parts.territoryId;
	}

	get isBusy(): boolean {
		return this.#held.length + this.#wal.length + this.#commands.length > 0;
	}

	/** Facilities in which it works now, as far as it knows. */
	writesIn(): readonly string[] {
		this.#dropOverdue();
		return this.#held.filter(({ phase }) => phase === "running").map(({ lease }) => lease.spec.facility.id);
	}

	/** What it ran is over and nobody reports it, but for what its log on disk holds. */
	dieOrReturn(): void {
		if (this.isAlive) Object.assign(this, { isAlive: false }).#forget();
		else this.isAlive = true;
	}

	#forget(): void {
		this.#held = [];
		this.#commands = [];
	}

	async poll(): Promise<void> {
		const asked = { supported_sandbox_profiles: ["untrusted", "trusted"], max_directives_to_claim: 2 };
		const askedAtMs = this.#parts.world.nowMs;
		const reply = await this.#send("POST", "/polls", asked);
		for (const lease of (reply?.body.directives ?? []) as Lease[]) {
			const held = { lease, token: lease.directive_token, renewedAtMs: askedAtMs, report: null, isReceiptSent: false };
			this.#held.push({ ...held, phase: "leased" });
		}
	}

	/** The next thing of something that it holds. */
	async progress(): Promise<void> {
		this.#dropOverdue();
		const held = this.#parts.random.pick([...this.#held, ...this.#wal]);
		if (held === undefined || !this.isAlive) return;
		if (held.phase === "leased") return this.#begin(held);
		if (held.phase === "running" && this.#parts.random.percent(40)) return this.#whileRunning(held);
		held.phase = "done";
		if (this.#parts.signs === "receipts" && !held.isReceiptSent && this.#parts.random.percent(80))
			return this.#sendReceipt(held);
		await this.#finish(held);
	}

	async command(): Promise<void> {
		const id = this.#commands.pop();
		if (id === undefined) {
			const reply = await this.#send("GET", "/commands/pending?max=2", null);
			const given = (reply?.body.commands ?? []) as { command_id: string }[];
			this.#commands.push(...given.map(({ command_id }) => command_id));
			return;
		}
		const picture = this.#parts.random.below(1e6);
		const result = { status: "completed", result: { picture } };
		const reply = await this.#send("POST", `/commands/${id}/result`, result);
		if (reply?.status === 200 && reply.body.duplicate !== true) this.#parts.record.results.set(id, picture);
	}

	/** The network: a request may be lost, or come late, or twice, or once more much later; its answer may be lost. */
	async #send(method: "GET" | "POST", path: string, body: unknown, token?: string): Promise<Reply | undefined> {
		const { world, random, territoryId, late, network } = this.#parts;
		if (!this.isAlive || this.isPartitioned || random.percent(network.lostPercent)) return undefined;
		const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
		const headers = { "x-nexus-territory-id": territoryId, ...authorization };
		const send = () => world.call(method, `${NODE}${path}`, body, headers);
		if (random.percent(network.latePercent)) {
			late.push(send);
			return undefined;
		}
		const reply = await send();
		assert.ok(reply === undefined || reply.status < 500, `${path}: ${JSON.stringify(reply)}`);
		if (random.percent(6)) await send();
		if (random.percent(4)) late.push(send);
		// Died while it waited, or the answer was lost, or it is told to ask again.
		const isHeard = this.isAlive && !random.percent(6) && reply?.status !== 429;
		return isHeard ? reply : undefined;
	}

	#report(held: Held, what: string, body: unknown): Promise<Reply | undefined> {
		return this.#send("POST", `/directives/${held.lease.directive_id}/${what}`, body, held.token);
	}

	async #begin(held: Held): Promise<void> {
		const askedAtMs = this.#parts.world.nowMs;
		const reply = await this.#report(held, "started", { sandbox_version: "sim" });
		if (reply === undefined) return;
		if (reply.status !== 200) return this.#drop(held);
		if (held.phase !== "leased") return;
		held.phase = "running";
		if (reply.body.duplicate !== true) held.renewedAtMs = askedAtMs;
		this.#parts.record.run(held.lease.directive_id, held.lease.lease_id);
	}

	async #whileRunning(held: Held): Promise<void> {
		const { random, record, world } = this.#parts;
		const chunk = { stream: "stdout", seq: random.below(4), bytes: "aGkK" };
		const kept = await this.#report(held, "log_chunks", chunk);
		if (kept?.status === 200) record.chunk(held.lease.directive_id, chunk.stream, chunk.seq);
		const askedAtMs = world.nowMs;
		const beat = await this.#report(held, "heartbeat", {});
		if (beat === undefined) return;
		// The lease is lost: the work stops.
		if (beat.status >= 400) return this.#drop(held);
		held.token = String(beat.body.directive_token);
		held.renewedAtMs = askedAtMs;
		if (beat.body.cancel_requested === true) held.report ??= this.#endOf(held, "canceled");
	}

	async #sendReceipt(held: Held): Promise<void> {
		const { workload, decision, directive_id: runId } = held.lease;
		const decided = JSON.parse(Buffer.from(decision.payload, "base64").toString());
		const { envelope } = sampleSealed(NODE_KEY, (parts) => {
			const launchPlan = { ...parts.launchPlan, runId, workloadDigest: decided.decision.workloadDigest };
			return { ...parts, runId, workload, launchPlan, image: null, ...decided } as typeof parts;
		});
		const report = { envelope, publicKey: toBase64(NODE_KEY.publicKey.raw) };
		const reply = await this.#report(held, "receipt", report);
		if (reply === undefined) return;
		held.isReceiptSent = true;
		if (reply.status === 200) this.#parts.record.receipts.set(runId, String(reply.body.receipt_digest));
	}

	async #finish(held: Held): Promise<void> {
		const isGood = this.#parts.random.percent(70);
		held.report ??= this.#endOf(held, isGood ? "succeeded" : "failed");
		const reply = await this.#report(held, "finished", held.report);
		if (reply === undefined) {
			if (!this.#wal.includes(held) && this.isAlive) this.#wal.push(held);
			return;
		}
		const { status, exit_code: exitCode } = held.report;
		const { record } = this.#parts;
		const id = held.lease.directive_id;
		// A directive that was given up as lost has ended already: what its node says then is a duplicate of that.
		if (reply.status === 200 && reply.body.duplicate !== true) record.ends.set(id, { status, exitCode });
		if (reply.status === 200) record.finalStates.set(id, String(reply.body.final_state));
		this.#drop(held);
	}

	#endOf({ lease }: Held, status: string) {
		return { status, exit_code: this.#parts.record.exitCodeOf(lease.lease_id) };
	}

	/** What has ended may be told late; what still runs may not run on. */
	#dropOverdue(): void {
		const overdue = this.#parts.world.nowMs - LEASE_MS;
		this.#held = this.#held.filter(({ phase, renewedAtMs }) => phase === "done" || renewedAtMs > overdue);
	}

	#drop(held: Held): void {
		this.#held = this.#held.filter((one) => one !== held);
		this.#wal = this.#wal.filter((one) => one !== held);
	}
}
