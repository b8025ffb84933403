import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { artifactMatcher, artifactNameSchema, type Digest, formatBytes } from "../../core/index.ts";
import { copyOut, type TreeEntry, type TreeSnapshot } from "../../host/index.ts";
import { ARTIFACT_LIMITS, type Artifact, type Workload } from "../schema.ts";

export interface CollectedArtifacts {
	/** By name. */
	readonly files: readonly Artifact[];
	/** What was asked for and is not there, each with its reason. */
	readonly notes: readonly string[];
}

const MOST_NOTES = 20;
const TURN_MS = 20;

/**
 * Copies the files that the workload asks for out of its workspace, by digest, into `folder`. They are the files of the snapshot: what
 * a receipt says of the workspace covers them. Links are left out, wherever they lead.
 */
export async function collectArtifacts(
	{ artifacts: patterns }: Workload,
	after: TreeSnapshot | null,
	folder: string,
): Promise<CollectedArtifacts | null> {
	if (patterns === undefined) return null;
	if (after === null) return { files: [], notes: ["there are no artifacts without a workspace"] };
	const files: Artifact[] = [];
	const notes: string[] = [];
	const copied = new Set<string>();
	let left: number = ARTIFACT_LIMITS.bytes;
	// A disk that is full is no reason to lose the run: what can't be copied is left out.
	await mkdir(folder, { mode: 0o700 }).catch(() => {});
	for await (const [name, entry] of matching(after, patterns)) {
		const problem =
			problemOf(name, entry) ??
			(files.length >= ARTIFACT_LIMITS.files ? `there are ${files.length} already` : undefined) ??
			(entry.size > left ? `all together would have more than ${formatBytes(ARTIFACT_LIMITS.bytes)}` : undefined) ??
			(copied.has(entry.payload) ? undefined : await copyProblem(after, name, join(folder, entry.payload)));
		if (problem !== undefined) notes.push(`the artifact ${name} was left out: ${problem}`);
		else {
			copied.add(entry.payload);
			left -= entry.size;
			files.push({ name, bytes: entry.size, digest: `sha256:${entry.payload}` as Digest });
		}
	}
	if (files.length + notes.length === 0) notes.push(`no file is an artifact by ${patterns.join(", ")}`);
	const more = notes.length - MOST_NOTES;
	return { files, notes: more > 0 ? [...notes.slice(0, MOST_NOTES), `${more} more were left out`] : notes };
}

/** In the order of their names, so that the same workspace gives the same ones when there are too many. */
async function* matching(
	{ entries }: TreeSnapshot,
	patterns: readonly string[],
): AsyncGenerator<readonly [string, TreeEntry]> {
	const isArtifact = artifactMatcher(patterns);
	let turnMs = performance.now();
	const found: (readonly [string, TreeEntry])[] = [];
	for (const each of entries) {
		if (each[1].type !== "directory" && isArtifact(each[0])) found.push(each);
		if (performance.now() - turnMs < TURN_MS) continue;
		await nextTurn();
		turnMs = performance.now();
	}
	yield* found.sort(([one], [other]) => (one < other ? -1 : 1));
}

function problemOf(name: string, { type, read }: TreeEntry): string | undefined {
	if (type !== "file") return `it is a ${type}, not a file`;
	if (!read) return "it can't be read";
	return artifactNameSchema.safeParse(name).success ? undefined : "its name is not plain text";
}

async function copyProblem(after: TreeSnapshot, name: string, target: string): Promise<string | undefined> {
	const outcome = await copyOut(after, name, target).catch((error: NodeJS.ErrnoException) => error);
	if (outcome instanceof Error) return `it could not be copied (${outcome.code ?? outcome.message})`;
	return outcome === "copied" ? undefined : "it was changed when the run had ended";
}
