import { join } from "node:path";
import { interleave, runProgram, timeProgram } from "./measure.ts";
import { type BenchResult, goal, medianOf } from "./report.ts";
import { node, packagedVouch, privateEnvironment, receiptIn } from "./vouch.ts";

const ROUNDS = 25;
const OUTPUT_BYTES = 2 ** 20;
const GOAL_MS = 50;

/** `vouch verify` of a run with 1 MB of output, beyond what starting the process costs: Node with the command table loaded. */
export async function benchReceipt(directory: string): Promise<BenchResult> {
	const environment = privateEnvironment(directory);
	const vouch = await packagedVouch(directory);
	const receipt = join(directory, "receipt.json");
	const command = ["sh", "-c", `head -c ${OUTPUT_BYTES} /dev/zero | tr '\\0' x`];
	const flags = ["--quiet", "--no-stdin", "--workspace", "none", "--receipt", receipt];
	await runProgram([vouch, "run", ...flags, "--", ...command], { environment });
	const columns = await interleave(
		[
			{ name: "node -e ''", once: () => timeProgram([node, "-e", ""], { environment }) },
			{ name: "vouch --version", once: () => timeProgram([vouch, "--version"], { environment }) },
			{ name: "vouch verify", once: () => timeProgram([vouch, "verify", receiptIn(directory)], { environment }) },
		],
		ROUNDS,
	);
	const beyondMs = medianOf(columns, "vouch verify") - medianOf(columns, "vouch --version");
	const beyondNodeMs = medianOf(columns, "vouch verify") - medianOf(columns, "node -e ''");
	const goals = [
		goal(
			`at most ${GOAL_MS} ms beyond process start`,
			`${beyondMs.toFixed(1)} ms (${beyondNodeMs.toFixed(1)} beyond an empty node)`,
			() => beyondMs <= GOAL_MS,
		),
	];
	return {
		name: "receipt",
		measurements: [
			{ title: "Verifying the receipt of a run with 1 MB of output", unit: "ms", columns, base: "node -e ''", goals },
		],
		notes: ["Node's compile cache is warm, as it is from the second use on."],
	};
}
