import assert from "node:assert/strict";
import { newTenant, type Reply, type Tenant, type World } from "./fleet-world.ts";
import { Random } from "./random.ts";

/**
 * One schedule: people submit, approve and cancel; nodes poll, run and report over a network that loses, doubles and delays; nodes
 * die and come back with what they had on disk; time passes; leases are reaped. In the end everything heals, and every
 * directive that was acknowledged has ended once.
 */
const API = "/mothership/api/v1";
const NODE = "/conduits/v1";
const STEPS = 24;
const NODES = 3;
const FACILITIES = 2;
const MOST_HEALING_ROUNDS = 60;
const OPEN = ["queued", "awaiting_approval", "leased", "running"];
/** Longer than any rate limit's window but that of enrolling, which is by address and an hour. */
const PAST_RATES_MS = 400_000;

interface Held {
	readonly directiveId: string;
	token: string;
	phase: "leased" | "running" | "done";
	/** What it will say in the end; the same however often it says it. */
	report: Readonly<Record<string, unknown>> | null;
}

interface Node {
	readonly headers: Readonly<Record<string, string>>;
	isAlive: boolean;
	isPartitioned: boolean;
	/** In memory: gone when it dies. */
	held: Held[];
	/** On disk: reports that were not delivered. */
	wal: Held[];
}

export class Schedule {
	readonly #world: World;
	readonly #random: Random;
	readonly #nodes: Node[] = [];
	readonly #facilities: string[] = [];
	readonly #submitted: string[] = [];
	/** How often a node began to run each directive. */
	readonly #runs = new Map<string, number>();
	/** Requests that come once more, much later. */
	readonly #late: (() => Promise<unknown>)[] = [];
	#tenant: Tenant | undefined;

	constructor(world: World, seed: number) {
		this.#world = world;
		this.#random = new Random(seed);
	}

	async run(): Promise<void> {
		await this.#prepare();
		for (let step = 0; step < STEPS; step++) {
			// Up to three things at once: their transactions interleave.
			const count = 1 + this.#random.below(3);
			await Promise.all(Array.from({ length: count }, () => this.#act()));
			await this.#oneWriter();
		}
		await this.#heal();
		await this.#judge();
	}

	get #as(): Tenant["as"] {
		assert.ok(this.#tenant);
		return this.#tenant.as;
	}

	async #prepare(): Promise<void> {
		this.#world.nowMs += 3_600_000;
		this.#tenant = await newTenant(this.#world);
		for (let index = 0; index < NODES; index++) {
			const token = await this.#world.call("POST", `${API}/enrollment_tokens`, {}, this.#as.owner);
			const asked = { enroll_token: token.body.token };
			const { body } = await this.#world.call("POST", `${NODE}/territories/enroll`, asked, {});
			const headers = { "x-nexus-territory-id": String(body.territory_id) };
			this.#nodes.push({ headers, isAlive: true, isPartitioned: false, held: [], wal: [] });
		}
		this.#world.nowMs += PAST_RATES_MS;
		for (let index = 0; index < FACILITIES; index++) {
			const { body } = await this.#world.call("POST", `${API}/facilities`, {}, this.#as.owner);
			this.#facilities.push(String(body.id));
		}
	}

	async #act(): Promise<void> {
		const node = this.#random.pick(this.#nodes);
		assert.ok(node);
		const chance = this.#random.below(100);
		if (chance < 18) await this.#submit();
		else if (chance < 22) await this.#answer();
		else if (chance < 26) await this.#cancel();
		else if (chance < 46) await this.#poll(node);
		else if (chance < 78) await this.#progress(node);
		else if (chance < 84) await this.#resend();
		else if (chance < 89) this.#die(node);
		else if (chance < 92) node.isPartitioned = !node.isPartitioned;
		else if (chance < 97) this.#world.nowMs += 1_000 + this.#random.below(200_000);
		else await this.#world.control.runJobs();
	}

