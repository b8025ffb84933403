import { join } from "node:path";
import { type LaunchParts, launchInProcess, rawBwrap } from "./launch.ts";
import { type Column, interleave, median, runProgram, timeProgram } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";
import { podman, sandboxRuntime } from "./start-rivals.ts";
import { node, packagedVouch, privateEnvironment, receiptIn } from "./vouch.ts";

const ROUNDS = 30;
const PARTS = ["probe", "plan", "openGate", "supervise", "closeGate"] as const satisfies readonly (keyof LaunchParts)[];

/** From nothing to `/bin/true` done, in a sandbox. */
export async function benchStart(directory: string): Promise<BenchResult> {
	const environment = privateEnvironment(directory);
	const vouch = await packagedVouch(directory);
	const receipt = join(directory, "receipt.json");
	const flags = ["--isolation", "bwrap", "--workspace", "none", "--quiet", "--no-stdin"];
	await runProgram([vouch, "run", ...flags, "--receipt", receipt, "--", "/bin/true"], { environment });
	const [srt, container] = [await sandboxRuntime(directory), await podman(directory)];
	const launches: LaunchParts[] = [];
	const columns = await interleave(
		[
			{ name: "raw bwrap", once: rawBwrap(receiptIn(directory), directory) },
			{
				name: "vouch, in a running process",
				once: async () => {
					const parts = await launchInProcess(directory);
					launches.push(parts);
					return PARTS.reduce((sum, part) => sum + parts[part], 0);
				},
			},
			{ name: "vouch run", once: () => timeProgram([vouch, "run", ...flags, "--", "/bin/true"], { environment }) },
			{ name: "sandbox-runtime (srt)", once: () => timeProgram(srt, { workingDirectory: directory }) },
			{ name: "podman run --network none", once: () => timeProgram(container) },
			{ name: "node -e ''", once: () => timeProgram([node, "-e", ""], { environment }) },
		],
		ROUNDS,
	);
	return {
		name: "start",
		measurements: [startMeasurement(columns), partsMeasurement(launches.slice(1))],
		notes: [
			"Raw bwrap has the namespaces and mounts of the run's own launch plan, without its system call filter.",
			"vouch run adds to it: Node, both network namespaces and their gate, decision, receipt and journal.",
			"podman runs one static program from a folder; sandbox-runtime shows the whole host root read-only.",
		],
	};
}

function startMeasurement(columns: readonly Column[]): Measurement {
	const own = medianOf(columns, "vouch run");
	const fixedMs = own - medianOf(columns, "raw bwrap");
	const against = (name: string) => {
		const ratio = medianOf(columns, name) / own;
		return goal(`ahead of ${name}`, `${ratio.toFixed(2)} x as fast`, () => ratio > 1);
	};
	return {
		title: "From nothing to /bin/true done",
		unit: "ms",
		columns,
		base: "raw bwrap",
		goals: [
			against("sandbox-runtime (srt)"),
			against("podman run --network none"),
			goal("the fixed cost over raw bwrap is stated", `${fixedMs.toFixed(1)} ms`, () => Number.isFinite(fixedMs)),
		],
	};
}

function partsMeasurement(launches: readonly LaunchParts[]): Measurement {
	const columns = PARTS.map((part) => ({ name: part, samples: launches.map((launch) => launch[part]) }));
	const wholes = launches.map((launch) => PARTS.reduce((sum, part) => sum + launch[part], 0));
	return {
		title: `Where it goes, in a running process (all: ${median(wholes).toFixed(1)} ms)`,
		unit: "ms",
		columns,
		base: "supervise",
		goals: [],
	};
}
