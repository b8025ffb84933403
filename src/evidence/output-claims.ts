import { artifactMatcher, digestOf, formatBytes, hexOfDigest } from "../core/index.ts";
import { type Claim, doesNotHold, type Examined, type Finding, holdsUnless, notClaimed } from "./claim.ts";
import { artifactSubject } from "./schema.ts";

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
		...Object.fromEntries((predicate.artifacts ?? []).map(({ name, bytes }) => [artifactSubject(name), bytes])),
	};
	const problems = names.flatMap((name) => {
		const subject = subjects.find((candidate) => candidate.name === name);
		const bytes = given[name] ?? new Uint8Array(0);
		if (subject === undefined) return [`the receipt has no ${name}`];
		const isCut = predicate.result.outputTruncated && (name === "stdout" || name === "stderr");
		const size = isCut ? bytes.length : (sizes[name] ?? bytes.length);
		return [
			hexOfDigest(digestOf(bytes)) !== subject.digest.sha256 && `the ${name} handed in is not the run's`,
			size !== bytes.length && `the run wrote ${size} bytes of ${name}, not ${bytes.length}`,
		];
	});
	return holdsUnless(problems, `${names.join(", ")}: as the run wrote it`);
}

/** Each file that was handed over is a subject, and is one that the workload asked for. */
export const artifacts: Claim = { claim: "artifacts", check: checkArtifacts };

function checkArtifacts({ payload }: Examined): Finding {
	if (payload.kind === "unreadable") return doesNotHold("the payload can't be read");
	const { subject: subjects, predicate } = payload.statement;
	const { artifacts: files = [], workload } = predicate;
	const named = new Map(subjects.map(({ name, digest }) => [name, digest.sha256]));
	const isAskedFor = artifactMatcher(workload.artifacts ?? []);
	const names = new Set(files.map(({ name }) => artifactSubject(name)));
	const problems = [
		workload.artifacts !== undefined && predicate.artifacts === undefined && "the receipt does not say which there are",
		...files.flatMap(({ name, digest }) => [
			!isAskedFor(name) && `nobody asked for ${name}`,
			named.get(artifactSubject(name)) !== hexOfDigest(digest) && `${name} is another among the subjects`,
		]),
		...[...named.keys()]
			.filter((name) => name.startsWith(artifactSubject("")) && !names.has(name))
			.map((name) => `${name} is a subject and no artifact`),
	];
	const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
	const finding = holdsUnless(
		problems,
		`${files.length} ${files.length === 1 ? "file" : "files"}, ${formatBytes(bytes)}, as the workload asks for`,
	);
	return finding.status === "holds" && workload.artifacts === undefined ? notClaimed("none were asked for") : finding;
}
