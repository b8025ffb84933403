import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../src/api/index.ts";
import { openFleetMachine } from "./fleet-machine.ts";
import { launchInProcess } from "./launch.ts";
import { quantile } from "./measure.ts";
import { type BenchResult, goal } from "./report.ts";

const WARM_UP = 4;
const ROUNDS = 60;
const ABOVE_MS = 60;

/** From submitting to the first byte of output on an idle agent, beside what the sandbox alone takes. */
export async function benchFleetStart(directory: string): Promise<BenchResult> {
	const fleet = await openFleetMachine(directory);
	try {
		const { id: facility } = await fleet.owner.facilities.create({ body: { kind: "empty" } });
		const [first, sandbox]: [number[], number[]] = [[], []];
		await fleet.startAgent("node");
		for (let round = 0; round < WARM_UP + ROUNDS; round++) {
			const tookMs = await untilOutput(fleet.owner, facility);
			const parts = Object.values(await launchInProcess(directory));
			if (round < WARM_UP) continue;
			first.push(tookMs);
			sandbox.push(parts.reduce((sum, part) => sum + part, 0));
		}
		const aboveMs = quantile(first, 0.5) - quantile(sandbox, 0.5);
		const p99 = [first, sandbox].map((samples) => quantile(samples, 0.99).toFixed(0));
		const goals = [
			goal(`p50 at most ${ABOVE_MS} ms above`, `${aboveMs.toFixed(0)} ms`, () => aboveMs <= ABOVE_MS),
			goal("p99, and the sandbox's", p99.join(" and "), () => true),
		];
		const columns = [
			{ name: "the sandbox's own start", samples: sandbox },
			{ name: "submit → first output", samples: first },
		];
		const title = "Submit to first output on an idle agent, bwrap";
		const notes = ["Server, agent and whoever submits are processes of one machine; output is followed by SSE."];
		const base = "the sandbox's own start";
		return { name: "fleet-start", measurements: [{ title, unit: "ms", columns, base, goals }], notes };
	} finally {
		await fleet.close();
	}
}

async function untilOutput({ directives }: Client, facility_id: string): Promise<number> {
	const startedMs = performance.now();
	const { directive_id } = await directives.create({ facility_id, body: { command: "echo output" } });
	for await (const { event } of directives.tail({ directive_id })) if (event === "chunk") break;
	const tookMs = performance.now() - startedMs;
	// The next one finds the agent idle, and its facility free.
	while ((await directives.show({ directive_id })).receipt_digest === null) await sleep(100);
	return tookMs;
}
