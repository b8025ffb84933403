import { randomBytes } from "node:crypto";
import { closeSync, openSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { formatVerity, verifyVerity } from "../src/image/index.ts";
import { type Column, type Contender, interleave, timeProgram } from "./measure.ts";
import { type BenchResult, goal, type Measurement, medianOf } from "./report.ts";

const ROUNDS = 7;
const BLOCK_BYTES = 4096;
const DATA_BYTES = 2 ** 30;
const SALT = "00".repeat(32);
const UUID = "00000000-0000-4000-8000-000000000001";

/** Making the hash tree of 1 GiB and checking all of it, against cryptsetup's own program. Both write the same bytes. */
export async function benchVerity(directory: string): Promise<BenchResult> {
	const path = join(directory, "disk");
	writeSample(path);
	const format = await interleave([formatByVouch(path), formatByVeritysetup(path)], ROUNDS);
	truncateSync(path, DATA_BYTES);
	const verity = await formatVerity(path, { salt: SALT, uuid: UUID });
	const verify = await interleave(
		[
			{ name: "vouch", once: () => timed(async () => checkNone(await verifyVerity(path, verity))) },
			{
				name: "veritysetup",
				once: () =>
					timeProgram(["veritysetup", "verify", path, path, `--hash-offset=${DATA_BYTES}`, verity.rootHash], {
						environment: environment(),
					}),
			},
		],
		ROUNDS,
	);
	return {
		name: "verity",
		measurements: [
			measurement("Hash tree of 1 GiB: made", format),
			measurement("The same: every block checked", verify),
		],
		notes: [
			"The disk is in the page cache. vouch runs in this process, on all cores; veritysetup is started each time, on one.",
			"Both make the same file, byte for byte (src/image/artifacts/verity/veritysetup.system.test.ts).",
		],
	};
}

/** No two blocks alike, and no block of zeros. */
function writeSample(path: string): void {
	const piece = randomBytes(2 ** 22);
	const file = openSync(path, "wx");
	for (let at = 0; at < DATA_BYTES; at += piece.length) {
		for (let block = 0; block < piece.length; block += BLOCK_BYTES)
			piece.writeUInt32LE((at + block) / BLOCK_BYTES, block);
		for (let done = 0; done < piece.length; ) done += writeSync(file, piece, done, piece.length - done, at + done);
	}
	closeSync(file);
}

/** It lives where a plain user's PATH does not look. */
function environment(): NodeJS.ProcessEnv {
	return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
	const startMs = performance.now();
	await work();
	return performance.now() - startMs;
}

function checkNone(faults: readonly unknown[]): void {
	if (faults.length > 0) throw new Error(`${faults.length} blocks of a good disk were found to be bad`);
}

function formatByVouch(path: string): Contender {
	const once = () => {
		truncateSync(path, DATA_BYTES);
		return timed(() => formatVerity(path, { salt: SALT, uuid: UUID }));
	};
	return { name: "vouch", once };
}

function formatByVeritysetup(path: string): Contender {
	const sizes = [`--data-blocks=${DATA_BYTES / BLOCK_BYTES}`, "--data-block-size=4096", "--hash-block-size=4096"];
	const words = [`--hash-offset=${DATA_BYTES}`, ...sizes, "--hash=sha256", `--salt=${SALT}`, `--uuid=${UUID}`];
	const once = () => {
		truncateSync(path, DATA_BYTES);
		return timeProgram(["veritysetup", "format", path, path, ...words], { environment: environment() });
	};
	return { name: "veritysetup", once };
}

function measurement(title: string, columns: readonly Column[]): Measurement {
	const ratio = medianOf(columns, "veritysetup") / medianOf(columns, "vouch");
	const ahead = goal("ahead of veritysetup", `${ratio.toFixed(1)} x as fast`, () => ratio > 1);
	return { title, unit: "ms", columns, base: "vouch", goals: [ahead] };
}
