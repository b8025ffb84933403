import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
	closeSync,
	mkdtempSync,
	openSync,
	readFileSync,
	readSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
	writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import fc from "fast-check";
import type { Verity } from "../../schema.ts";
import { formatVerity, type VerityFault, verifyVerity, verityDiskBytes } from "./index.ts";
import { layoutOf } from "./layout.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-verity-"));
after(() => rmSync(directory, { recursive: true }));

const SALT = "00".repeat(32);
const UUID = "00000000-0000-4000-8000-000000000001";
const BLOCK = 4096;
let made = 0;

/** Blocks that all differ, the same on every machine. */
function newDisk(blocks: number): string {
	const path = join(directory, `disk-${made++}`);
	const bytes = Buffer.alloc(blocks * BLOCK);
	for (let block = 0; block < blocks; block += 1) bytes.writeUInt32LE(block + 1, block * BLOCK + 16);
	writeFileSync(path, bytes);
	return path;
}

function flip(path: string, offset: number, bit: number): void {
	const fd = openSync(path, "r+");
	const byte = Buffer.alloc(1);
	readSync(fd, byte, 0, 1, offset);
	writeSync(
		fd,
		byte.map((value) => value ^ (1 << bit)),
		0,
		1,
		offset,
	);
	closeSync(fd);
}

const sha256 = (...parts: Uint8Array[]) =>
	parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

/** What the root hash is by definition, computed the slow way. */
function rootHashOf(data: Buffer, salt: Buffer): string {
	let level = data;
	for (;;) {
		const digests = [];
		for (let at = 0; at < level.length; at += BLOCK) digests.push(sha256(salt, level.subarray(at, at + BLOCK)));
		const joined = Buffer.concat(digests);
		if (digests.length === 1) return joined.toString("hex");
		level = Buffer.concat([joined, Buffer.alloc((BLOCK - (joined.length % BLOCK)) % BLOCK)]);
	}
}

for (const blocks of [1, 2, 127, 128, 129, 128 * 40 + 3, 128 * 128, 128 * 128 + 1]) {
	test(`${blocks} blocks have the root hash of their definition`, async () => {
		const path = newDisk(blocks);
		const data = readFileSync(path);
		const verity = await formatVerity(path, { salt: SALT, uuid: UUID });
		assert.equal(verity.rootHash, rootHashOf(data, Buffer.from(SALT, "hex")));
		assert.equal(verity.dataBlocks, blocks);
		assert.equal(verity.hashOffset, data.length);
		assert.equal(statSync(path).size, verityDiskBytes(verity));
		assert.ok(readFileSync(path).subarray(0, data.length).equals(data));
		assert.deepEqual(await verifyVerity(path, verity), []);
	});
}

test("a small tree is byte for byte what it was when this was written", async () => {
	const path = newDisk(300);
	await formatVerity(path, { salt: "0123456789abcdef", uuid: "123e4567-e89b-42d3-a456-426614174000" });
	const tree = readFileSync(path).subarray(300 * BLOCK);
	assert.equal(tree.length, 5 * BLOCK);
	assert.equal(sha256(tree).toString("hex"), "c93d95b585965d2ddf22bc80df0e3f6e89c34f71bbc0cc1d04953535a6c80b3c");
});

test("salts of 0 to 64 bytes give their own trees", async () => {
	await fc.assert(
		fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 300 }), async (salt, blocks) => {
			const path = newDisk(blocks);
			const data = readFileSync(path);
			const verity = await formatVerity(path, { salt: Buffer.from(salt).toString("hex"), uuid: UUID });
			assert.equal(verity.rootHash, rootHashOf(data, Buffer.from(salt)));
			rmSync(path);
		}),
		{ numRuns: 30 },
	);
});

const blockOf = (kind: VerityFault["kind"], block: number): VerityFault => ({ kind, block, offset: block * BLOCK });

test("one flipped bit anywhere is found where it is, and nothing else is accused", async () => {
	const disks: { path: string; verity: Verity }[] = [];
	for (const blocks of [1, 5, 128, 129, 128 * 35, 128 * 128 + 7]) {
		const path = newDisk(blocks);
		disks.push({ path, verity: await formatVerity(path, { salt: SALT, uuid: UUID }) });
	}
	await fc.assert(
		fc.asyncProperty(
			fc.constantFrom(...disks),
			fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
			fc.constantFrom("data", "tree", "superblock"),
			fc.integer({ min: 0, max: 7 }),
			async ({ path, verity }, share, kind, bit) => {
				const { superblock, blocks } = layoutOf(verity.dataBlocks, verity.hashOffset);
				const [first, end] =
					kind === "data"
						? [0, superblock]
						: kind === "superblock" || superblock + 1 === blocks
							? [superblock, superblock + 1]
							: [superblock + 1, blocks];
				const offset = first * BLOCK + Math.floor(share * (end - first) * BLOCK);
				const block = Math.floor(offset / BLOCK);
				flip(path, offset, bit);
				const found = await verifyVerity(path, verity);
				flip(path, offset, bit);
				const expected = block < superblock ? "data" : block === superblock ? "superblock" : "tree";
				assert.deepEqual(found, [blockOf(expected, block)]);
			},
		),
		{ numRuns: 60 },
	);
});

