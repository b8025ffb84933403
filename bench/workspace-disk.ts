import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { applyChanges, buildDisk } from "../src/runtime/index.ts";
import { type Contender, interleave, runProgram, timeProgram } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";

const FILES_PER_FOLDER = 100;
const SMALL_FILES = 300;
const CHANGES = 1000;
const OWNER = { userId: 1000, groupId: 1000 };

/** A workspace as a guest's disk, against the packers alone; and what the guest changed brought back, against tar. */
export async function benchWorkspaceDisk(directory: string): Promise<BenchResult> {
	const measurements = [
		await building(directory, SMALL_FILES, 20),
		await building(directory, 1000, 10),
		await building(directory, 50_000, 3),
		await applying(directory),
	];
	const smallMs = medianOf(measurements[0]?.columns ?? [], "vouch disk");
	const [small, ...others] = measurements;
	const goals = [goal("a small workspace is a disk within 50 ms", `${smallMs.toFixed(1)} ms`, () => smallMs <= 50)];
	return {
		name: "workspace-disk",
		measurements: small === undefined ? others : [{ ...small, goals }, ...others],
		notes: [
			"Files are in the page cache. A packer's time includes starting it; Vouch's is the function alone.",
			"mksquashfs stores without compression and joins small files; mkfs.erofs and Vouch write the same format.",
			"tar unpacks the same files over the same folder and checks nothing; it follows links that stand in its way.",
		],
	};
}

async function building(directory: string, files: number, rounds: number): Promise<Measurement> {
	const tree = join(directory, `tree-${files}`);
	makeTree(tree, files);
	const out = join(directory, "disk");
	const fresh = (name: string, once: () => Promise<number>): Contender => ({
		name,
		once: () => {
			rmSync(out, { force: true });
			return once();
		},
	});
	const columns = await interleave(
		[
			fresh("mksquashfs", () =>
				timeProgram([
					"mksquashfs",
					tree,
					out,
					...["-noI", "-noD", "-noF", "-noX", "-no-progress", "-quiet", "-noappend"],
				]),
			),
			fresh("mkfs.erofs", () => timeProgram(["mkfs.erofs", "--quiet", out, tree])),
			fresh("vouch disk", async () => {
				const startMs = performance.now();
				await buildDisk({ path: out, parts: [{ source: tree, at: "/" }], owner: OWNER });
				return performance.now() - startMs;
			}),
		],
		rounds,
	);
	return { title: `${files} files as a disk`, unit: "ms", columns, base: "mksquashfs", goals: [] };
}

async function applying(directory: string): Promise<Measurement> {
	const [workspace, source] = [join(directory, "changed"), join(directory, "tree-1000")];
	const archive = join(directory, "changes.tar");
	await runProgram(["tar", "-C", source, "-cf", archive, "."]);
	await runProgram(["cp", "-a", source, workspace]);
	const stream = changesOf(CHANGES);
	const columns = await interleave(
		[
			{ name: "tar", once: () => timeProgram(["tar", "-C", workspace, "-xf", archive]) },
			{
				name: "vouch",
				once: async () => {
					const startMs = performance.now();
					const done = await applyChanges(piecesOf(stream), {
						folder: workspace,
						protected: [],
						baseline: null,
						keepDirectory: directory,
					});
					if (done.files !== CHANGES) throw new Error(`${done.files} of ${CHANGES} files arrived`);
					return performance.now() - startMs;
				},
			},
		],
		10,
	);
	return { title: `${CHANGES} changed files brought back`, unit: "ms", columns, base: "tar", goals: [] };
}

/** Sizes as in source trees: most files have a few kilobytes. */
function contentsOf(index: number): string {
	return `line ${index}\n`.repeat(20 + (index % 300));
}

function folderOf(index: number): string {
	return `folder-${Math.floor(index / FILES_PER_FOLDER)}`;
}

function makeTree(tree: string, files: number): void {
	for (let index = 0; index < files; index += 1) {
		const folder = join(tree, folderOf(index));
		if (index % FILES_PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
		writeFileSync(join(folder, `file-${index}.txt`), contentsOf(index));
	}
}

/** The same files as a guest would send them: docs/reference/guest-protocol.md, stream 5. */
function changesOf(files: number): Buffer {
	const record = (kind: string, path: string, contents: string): Buffer => {
		const header = Buffer.alloc(24);
		header.write(kind, "latin1");
		header.writeUInt16LE(path.length, 2);
		header.writeUInt32LE(kind === "E" ? 0 : kind === "D" ? 0o755 : 0o644, 4);
		header.writeBigUInt64LE(BigInt(contents.length), 8);
		return Buffer.concat([header, Buffer.from(path + contents)]);
	};
	const records = Array.from({ length: files }, (_, index) => {
		const entry = record("F", `${folderOf(index)}/file-${index}.txt`, contentsOf(index));
		return index % FILES_PER_FOLDER === 0 ? [record("D", folderOf(index), ""), entry] : [entry];
	});
	return Buffer.concat([...records.flat(), record("E", "", "")]);
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
	for (let offset = 0; offset < bytes.length; offset += 65_536) yield bytes.subarray(offset, offset + 65_536);
}
