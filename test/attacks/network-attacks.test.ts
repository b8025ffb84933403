/**
 * The network attacks, from inside real sandboxes, under every driver. They run in a world of the test's own: a network
 * namespace where every address is a server that remembers. What is asserted is what arrived there.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isolatingDrivers } from "../conformance/isolating-drivers.ts";
import { rootFor } from "../conformance/sandbox.ts";
import { BATCHES } from "./network-batches.ts";
import { type Arrivals, aimOf, type Batch, type NetworkAttack, type Refusal, type Seen } from "./network-case.ts";
import { compileNetworkAttack } from "./network-sandbox.ts";
import type { BatchReport } from "./network-world.ts";

const builds = mkdtempSync(join(tmpdir(), "vouch-net-build-"));
after(() => rmSync(builds, { recursive: true, force: true }));
const helper = join(builds, "net");
const noWorld = worldProblem();
/** In milliseconds, for seventeen sandboxes in turn: for one driver they are machines, emulated. */
const PATIENT = { timeout: 900_000 };

function worldProblem(): string | undefined {
	const problem = compileNetworkAttack(helper);
	if (problem !== undefined) return problem;
	const { status, stderr } = spawnSync("unshare", ["--net", "true"], { encoding: "utf8" });
	return status === 0 ? undefined : `only root can make a world for the servers: ${String(stderr).trim()}`;
}

async function runWorld(driver: string): Promise<ReadonlyMap<string, BatchReport>> {
	const output = join(builds, `${driver}.json`);
	const world = fileURLToPath(new URL("network-world.ts", import.meta.url));
	const child = spawn("unshare", ["--net", process.execPath, world, driver, helper, output], {
		stdio: ["ignore", "inherit", "inherit"],
	});
	const status = await new Promise((done) => child.once("exit", (code, signal) => done(code ?? signal)));
	assert.equal(status, 0, "the world ended badly");
	const reports: BatchReport[] = JSON.parse(readFileSync(output, "utf8"));
	return new Map(reports.map((report) => [report.name, report]));
}

for (const { driver, skip } of await isolatingDrivers()) {
	describe(`attacks on the network under ${driver.name}`, { skip: noWorld ?? skip, ...PATIENT }, () => {
		let reports: ReadonlyMap<string, BatchReport> = new Map();
		before(async () => {
			// Its image comes from packages, and the world has no mirror.
			await rootFor(driver);
			reports = await runWorld(driver.name);
		}, PATIENT);
		for (const batch of BATCHES) judgeBatch(batch, () => reportOf(reports, batch));
	});
}

describe("without a sandbox", { skip: noWorld ?? false, ...PATIENT }, () => {
	let reports: ReadonlyMap<string, BatchReport> = new Map();
	before(async () => {
		reports = await runWorld("none");
	}, PATIENT);
	for (const batch of BATCHES) {
		for (const [index, { name, bites }] of batch.attacks.entries()) {
			if (bites === undefined) continue;
			test(`it would get through: ${name}`, () => {
				const report = reportOf(reports, batch);
				const { port, token } = aimOf(batch, index, report.places);
				const { connections, datagrams } = report.arrivals[port] ?? NOTHING;
				const arrived = [...connections.map(({ text }) => text), ...datagrams, report.unix.text].join();
				assert.ok(arrived.includes(token), report.outputs[index]);
			});
		}
	}
});

const NOTHING: Arrivals = { connections: [], datagrams: [] };

function reportOf(reports: ReadonlyMap<string, BatchReport>, { name }: Batch): BatchReport {
	const report = reports.get(name);
	assert.ok(report !== undefined, `batch ${name} did not run`);
	return report;
}

function judgeBatch(batch: Batch, reportNow: () => BatchReport): void {
	for (const [index, attack] of batch.attacks.entries()) {
		test(attack.name, () => judge(attack, seenBy(batch, index, reportNow())));
	}
	if (batch.manner === "one by one") {
		test(`${batch.name}: the gate serves after each`, () => {
			const { everything } = seenBy(batch, 0, reportNow());
			for (const index of batch.attacks.keys()) {
				assert.ok(everything.includes(`ALIVE-${index} `), `after: ${batch.attacks[index]?.name}`);
			}
		});
	}
	test(`${batch.name}: the interface's own count agrees with the ledger`, () => {
		const { sandbox } = reportNow();
		assert.equal(sandbox?.summary.reconciliation.verdict, "agrees", JSON.stringify(sandbox));
		assert.equal(sandbox?.ending.exitCode, 0, JSON.stringify(sandbox));
	});
	test(`${batch.name}: no echo request and no Unix connection arrived outside`, () => {
		const { pings, unix } = reportNow();
		assert.deepEqual({ pings, ...unix }, { pings: 0, connections: 0, text: "" });
	});
}

function seenBy(batch: Batch, index: number, report: BatchReport): Seen {
	const all = Object.values(report.arrivals);
	const texts = all.flatMap(({ connections, datagrams }) => [...connections.map(({ text }) => text), ...datagrams]);
	return {
		output: report.outputs[index] ?? "",
		aim: aimOf(batch, index, report.places),
		arrivals: (port) => report.arrivals[port] ?? NOTHING,
		everything: texts.join("\n"),
		entries: report.entries,
		lookups: report.lookups,
	};
}

function judge(attack: NetworkAttack, seen: Seen): void {
	const { aim, everything, entries } = seen;
	assert.notEqual(seen.output, undefined, "the attack did not run");
	assert.doesNotMatch(seen.output, /unknown attack|not an address|attacks\.sh: \d+: \.\/net/, seen.output);
	assert.deepEqual(seen.arrivals(aim.port), NOTHING, "the victim was reached");
	const arrived = everything.includes(aim.token);
	assert.equal(arrived, attack.arrives === "token", arrived ? "its bytes got out" : `nothing arrived: ${seen.output}`);
	attack.check?.(seen);
	const { refusal } = attack;
	if (refusal !== undefined) {
		assert.ok(
			entries.some((entry) => matches(entry, refusal, aim.port)),
			`not in the ledger; it says: ${seen.output}`,
		);
	}
}

function matches(entry: Seen["entries"][number], refusal: Refusal, victimPort: number): boolean {
	const { method = entry.method, reason, host = "", port = victimPort } = refusal;
	return (
		entry.verdict === "refused" &&
		entry.method === method &&
		entry.reason === reason &&
		entry.port === port &&
		entry.host.startsWith(host)
	);
}

test("at least 60 attacks, none twice", () => {
	const names = BATCHES.flatMap(({ attacks }) => attacks.map(({ name }) => name));
	assert.ok(names.length >= 60);
	assert.equal(new Set(names).size, names.length);
});