test("every one of many flipped bits is found", async () => {
	const path = newDisk(128 * 40);
	const verity = await formatVerity(path, { salt: SALT, uuid: UUID });
	const clean = readFileSync(path);
	await fc.assert(
		fc.asyncProperty(
			fc.uniqueArray(fc.nat(clean.length / BLOCK - 1), { minLength: 2, maxLength: 40 }),
			async (blocks) => {
				const bytes = Buffer.from(clean);
				for (const block of blocks) bytes[block * BLOCK + 77] = (bytes[block * BLOCK + 77] ?? 0) ^ 1;
				writeFileSync(path, bytes);
				const found = new Set((await verifyVerity(path, verity)).map(({ block }) => block));
				assert.deepEqual(
					blocks.filter((block) => !found.has(block)),
					[],
				);
			},
		),
		{ numRuns: 15 },
	);
});

test("a tree rewritten to match changed data is accused at its root", async () => {
	const path = newDisk(128 * 3);
	const verity = await formatVerity(path, { salt: SALT, uuid: UUID });
	flip(path, 5 * BLOCK, 0);
	truncateSync(path, verity.hashOffset);
	await formatVerity(path, { salt: SALT, uuid: UUID });
	const { levels } = layoutOf(verity.dataBlocks, verity.hashOffset);
	assert.deepEqual(await verifyVerity(path, verity), [blockOf("tree", levels[1]?.start ?? -1)]);
});

test("a disk that is too long or too short is told by its size", async () => {
	const path = newDisk(10);
	const verity = await formatVerity(path, { salt: SALT, uuid: UUID });
	const size = verityDiskBytes(verity);
	for (const wrong of [size - 1, size + 1, 0]) {
		truncateSync(path, wrong);
		assert.deepEqual(await verifyVerity(path, verity), [blockOf("size", Math.floor(wrong / BLOCK))]);
	}
});

test("what is not whole blocks is refused and stays as it is", async () => {
	const path = join(directory, "odd");
	for (const size of [0, 1, 4095, 4097]) {
		writeFileSync(path, Buffer.alloc(size));
		await assert.rejects(formatVerity(path, { salt: SALT, uuid: UUID }), { code: "verity-size" });
		assert.equal(statSync(path).size, size);
	}
	writeFileSync(path, Buffer.alloc(BLOCK));
	for (const salt of ["0", "zz", "AA", "00".repeat(65)]) {
		await assert.rejects(formatVerity(path, { salt, uuid: UUID }), { code: "verity-parameters" });
	}
	await assert.rejects(formatVerity(path, { salt: "", uuid: "no" }), { code: "verity-parameters" });
	assert.equal(statSync(path).size, BLOCK);
});

test("a description that cannot be is refused", async () => {
	const path = newDisk(4);
	const verity = await formatVerity(path, { salt: SALT, uuid: UUID });
	for (const wrong of [{ hashOffset: 4096 }, { hashOffset: 4097 }, { rootHash: "00" }, { dataBlocks: 0 }]) {
		await assert.rejects(verifyVerity(path, { ...verity, ...wrong }), { code: "verity-parameters" });
	}
});

test("an interrupted run leaves the file as it was, small or large", async () => {
	for (const blocks of [64 * 128, 20]) {
		const path = newDisk(blocks);
		const before = readFileSync(path);
		const reason = new Error("enough");
		await assert.rejects(formatVerity(path, { salt: SALT, uuid: UUID, signal: AbortSignal.abort(reason) }), reason);
		const interruption = new AbortController();
		const running = formatVerity(path, { salt: SALT, uuid: UUID, signal: interruption.signal });
		setImmediate(() => interruption.abort(reason));
		await assert.rejects(running, reason);
		assert.ok(readFileSync(path).equals(before));
		const verity = await formatVerity(path, { salt: SALT, uuid: UUID });
		await assert.rejects(verifyVerity(path, verity, { signal: AbortSignal.abort(reason) }), reason);
	}
});

test("progress grows to the whole", async () => {
	const path = newDisk(128 * 48);
	const seen: number[] = [];
	await formatVerity(path, { salt: SALT, uuid: UUID, progress: (done, total) => seen.push(done / total) });
	assert.equal(seen.at(-1), 1);
	assert.deepEqual(seen, seen.toSorted());
});