	/** The network: a request may be lost, its answer may be lost, and it may come twice or once more much later. */
	async #send(node: Node, path: string, body: unknown, token?: string): Promise<Reply | undefined> {
		if (!node.isAlive || node.isPartitioned || this.#random.percent(5)) return undefined;
		const headers = { ...node.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
		const send = () => this.#world.call("POST", `${NODE}${path}`, body, headers);
		const reply = await send();
		assert.ok(reply.status < 500, `${path}: ${JSON.stringify(reply)}`);
		if (this.#random.percent(6)) await send();
		if (this.#random.percent(4)) this.#late.push(send);
		return this.#random.percent(6) ? undefined : reply;
	}

	async #submit(): Promise<void> {
		const isDoubtful = this.#random.percent(15);
		const request = {
			command: isDoubtful ? "make | tee log" : "make test",
			sandbox_profile: isDoubtful ? "trusted" : "untrusted",
			priority: this.#random.below(3),
			max_attempts: this.#random.percent(25) ? 3 : 1,
		};
		const facility = this.#random.pick(this.#facilities);
		const key = { "idempotency-key": `k${this.#submitted.length}-${this.#random.below(1e9)}` };
		const headers = { ...this.#as.member, ...key };
		const send = () => this.#world.call("POST", `${API}/facilities/${facility}/directives`, request, headers);
		const { status, body } = await send();
		assert.ok(status === 201 || status === 202, JSON.stringify(body));
		this.#submitted.push(String(body.directive_id));
		if (this.#random.percent(20)) assert.equal((await send()).body.directive_id, body.directive_id);
	}

	async #answer(): Promise<void> {
		const id = this.#random.pick(this.#submitted);
		const verb = this.#random.percent(70) ? "approve" : "reject";
		if (id !== undefined) await this.#world.call("POST", `${API}/directives/${id}/${verb}`, {}, this.#as.approver);
	}

	async #cancel(): Promise<void> {
		const id = this.#random.pick(this.#submitted);
		if (id !== undefined) await this.#world.call("POST", `${API}/directives/${id}/cancel`, {}, this.#as.member);
	}

	async #poll(node: Node): Promise<void> {
		const asked = { supported_sandbox_profiles: ["untrusted", "trusted"], max_directives_to_claim: 2 };
		const reply = await this.#send(node, "/polls", asked);
		const leases = (reply?.body.directives ?? []) as { directive_id: string; directive_token: string }[];
		for (const { directive_id: directiveId, directive_token: token } of leases)
			node.held.push({ directiveId, token, phase: "leased", report: null });
	}

	async #progress(node: Node): Promise<void> {
		const held = this.#random.pick([...node.held, ...node.wal]);
		if (held === undefined || !node.isAlive) return;
		const path = `/directives/${held.directiveId}`;
		if (held.phase === "leased") return this.#begin(node, held, path);
		if (held.phase === "running" && this.#random.percent(50)) return this.#whileRunning(node, held, path);
		held.phase = "done";
		const isGood = this.#random.percent(70);
		held.report ??= { status: isGood ? "succeeded" : "failed", exit_code: isGood ? 0 : 1 };
		const reply = await this.#send(node, `${path}/finished`, held.report, held.token);
		if (reply !== undefined) this.#drop(node, held);
		else if (!node.wal.includes(held)) node.wal.push(held);
	}

	async #begin(node: Node, held: Held, path: string): Promise<void> {
		const reply = await this.#send(node, `${path}/started`, { sandbox_version: "sim" }, held.token);
		if (reply === undefined) return;
		if (reply.status !== 200) return this.#drop(node, held);
		if (held.phase !== "leased") return;
		held.phase = "running";
		this.#runs.set(held.directiveId, (this.#runs.get(held.directiveId) ?? 0) + 1);
	}

