/**
 * Runs in a network namespace of its own, where every address of both families is this machine's: whatever leaves a
 * sandbox for anywhere arrives at a server that remembers it. Does all batches under one driver, or without any, and
 * writes what it saw as JSON for the tests to judge.
 *
 *   unshare --net node network-world.ts DRIVER|none HELPER OUTPUT
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LedgerEntry, LedgerSummary } from "../../src/egress/schema.ts";
import type { Ending } from "../../src/host/index.ts";
import { BATCHES } from "./network-batches.ts";
import {
	type Arrivals,
	aimOf,
	type Batch,
	GOOD,
	GOOD_PORT,
	type NetworkAttack,
	type Places,
	toProxy,
} from "./network-case.ts";
import { Outside, pingsReceived } from "./network-outside.ts";
import { driverNamed, tryGated } from "./network-sandbox.ts";

/** What one batch left behind; the aims are those of `aimOf`. */
export interface BatchReport {
	readonly name: string;
	readonly places: Places;
	readonly outputs: readonly string[];
	readonly arrivals: Readonly<Record<number, Arrivals>>;
	readonly unix: { readonly connections: number; readonly text: string };
	readonly pings: number;
	readonly entries: readonly LedgerEntry[];
	readonly lookups: readonly string[];
	/** Null when nothing was around it. */
	readonly sandbox: { readonly ending: Ending; readonly summary: LedgerSummary; readonly stderr: string } | null;
	readonly seconds: number;
}

const WORLD = `link set lo up
route add local 0.0.0.0/0 dev lo table main
route add local ::/0 dev lo table main
`;
/** Attacks at once: two cores shall still serve the gate in time. */
const AT_ONCE = 16;
/** Between the attacks' outputs: none prints it. */
const MARK = "\u0001vouch-attack ";

async function attackAll(batch: Batch, driverName: string, helper: string): Promise<BatchReport> {
	const startedAt = performance.now();
	const folder = mkdtempSync(join(tmpdir(), "vouch-world-"));
	const workspace = join(folder, "workspace");
	const outside = new Outside();
	const places: Places = {
		unixSocket: join(folder, "outside.sock"),
		abstractName: `vouch-outside-${process.pid}`,
		runDirectory: join(tmpdir(), "vouch-net-"),
	};
	try {
		mkdirSync(workspace);
		copyFileSync(helper, join(workspace, "net"));
		writeScripts(workspace, batch, places, driverName === "none" ? harmless : () => true);
		await openPorts(outside, batch, places);
		const pingsBefore = pingsReceived();
		const run = driverName === "none" ? bare(workspace) : await sandboxed(batch, driverName, workspace);
		// What is on its way shall arrive before anybody says that nothing did.
		await new Promise((done) => setTimeout(done, 100));
		return {
			name: batch.name,
			places,
			outputs: outputsOf(run.stdout, batch.attacks.length),
			arrivals: outside.arrivals(),
			unix: { connections: outside.unixConnections, text: outside.unixText },
			pings: pingsReceived() - pingsBefore,
			entries: run.entries,
			lookups: run.lookups,
			sandbox: run.sandbox,
			seconds: (performance.now() - startedAt) / 1000,
		};
	} finally {
		outside.close();
		rmSync(folder, { recursive: true, force: true });
	}
}

async function openPorts(outside: Outside, batch: Batch, places: Places): Promise<void> {
	for (const port of batch.ports) await outside.open(port);
	for (const index of batch.attacks.keys()) await outside.open(aimOf(batch, index, places).port);
	await outside.openUnix(places.unixSocket);
	await outside.openUnix(`\0${places.abstractName}`);
}

type Outcome = Pick<BatchReport, "entries" | "lookups" | "sandbox"> & { readonly stdout: string };

async function sandboxed(batch: Batch, driverName: string, workspace: string): Promise<Outcome> {
	const { rules, names } = batch;
	const argv = ["sh", "/workspace/attacks.sh"];
	const { ending, summary, stderr, ...seen } = await tryGated(driverNamed(driverName), {
		rules,
		names,
		argv,
		workspace,
	});
	return { ...seen, sandbox: { ending, summary, stderr: stderr.slice(0, 4000) } };
}

function bare(workspace: string): Outcome {
	const { stdout } = spawnSync("sh", ["attacks.sh"], { cwd: workspace, encoding: "utf8", maxBuffer: 2 ** 26 });
	return { stdout, entries: [], lookups: [], sandbox: null };
}

/** Without a sandbox only those run that aim at the test's own servers and at nothing of the machine. */
const harmless = ({ bites }: NetworkAttack): boolean => bites === "yes";

/** One file per attack, so many of them at once, and then what each said. */
function writeScripts(
	workspace: string,
	batch: Batch,
	places: Places,
	isWanted: (attack: NetworkAttack) => boolean,
): void {
	const atOnce = batch.manner === "together" ? AT_ONCE : 1;
	for (const [index, attack] of batch.attacks.entries()) {
		const alive = toProxy(
			`GET http://${GOOD}:${GOOD_PORT}/ALIVE-${index} HTTP/1.1\r\nHost: ${GOOD}:${GOOD_PORT}\r\nConnection: close\r\n\r\n`,
		);
		const after = batch.manner === "together" ? "" : `\n${alive}`;
		// Where something must arrive a loaded machine has its time; the others wait for nothing.
		const patience = attack.arrives === undefined ? "" : "export REPLY_MS=8000\n";
		const script = `${patience}${attack.script(aimOf(batch, index, places))}${after}\n`;
		writeFileSync(join(workspace, `${index}.sh`), isWanted(attack) ? script : "");
	}
	const count = batch.attacks.length;
	const lines = [
		"OUT=$(mktemp -d)",
		`seq 0 ${count - 1} | xargs -P ${atOnce} -I @N@ sh -c "timeout 30 sh @N@.sh </dev/null >$OUT/@N@ 2>&1; true"`,
		...batch.attacks.map((_, index) => `printf '\\n${MARK}${index}\\n'; head -c 20000 $OUT/${index}`),
		"rm -r $OUT",
	];
	writeFileSync(join(workspace, "attacks.sh"), `${lines.join("\n")}\n`);
}

function outputsOf(stdout: string, count: number): readonly string[] {
	const outputs = Array<string>(count).fill("");
	for (const part of stdout.split(`\n${MARK}`).slice(1)) {
		const end = part.indexOf("\n");
		outputs[Number(part.slice(0, end))] = part.slice(end + 1);
	}
	return outputs;
}

async function main(): Promise<void> {
	const [driverName = "", helper = "", output = "", only = ""] = process.argv.slice(2);
	const set = spawnSync("ip", ["-batch", "-"], { input: WORLD, encoding: "utf8" });
	if (set.status !== 0) throw new Error(`the world could not be made: ${set.stderr}`);
	const reports: BatchReport[] = [];
	const wanted = (batch: Batch): boolean => driverName !== "none" || batch.attacks.some(harmless);
	const chosen = BATCHES.filter((batch) => batch.name.includes(only) && wanted(batch));
	for (const batch of chosen) reports.push(await attackAll(batch, driverName, helper));
	writeFileSync(output, JSON.stringify(reports));
}

if (import.meta.main) await main();
