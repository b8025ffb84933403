import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Client, everyPage } from "../../api/index.ts";
import { artifactNameSchema, type Digest, formatBytes, hexOfDigest, reasonOf } from "../../core/index.ts";
import type { Action } from "../command.ts";
import { fail } from "../failures.ts";
import { directiveSession } from "../fleet/lookup.ts";
import { writeFrom } from "../fleet/output.ts";
import { meansDirective } from "../fleet/run-or-directive.ts";
import { longWork } from "../image/long-work.ts";
import { writeNewFile } from "../new-file.ts";
import { findRun } from "../run/find-run.ts";
import { realParts } from "../run/parts.ts";
import { paint, printable, printJson, table } from "../screen.ts";
import { predicateOf } from "./runs.ts";

interface Artifact {
	readonly name: string;
	readonly bytes: number;
	readonly digest: Digest;
	read(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Files of one run or directive; why there are none, where that is so. */
interface Found {
	readonly id: string;
	readonly artifacts: readonly Artifact[];
	readonly whyNone: string;
}

export const artifactsAction: Action = async ({ operands, flags }) => {
	const given = operands[0] ?? "";
	const [name, file, folder] = [flags.text("--get"), flags.text("--output"), flags.text("--to")];
	if (file !== undefined && name === undefined) throw fail("cli.usage", { problem: "--output needs --get NAME." });
	if (folder !== undefined && name !== undefined)
		throw fail("cli.usage", { problem: "--to gets all of them: leave --get out, or use --output FILE." });
	const found = (await meansDirective(given, flags))
		? await ofDirective(directiveSession(given, flags))
		: await ofRun(given);
	const { artifacts, id, whyNone } = found;
	if (name !== undefined) {
		const artifact = artifacts.find((each) => each.name === name);
		if (artifact === undefined)
			throw fail("cli.no-artifact", { name, id, why: whyNone || "there is none of that name" });
		return longWork("quiet", async (signal) => {
			await (file === undefined ? printWhole(artifact, id, signal) : keep(artifact, file, id, signal));
			return 0;
		});
	}
	if (folder !== undefined)
		return longWork("quiet", async (signal) => {
			for (const artifact of artifacts) await place(artifact, folder, id, signal);
			const files = `${artifacts.length} ${artifacts.length === 1 ? "file" : "files"}`;
			process.stderr.write(`${files} below ${folder}${whyNone === "" ? "" : `: ${whyNone}`}\n`);
			return 0;
		});
	if (flags.has("--json")) {
		printJson(artifacts.map(({ name, bytes, digest }) => ({ name, bytes, digest })));
	} else process.stdout.write(`${shown(found)}\n`);
	return 0;
};

function shown({ artifacts, whyNone }: Found): string {
	if (artifacts.length === 0) return `No artifacts: ${whyNone}.`;
	const head = ["ARTIFACT", "SIZE", "DIGEST"].map((name) => paint("dim", name, process.stdout));
	const rows = artifacts.map(({ name, bytes, digest }) => [printable(name), formatBytes(bytes), digest]);
	return table([head, ...rows], Number.POSITIVE_INFINITY);
}

async function ofRun(text: string): Promise<Found> {
	const parts = realParts();
	const { runId: id } = findRun(parts.records, text);
	const files = parts.records.files(id);
	const kept = (await predicateOf(files, parts))?.artifacts;
	const artifacts = (kept ?? []).map((each) => ({
		...each,
		read: () => createReadStream(join(files.artifacts, hexOfDigest(each.digest))),
	}));
	return { id, artifacts, whyNone: kept === undefined ? "none were asked for" : noneKept(artifacts) };
}

async function ofDirective({
	client,
	directive_id,
}: {
	readonly client: Client;
	readonly directive_id: string;
}): Promise<Found> {
	const directive = await client.directives.show({ directive_id });
	const artifacts: Artifact[] = [];
	for await (const page of everyPage(client.directives.artifacts, { directive_id, limit: 500 }))
		for (const { id: artifact_id, name, size_bytes: bytes, digest } of page.artifacts) {
			const read = (signal: AbortSignal) => client.directives.artifact({ directive_id, artifact_id }, { signal });
			artifacts.push({ name, bytes, digest, read });
		}
	const whyNone =
		directive.artifacts.length === 0
			? "none were asked for"
			: directive.finished_at === null
				? "it has not ended"
				: noneKept(artifacts);
	return { id: directive_id, artifacts, whyNone };
}

function noneKept(artifacts: readonly Artifact[]): string {
	return artifacts.length === 0 ? "there was no such file when it ended, or they were removed since" : "";
}

/** A name from elsewhere is a path below the folder, or nothing. */
async function place(artifact: Artifact, folder: string, id: string, signal: AbortSignal): Promise<void> {
	const { name } = artifact;
	if (!artifactNameSchema.safeParse(name).success)
		throw fail("cli.no-artifact", { name: printable(name), id, why: "its name is no path below a folder" });
	const path = join(folder, name);
	await mkdir(dirname(path), { recursive: true });
	await keep(artifact, path, id, signal);
}

/** Nobody between here and the receipt changes a byte of it. */
async function keep(artifact: Artifact, path: string, id: string, signal: AbortSignal): Promise<void> {
	await writeNewFile(path, artifact.read(signal), artifact).catch((error: Error) => {
		throw fail("cli.no-artifact", { name: artifact.name, id, why: reasonOf(error) }, error);
	});
}

/** What is printed can't be taken back: all of it is there and looked at before. */
async function printWhole(artifact: Artifact, id: string, signal: AbortSignal): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), "vouch-artifact-"));
	try {
		const path = join(folder, "file");
		await keep(artifact, path, id, signal);
		await writeFrom(createReadStream(path, { signal }), process.stdout);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}
