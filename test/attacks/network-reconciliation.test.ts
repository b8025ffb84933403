/** The interface's own counters against the ledger: a planted leak is seen, honest traffic never is one. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Driver } from "../../src/runtime/index.ts";
import { isolatingDrivers } from "../conformance/isolating-drivers.ts";
import { Outside } from "./network-outside.ts";
import { compileNetworkAttack, type GatedResult, tryGated } from "./network-sandbox.ts";

const folder = mkdtempSync(join(tmpdir(), "vouch-reconcile-"));
const workspace = join(folder, "workspace");
const helper = join(workspace, "net");
const outside = new Outside();
after(() => {
	outside.close();
	rmSync(folder, { recursive: true, force: true });
});
mkdirSync(workspace);
const noHelper = compileNetworkAttack(helper) ?? false;
const notRoot = process.getuid?.() === 0 ? false : "only root may enter the sandbox's network from outside";

const PORT = 18_761;
const MIB = 64;
const HONEST_ROUNDS = 3;
/** Patient: a loaded machine must not make an honest request look like a slow one. */
const PATIENT = {};

const gated = (
	driver: Driver,
	script: string,
	during?: Parameters<typeof tryGated>[1]["during"],
): Promise<GatedResult> =>
	tryGated(driver, {
		rules: { mode: "allowlist", allow: [`good.example:${PORT}`, `127.0.0.1:${PORT}`], deny: [], http: [] },
		names: { "good.example": [["127.0.0.1"]] },
		argv: ["sh", "-c", script],
		workspace,
		limits: PATIENT,
		...(during === undefined ? {} : { during }),
	});

/** Begins, and ends when a leak was planted. */
const WAITING = ": > begun; while [ ! -e planted ]; do sleep 0.05; done";
const forgetMarks = (): void => {
	for (const mark of ["begun", "planted"]) rmSync(join(workspace, mark), { force: true });
};

/** Frames that the workload could never send, by somebody who may. */
const plant = (pid: number, type: string, size: number, count: number): string =>
	spawnSync("nsenter", ["-t", String(pid), "-n", helper, "frames", type, String(size), String(count)], {
		encoding: "utf8",
	}).stdout;

const LEAKS = [
	{ name: "one frame of an unknown EtherType", type: "88b5", size: 60, count: 1 },
	{ name: "large frames of an unknown EtherType", type: "88b5", size: 1514, count: 20 },
	{ name: "large frames that pass for TCP", type: "0800", size: 1514, count: 20 },
	{ name: "large frames that pass for ARP", type: "0806", size: 1514, count: 20 },
] as const;

for (const { driver, skip } of await isolatingDrivers()) {
	describe(`reconciliation under ${driver.name}`, { skip: noHelper || skip }, () => reconciliationUnder(driver));
}

function reconciliationUnder(driver: Driver): void {
	// A machine has no card: what it sends is counted where its channel ends, and there is nowhere to plant a frame.
	const noPlanting = notRoot || (driver.roots.includes("host") ? false : "a machine's network has no frames");
	beforeEach(forgetMarks);
	for (const { name, type, size, count } of LEAKS) {
		test(`a planted leak is seen: ${name}`, { skip: noPlanting }, async () => {
			const { summary } = await gated(driver, WAITING, async (run) => {
				while (!existsSync(join(workspace, "begun"))) await delay(20);
				assert.match(plant(run.programPid, type, size, count), /^packet socket: DONE\n$/);
				writeFileSync(join(workspace, "planted"), "");
			});
			assert.equal(summary.reconciliation.verdict, "unaccounted-egress", JSON.stringify(summary));
		});
	}

	test("nothing at all agrees", async () => {
		const { summary } = await gated(driver, "true");
		assert.equal(summary.reconciliation.verdict, "agrees", JSON.stringify(summary));
	});

	test(`${MIB} MiB both ways and many small connections under load agree`, async () => {
		await outside.open(PORT);
		for (let round = 0; round < HONEST_ROUNDS; round += 1) {
			const before = outside.bytesAt(PORT);
			const { summary, stdout } = await gated(
				driver,
				`(timeout 2 sh -c 'while :; do :; done') & ./net push good.example ${PORT} ${MIB} >/dev/null & ./net pull good.example ${PORT} ${MIB} & ` +
					`for i in $(seq 40); do ./net half 10.0.2.1 9080 ${REQUEST}; done >/dev/null & ./net resets 198.18.0.1 ${PORT} 100 ${REQUEST} & ` +
					`./net datagrams 93.184.216.34 9 2000 ${REQUEST} & wait`,
			);
			const said = `${stdout} ${JSON.stringify(summary)}`;
			assert.equal(summary.reconciliation.verdict, "agrees", said);
			assert.ok(Number(/pulled (\d+)/.exec(stdout)?.[1]) > MIB * 2 ** 20, said);
			assert.ok(outside.bytesAt(PORT) - before >= MIB * 2 ** 20, said);
			assert.ok(summary.bytesUp >= MIB * 2 ** 20 && summary.bytesDown >= MIB * 2 ** 20, said);
		}
	});

	test("vouch run ends a leaking run with 125", { skip: noPlanting }, async () => {
		const mark = `vouch-leak-${process.pid}`;
		const vouch = fileURLToPath(new URL("../../bin/vouch", import.meta.url));
		const environment = { ...process.env, XDG_DATA_HOME: join(folder, "data"), XDG_CACHE_HOME: join(folder, "cache") };
		const child = spawn(vouch, ["run", "--isolation", driver.name, "--", "sh", "-c", WAITING, mark], {
			cwd: workspace,
			env: environment,
			stdio: ["ignore", "ignore", "pipe"],
		});
		let said = "";
		child.stderr.on("data", (chunk) => {
			said += String(chunk);
		});
		const ended = new Promise((done) => child.once("exit", done));
		const pid = await processRunning(["sh", "-c", WAITING, mark]);
		while (!existsSync(join(workspace, "begun"))) await delay(20);
		plant(pid, "88b5", 200, 3);
		writeFileSync(join(workspace, "planted"), "");
		assert.equal(await ended, 125, said);
		assert.match(said, /does not explain/);
		const receipt = /receipt\s+(\S+)/.exec(said)?.[1] ?? "";
		const payload = /"payload"\s*:\s*"([^"]+)"/.exec(readFileSync(receipt, "utf8"))?.[1] ?? "";
		assert.match(Buffer.from(payload, "base64").toString(), /"verdict":"unaccounted-egress"/);
	});
}

const REQUEST = Buffer.from(
	`GET http://good.example:${PORT}/ HTTP/1.1\r\nHost: good.example:${PORT}\r\nConnection: close\r\n\r\n`,
).toString("hex");

/** The process with exactly these arguments. */
async function processRunning(argv: readonly string[]): Promise<number> {
	const wanted = `${argv.join("\0")}\0`;
	for (let attempt = 0; attempt < 2400; attempt += 1) {
		const pid = readdirSync("/proc").find((name) => /^\d+$/.test(name) && commandOf(name) === wanted);
		if (pid !== undefined) return Number(pid);
		await delay(25);
	}
	throw new Error(`${argv.join(" ")} does not run`);
}

function commandOf(pid: string): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, "utf8");
	} catch {
		return "";
	}
}
