import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, type TestContext } from "node:test";
import fc from "fast-check";
import { formatVerity } from "./index.ts";

/** cryptsetup's own program is the oracle: it and the kernel agree by definition. */
const PROGRAM = "veritysetup";
// It lives where a plain user's PATH does not look.
const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const missing = spawnSync(PROGRAM, ["--version"], { env: environment }).error !== undefined;

const directory = mkdtempSync(join(tmpdir(), "vouch-veritysetup-"));
after(() => rmSync(directory, { recursive: true }));
let made = 0;

interface Sample {
	readonly blocks: number;
	readonly salt: string;
	readonly uuid: string;
	readonly seed: number;
}

function newDisk({ blocks, seed }: Sample): string {
	const path = join(directory, `disk-${made++}`);
	const bytes = Buffer.alloc(blocks * 4096);
	for (let block = 0; block < blocks; block += 1) bytes.writeUInt32LE((block + seed) >>> 0, block * 4096 + 100);
	writeFileSync(path, bytes);
	return path;
}

function run(...args: readonly string[]): string {
	const { status, stdout, stderr } = spawnSync(PROGRAM, [...args], { encoding: "utf8", env: environment });
	assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
	return stdout;
}

/** Formats the same data twice, by us and by the oracle, and compares the whole files and the root hashes. */
async function compare(sample: Sample): Promise<void> {
	const ours = newDisk(sample);
	const theirs = `${ours}-oracle`;
	copyFileSync(ours, theirs);
	const verity = await formatVerity(ours, sample);
	const said = run(
		"format",
		theirs,
		theirs,
		`--hash-offset=${verity.hashOffset}`,
		`--data-blocks=${sample.blocks}`,
		"--data-block-size=4096",
		"--hash-block-size=4096",
		"--hash=sha256",
		`--salt=${sample.salt === "" ? "-" : sample.salt}`,
		`--uuid=${sample.uuid}`,
	);
	assert.equal(verity.rootHash, /^Root hash:\s+([0-9a-f]{64})$/m.exec(said)?.[1]);
	assert.ok(readFileSync(ours).equals(readFileSync(theirs)), `${sample.blocks} blocks, salt ${sample.salt}`);
	run("verify", ours, ours, `--hash-offset=${verity.hashOffset}`, verity.rootHash);
	rmSync(ours);
	rmSync(theirs);
}

function skipWithoutOracle(t: TestContext): boolean {
	if (missing) t.skip("veritysetup is not installed: apt-get install cryptsetup-bin");
	return missing;
}

const UUID = "00000000-0000-4000-8000-000000000001";
const SALTS = ["", "00", "00".repeat(32), "c3".repeat(64)];

for (const blocks of [1, 2, 127, 128, 129, 4096, 128 * 128, 128 * 128 + 1]) {
	test(`${blocks} blocks: byte-equal to veritysetup format`, async (t) => {
		if (skipWithoutOracle(t)) return;
		for (const salt of blocks > 10_000 ? SALTS.slice(2, 3) : SALTS)
			await compare({ blocks, salt, uuid: UUID, seed: 1 });
	});
}

test("random sizes, salts and UUIDs: byte-equal to veritysetup format", async (t) => {
	if (skipWithoutOracle(t)) return;
	const samples = fc.record({
		blocks: fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 601, max: 9000 })),
		salt: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString("hex")),
		uuid: fc.uuid(),
		seed: fc.nat(),
	});
	await fc.assert(fc.asyncProperty(samples, compare), { numRuns: 25 });
});
