import assert from "node:assert/strict";
import type { World } from "./fleet-world.ts";
import { judgeEnd, judgeFacilities, judgeOwners } from "./judge.ts";
import { SimulatedNode } from "./node.ts";
import { Random } from "./random.ts";
import { AcknowledgedRecord } from "./record.ts";
import { newTenant, type Tenant } from "./tenant.ts";

const API = "/mothership/api/v1";
const MOST_HEALING_ROUNDS = 60;
const DAY_MS = 86_400_000;
const PAST_LEASE_MS = 310_000;

interface Open {
	readonly id: string;
	readonly state: string;
	readonly ready: 0 | 1;
}

/**
 * One schedule: people submit, approve and cancel; nodes poll, run and report over a network that loses, doubles and delays;
 * nodes and control planes die; time passes; leases are reaped. In the end everything heals, and what was acknowledged is so.
 */
export class Schedule {
	readonly #world: World;
	readonly #random: Random;
	readonly #record = new AcknowledgedRecord();
	readonly #late: (() => Promise<unknown>)[] = [];
	#nodes: readonly SimulatedNode[] = [];
	#tenant: Tenant | undefined;

	constructor(world: World, seed: number) {
		this.#world = world;
		this.#random = new Random(seed);
	}

	/** Throws what did not hold. Answers the directives that there were. */
	async run(): Promise<number> {
		await this.#prepare();
		const steps = 4 + this.#random.below(10);
		for (let step = 0; step < steps; step++) {
			// Up to three things at once: their transactions interleave.
			const count = 1 + this.#random.below(3);
			await Promise.all(Array.from({ length: count }, () => this.#act()));
			await this.#judgeNow();
		}
		await this.#heal();
		await judgeEnd(this.#world, this.#its.accountId, this.#record);
		return this.#record.directives.length;
	}

	get #its(): Tenant {
		assert.ok(this.#tenant);
		return this.#tenant;
	}

	async #prepare(): Promise<void> {
		const [world, random] = [this.#world, this.#random];
		world.chance(random, "whole");
		// Past every rate limit's window of the schedule before.
		world.nowMs += 2 * DAY_MS;
		const signs = random.percent(25) ? "receipts" : "nothing";
		const size = { nodes: 1 + random.below(3), facilities: 1 + random.below(2), signs } as const;
		this.#tenant = await newTenant(world.store, size);
		// Each schedule has a network of its own: on a good one things go far, on a bad one they go wrong.
		const network = { lostPercent: random.below(3) ** 2 * 6, latePercent: random.below(3) ** 2 * 6 };
		const parts = { world, random, record: this.#record, signs, network, late: this.#late } as const;
		this.#nodes = this.#tenant.territories.map((territoryId) => new SimulatedNode({ ...parts, territoryId }));
		world.chance(random, "crashes");
	}

	async #act(): Promise<void> {
		const random = this.#random;
		const node = random.pick(this.#nodes);
		assert.ok(node);
		const chance = random.below(100);
		if (chance < 18) await this.#submit();
		else if (chance < 22) await this.#answer();
		else if (chance < 26) await this.#cancel();
		else if (chance < 44) await node.poll();
		else if (chance < 76) await node.progress();
		else if (chance < 80) await this.#resend();
		else if (chance < 85) await this.#command(node);
		else if (chance < 90) node.dieOrReturn();
		else if (chance < 92) node.isPartitioned = !node.isPartitioned;
		else if (chance < 96) await this.#pass(1_000 + random.below(150_000));
		else await this.#outage(node);
	}

	/** Time; a control plane's jobs may be late. */
	async #pass(durationMs: number): Promise<void> {
		this.#world.nowMs += durationMs;
		if (this.#random.percent(80)) await this.#world.runJobs();
	}

	/** A node is cut off for longer than a lease, ends its work meanwhile, and asks for more before it has told. */
	async #outage(node: SimulatedNode): Promise<void> {
		node.isPartitioned = true;
		await node.progress();
		await node.progress();
		await this.#pass(PAST_LEASE_MS);
		node.isPartitioned = false;
		await node.poll();
	}

	async #submit(): Promise<void> {
		const random = this.#random;
		const isDoubtful = random.percent(15);
		const request = {
			command: isDoubtful ? "make | tee log" : "make test",
			sandbox_profile: isDoubtful ? "trusted" : "untrusted",
			priority: random.below(3),
			max_attempts: random.percent(50) ? 3 : 1,
		};
		const facility = random.pick(this.#its.facilities);
		const headers = { ...this.#its.as.member, "idempotency-key": `k${random.below(1e9)}` };
		const send = () => this.#world.call("POST", `${API}/facilities/${facility}/directives`, request, headers);
		// The control plane may have died before or after: whoever asks again with the key gets the same one.
		const first = await send();
		const reply = first === undefined || random.percent(20) ? await send() : first;
		if (reply === undefined) return;
		assert.ok(reply.status === 201 || reply.status === 202, JSON.stringify(reply));
		const id = String(reply.body.directive_id);
		assert.equal(id, first?.body.directive_id ?? id);
		this.#record.directives.push(id);
	}

	async #answer(): Promise<void> {
		const id = this.#random.pick(this.#record.directives);
		const verb = this.#random.percent(70) ? "approve" : "reject";
		if (id !== undefined) await this.#world.call("POST", `${API}/directives/${id}/${verb}`, {}, this.#its.as.approver);
	}

	async #cancel(): Promise<void> {
		const id = this.#random.pick(this.#record.directives);
		if (id !== undefined) await this.#world.call("POST", `${API}/directives/${id}/cancel`, {}, this.#its.as.member);
	}

	async #command(node: SimulatedNode): Promise<void> {
		if (this.#random.percent(50)) return node.command();
		const request = { capability: "camera.snap", target: { territory_id: node.territoryId } };
		const reply = await this.#world.call("POST", `${API}/commands`, request, this.#its.as.member);
		if (reply !== undefined) this.#record.commands.push(String(reply.body.command_id));
	}

	async #resend(): Promise<void> {
		const [send] = this.#late.splice(this.#random.below(Math.max(1, this.#late.length)), 1);
		await send?.();
	}

	async #judgeNow(): Promise<void> {
		await this.#world.store.read((session) => judgeFacilities(session, this.#its.accountId));
		const written = this.#nodes.flatMap((node) => node.writesIn());
		assert.equal(new Set(written).size, written.length, "two nodes write in one facility");
	}

