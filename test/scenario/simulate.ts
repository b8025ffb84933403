/**
 * Runs schedules of a fleet and prints how many held:
 *
 *   node test/scenario/simulate.ts --seed 1 --schedules 10000 [--processes 2] [--break RULE]
 *
 * A seed gives the same schedule on every machine; the first that does not hold is printed with its seed, and ends it.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { CertificateAuthority } from "../../src/fleet/index.ts";
import { Schedule } from "./fleet-schedule.ts";
import { BREAKS, type Break, openWorld } from "./fleet-world.ts";

/** Rows of schedules that are over are only memory. */
const SCHEDULES_OF_A_WORLD = 500;

interface Summary {
	readonly seed: number;
	schedules: number;
	directives: number;
	journalEntries: number;
	/** Digest of what was asked and answered. */
	history: string;
}

const { values } = parseArgs({
	options: {
		seed: { type: "string", default: "1" },
		schedules: { type: "string", default: "10000" },
		processes: { type: "string", default: "1" },
		break: { type: "string" },
	},
});
const seed = Number(values.seed);
const schedules = Number(values.schedules);
const processes = Number(values.processes);
const summary = processes > 1 ? await inProcesses() : await simulate();
process.stdout.write(`${JSON.stringify(summary)}\n`);

/** Each has its share of the seeds. */
async function inProcesses(): Promise<Summary> {
	const share = Math.ceil(schedules / processes);
	const parts = await Promise.all(
		Array.from({ length: processes }, async (_, at): Promise<Summary> => {
			const count = Math.max(0, Math.min(share, schedules - at * share));
			const more = values.break === undefined ? [] : ["--break", values.break];
			const words = [import.meta.filename, "--seed", String(seed + at * share), "--schedules", String(count), ...more];
			const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
			const [printed, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
			if (code !== 0) process.exit(1);
			return JSON.parse(printed);
		}),
	);
	const sum = (member: "schedules" | "directives" | "journalEntries") =>
		parts.reduce((total, part) => total + part[member], 0);
	const history = parts.map((part) => part.history).join(" ");
	const counts = { directives: sum("directives"), journalEntries: sum("journalEntries") };
	return { seed, schedules: sum("schedules"), ...counts, history };
}

async function simulate(): Promise<Summary> {
	const broken: Break = BREAKS.find((rule) => rule === values.break) ?? null;
	const directory = mkdtempSync(join(tmpdir(), "vouch-simulation-"));
	process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
	const authority = await CertificateAuthority.open(directory, Date.UTC(2026, 0, 1));
	const history = createHash("sha256");
	const done: Summary = { seed, schedules: 0, directives: 0, journalEntries: 0, history: "" };
	for (let first = seed; first < seed + schedules; first += SCHEDULES_OF_A_WORLD) {
		const world = await openWorld(authority, broken, (line) => history.update(line));
		for (let each = first; each < Math.min(seed + schedules, first + SCHEDULES_OF_A_WORLD); each++) {
			done.directives += await new Schedule(world, each).run().catch((error: unknown) => {
				const again = `--seed ${each} --schedules 1`;
				process.stderr.write(`seed ${each} (repeat with ${again}): ${(error as Error).stack}\n`);
				process.exit(1);
			});
			done.schedules += 1;
		}
		done.journalEntries += await world.checkJournal();
		await world.close();
	}
	return { ...done, history: history.digest("hex").slice(0, 16) };
}
