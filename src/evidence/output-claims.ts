import { digestOf, hexOfDigest } from "../core/index.ts";
import { type Claim, doesNotHold, type Examined, type Finding, holdsUnless, notClaimed } from "./claim.ts";

/** Files handed in beside the receipt are compared with its subjects, byte for byte through their digests. */
export const outputs: Claim = { claim: "outputs", check: checkOutputs };

function checkOutputs({ payload, outputs: given }: Examined): Finding {
	const names = Object.keys(given);
	if (payload.kind === "unreadable") return doesNotHold("the payload can't be read");
	const { subject: subjects, predicate } = payload.statement;
	if (names.length === 0)
		return notClaimed(`${subjects.length} digests are recorded; no file was handed in to compare`);
	const sizes: Readonly<Record<string, number>> = {
		stdout: predicate.result.stdoutBytes,
		stderr: predicate.result.stderrBytes,
	};
	const problems = names.flatMap((name) => {
		const subject = subjects.find((candidate) => candidate.name === name);
		const bytes = given[name] ?? new Uint8Array(0);
		if (subject === undefined) return [`the receipt has no ${name}`];
		const size = predicate.result.outputTruncated ? bytes.length : (sizes[name] ?? bytes.length);
		return [
			hexOfDigest(digestOf(bytes)) !== subject.digest.sha256 && `the ${name} handed in is not the run's`,
			size !== bytes.length && `the run wrote ${size} bytes of ${name}, not ${bytes.length}`,
		];
	});
	return holdsUnless(problems, `${names.join(", ")}: as the run wrote it`);
}