	/** The network is whole, everybody is up, and nobody asks for more. */
	async #heal(): Promise<void> {
		this.#world.chance(this.#random, "whole");
		for (const node of this.#nodes) Object.assign(node, { isAlive: true, isPartitioned: false });
		while (this.#late.length > 0) await this.#resend();
		for (let round = 0; round < MOST_HEALING_ROUNDS; round++) {
			const open = await this.#open();
			if (open.length === 0 && !this.#nodes.some(({ isBusy }) => isBusy)) break;
			await this.#healOnce(open);
		}
		// Nodes that sign are waited for; an event whose end nobody wrote is journaled as it stands.
		this.#world.nowMs += DAY_MS + 1;
		await this.#world.runJobs();
	}

	async #healOnce(open: readonly Open[]): Promise<void> {
		for (const { id, state } of open)
			if (state === "awaiting_approval")
				await this.#world.call("POST", `${API}/directives/${id}/approve`, {}, this.#its.as.approver);
		for (const node of this.#nodes) {
			if (open.some(({ ready }) => ready === 1)) await node.poll();
			for (let turn = 0; turn < 4 && node.isBusy; turn++) await node.progress();
			if (node.isBusy) await node.command();
		}
		if (this.#nodes.some(({ isBusy }) => isBusy)) return;
		// What is held now is held by nobody.
		this.#world.nowMs += PAST_LEASE_MS;
		await this.#world.runJobs();
		await this.#world.store.read((session) => judgeOwners(session, this.#its.accountId));
	}

	#open(): Promise<readonly Open[]> {
		return this.#world.store.read(({ db }) =>
			db
				.selectFrom("directives")
				.select(["id", "state", "ready"])
				.where("account_id", "=", this.#its.accountId)
				.where("state", "in", ["queued", "awaiting_approval", "leased", "running"])
				.execute(),
		);
	}
}