	async #whileRunning(node: Node, held: Held, path: string): Promise<void> {
		const chunk = { stream: "stdout", seq: this.#random.below(4), bytes: "aGkK" };
		await this.#send(node, `${path}/log_chunks`, chunk, held.token);
		const beat = await this.#send(node, `${path}/heartbeat`, {}, held.token);
		if (beat === undefined) return;
		// The lease is lost: the work stops.
		if (beat.status >= 400) return this.#drop(node, held);
		held.token = String(beat.body.directive_token);
		if (beat.body.cancel_requested === true) held.report ??= { status: "canceled", exit_code: 137 };
	}

	#drop(node: Node, held: Held): void {
		node.held = node.held.filter((one) => one !== held);
		node.wal = node.wal.filter((one) => one !== held);
	}

	async #resend(): Promise<void> {
		const [send] = this.#late.splice(this.#random.below(Math.max(1, this.#late.length)), 1);
		await send?.();
	}

	/** Dead: what it ran is over and nobody reports it, but for what its log on disk holds. */
	#die(node: Node): void {
		if (node.isAlive) node.held = [];
		node.isAlive = !node.isAlive;
	}

	async #oneWriter(): Promise<void> {
		await this.#world.store.read(async ({ db }) => {
			for (const facility of this.#facilities) {
				const held = await db
					.selectFrom("directives")
					.select("id")
					.where("facility_id", "=", facility)
					.where("state", "in", ["leased", "running"])
					.execute();
				assert.ok(held.length <= 1, `facility ${facility} has ${held.length} writers`);
				const { locked_by_directive_id: lock } = await db
					.selectFrom("facilities")
					.select("locked_by_directive_id")
					.where("id", "=", facility)
					.executeTakeFirstOrThrow();
				assert.equal(lock, held[0]?.id ?? null, "the lock names who holds it");
			}
		});
	}

	/** The network is whole, every node is up, and nobody asks for more. */
	async #heal(): Promise<void> {
		for (const node of this.#nodes) Object.assign(node, { isAlive: true, isPartitioned: false });
		for (let round = 0; round < MOST_HEALING_ROUNDS; round++) {
			while (this.#late.length > 0) await this.#resend();
			for (const id of await this.#open(["awaiting_approval"]))
				await this.#world.call("POST", `${API}/directives/${id}/approve`, {}, this.#as.approver);
			for (const node of this.#nodes) {
				await this.#poll(node);
				for (let turn = 0; turn < 4; turn++) await this.#progress(node);
			}
			this.#world.nowMs += 120_000;
			await this.#world.control.runJobs();
			if ((await this.#open(OPEN)).length === 0) return;
		}
	}

	async #open(states: readonly string[]): Promise<readonly string[]> {
		if (this.#submitted.length === 0) return [];
		const rows = await this.#world.store.read(({ db }) =>
			db
				.selectFrom("directives")
				.select("id")
				.where("id", "in", this.#submitted)
				.where("state", "in", states)
				.execute(),
		);
		return rows.map(({ id }) => id);
	}

	async #judge(): Promise<void> {
		assert.deepEqual(await this.#open(OPEN), [], "directives that never ended");
		await this.#oneWriter();
		await this.#world.store.read(async ({ db }) => {
			for (const id of this.#submitted) {
				const row = await db.selectFrom("directives").selectAll().where("id", "=", id).executeTakeFirst();
				assert.ok(row, `directive ${id} was acknowledged and is gone`);
				const runs = this.#runs.get(id) ?? 0;
				assert.ok(runs <= row.max_attempts, `directive ${id} ran ${runs} times of ${row.max_attempts}`);
				const ends = await db
					.selectFrom("audit_events")
					.select("event_type")
					.where("directive_id", "=", id)
					.where("event_type", "=", "directive.finished")
					.execute();
				const isReported = row.finished_status !== null;
				assert.equal(ends.length, isReported ? 1 : 0, `directive ${id} (${row.state}) ended ${ends.length} times`);
			}
		});
	}
}
