/**
 * The kill drill: `node test/drill/drill.ts --seconds 120 [--seed 1]`. A fleet of real processes works while its agents and control
 * planes are killed and stopped at random; then everything comes back, and what was acknowledged is counted. Prints a summary.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Random } from "../scenario/random.ts";
import { type DrillFleet, LEASE_SECONDS, openFleet } from "./fleet.ts";
import { account, watch } from "./watch.ts";

const { values } = parseArgs({
	options: { seconds: { type: "string", default: "120" }, seed: { type: "string", default: "1" } },
});
const PEOPLE = 3;
const SUBMIT_EVERY_MS = 400;
/** Nobody asks for more while so many wait or run: what a busy machine leaves undone would only pile up. */
const MOST_OPEN = 15;
/** In the end something must end at least so often, on a busy machine, until nothing is left. */
const SETTLE_MS = 60_000;

const random = new Random(Number(values.seed));
const seconds = Number(values.seconds);
const counts = { killedAgents: 0, stoppedAgents: 0, killedControlPlanes: 0, stoppedControlPlanes: 0 };
const acknowledged = new Set<string>();

// Whoever ends the drill ends what it started, too.
await using opened = new AsyncDisposableStack();
for (const name of ["SIGINT", "SIGTERM"] as const)
	process.once(name, () => void opened.disposeAsync().finally(() => process.exit(130)));
const fleet = await openFleet(opened);
const endMs = Date.now() + seconds * 1000;
const watching = opened.use(watch(fleet.store));
const asking = Array.from({ length: PEOPLE }, (_, at) => people(fleet, endMs, `person-${at}`));
await Promise.all([...asking, harm(fleet, endMs)]);
await settle(fleet);
const seen = await watching.end();
const { problems, ...outcomes } = await account(fleet.store, acknowledged);
const faults = (await Promise.all([...fleet.agents, ...fleet.servers].map((one) => one.fault()))).filter(
	(fault) => fault !== undefined,
);
const found = [...problems, ...seen.problems, ...faults];
const summary = { seed: Number(values.seed), seconds, ...counts, ...outcomes, leaseSeconds: LEASE_SECONDS };
const longest = { longestOwnerlessMs: seen.longestOwnerlessMs };
process.stdout.write(`${JSON.stringify({ ...summary, ...longest, problems: found.slice(0, 10) })}\n`);
process.exitCode = found.length === 0 ? 0 : 1;

/** Whoever hears nothing asks another control plane, with the same key. */
async function people({ clients, facilities, locks, store }: DrillFleet, endMs: number, name: string): Promise<void> {
	for (let count = 0; Date.now() < endMs; count++) {
		await sleep(SUBMIT_EVERY_MS);
		if ((await openIn(store)) >= MOST_OPEN) continue;
		const facility_id = random.pick(facilities) ?? "";
		const command = `flock -n -E 99 ${locks}/${facility_id} sleep 0.${1 + random.below(9)}`;
		const body = { command, sandbox_profile: "host", max_attempts: 1 + random.below(3), timeout_seconds: 60 };
		const key = { idempotencyKey: `${name}-${count}` };
		for (let attempt = random.below(2); attempt < 6; attempt++) {
			const client = clients[attempt % clients.length];
			const made = await client?.directives.create({ facility_id, body }, key).catch(() => undefined);
			if (made === undefined) continue;
			acknowledged.add(made.directive_id);
			break;
		}
	}
}

async function harm({ agents, servers }: DrillFleet, endMs: number): Promise<void> {
	const hurt: Promise<void>[] = [];
	while (Date.now() < endMs) {
		await sleep(300 + random.below(1_200));
		const whole = agents.filter(({ isHurt }) => !isHurt);
		// One control plane is always up: with none there is nobody to keep a promise.
		const spare = servers.every(({ isHurt }) => !isHurt) ? servers : [];
		const isAgent = random.percent(65);
		const victim = random.pick(isAgent ? whole : spare);
		if (victim === undefined) continue;
		const isKilled = random.percent(55);
		const longestMs = isAgent ? (LEASE_SECONDS + 4) * 1000 : 3_000;
		const durationMs = isKilled ? random.below(3_000) : random.below(longestMs);
		counts[`${isKilled ? "killed" : "stopped"}${isAgent ? "Agents" : "ControlPlanes"}`] += 1;
		hurt.push(isKilled ? victim.killFor(durationMs) : victim.stopFor(durationMs));
	}
	await Promise.all(hurt);
}

async function settle({ store }: DrillFleet): Promise<void> {
	let [left, sinceMs] = [await openIn(store), Date.now()];
	while (left > 0 && Date.now() < sinceMs + SETTLE_MS) {
		await sleep(250);
		const now = await openIn(store);
		if (now !== left) [left, sinceMs] = [now, Date.now()];
	}
}

/** How many directives have not ended. */
async function openIn(store: DrillFleet["store"]): Promise<number> {
	const open = ["queued", "awaiting_approval", "leased", "running"];
	const rows = await store.read(({ db }) =>
		db.selectFrom("directives").select("id").where("state", "in", open).execute(),
	);
	return rows.length;
}
