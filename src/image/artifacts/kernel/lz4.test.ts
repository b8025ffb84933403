import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import fc from "fast-check";
import { decompressBlock, decompressLz4Legacy } from "./lz4.ts";
import { KernelRefusal } from "./refusal.ts";

/** The reference implementation is the oracle. */
const missing = spawnSync("lz4", ["--version"]).error !== undefined;

function legacyFrame(bytes: Uint8Array): Buffer {
	const { status, stdout } = spawnSync("lz4", ["-l", "-9", "-c"], { input: bytes, maxBuffer: 1 << 26 });
	assert.equal(status, 0);
	return stdout;
}

/** Bytes with all that a compressor looks for: runs, repeats from near and far, and noise. */
const contents = fc
	.array(
		fc.oneof(
			fc.uint8Array({ maxLength: 300 }),
			fc.tuple(fc.nat(255), fc.nat(2000)).map(([byte, length]) => new Uint8Array(length).fill(byte)),
			fc
				.tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(400))
				.map(([unit, times]) => Buffer.concat(Array.from({ length: times }, () => unit))),
		),
		{ maxLength: 12 },
	)
	.map((pieces) => Buffer.concat(pieces))
	.filter((bytes) => bytes.length > 0);

test("gets back what lz4 compressed", (t) => {
	if (missing) return t.skip("lz4 is not installed: apt-get install lz4");
	fc.assert(
		fc.property(contents, (bytes) => assert.ok(decompressLz4Legacy(legacyFrame(bytes), bytes.length).equals(bytes))),
		{ numRuns: 40 },
	);
});

test("gets back more than one block", (t) => {
	if (missing) return t.skip("lz4 is not installed: apt-get install lz4");
	const bytes = Buffer.alloc((8 << 20) + 12345);
	for (let at = 0; at < bytes.length; at += 7) bytes[at] = at % 251;
	assert.ok(decompressLz4Legacy(legacyFrame(bytes), bytes.length).equals(bytes));
});

test("a match may run into what it writes", () => {
	// "ab", then 10 bytes from 2 back, then "c".
	const block = Buffer.from([0x26, 0x61, 0x62, 2, 0, 0x10, 0x63]);
	const out = Buffer.alloc(13);
	assert.equal(decompressBlock(block, out), 13);
	assert.equal(out.toString("latin1"), "ababababababc");
});

test("hostile frames are refused", () => {
	const frame = (...block: readonly number[]) => Buffer.from([2, 0x21, 0x4c, 0x18, block.length, 0, 0, 0, ...block]);
	const hostile: Readonly<Record<string, Buffer>> = {
		"no magic": Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]),
		"no block": Buffer.from([2, 0x21, 0x4c, 0x18]),
		"an empty block": frame(),
		"more literals than there are": frame(0xf0, 255, 255, 0, 1),
		"a length without an end": frame(0xf0, 255, 255),
		"an offset of nothing": frame(0x10, 1, 0, 0, 0x10, 1),
		"an offset to before the start": frame(0x10, 1, 9, 0, 0x10, 1),
		"half an offset": frame(0x10, 1, 1),
		"a match beyond the end": frame(0x1f, 1, 1, 0, 255, 255, 255, 0, 0x10, 1),
		"no literals at its end": frame(0x10, 1, 1, 0),
		"too few bytes": frame(0x10, 1),
	};
	for (const [name, bytes] of Object.entries(hostile)) {
		assert.throws(() => decompressLz4Legacy(bytes, 20), KernelRefusal, name);
	}
	const any = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
		try {
			assert.ok(decompressBlock(Buffer.from(bytes), Buffer.alloc(500)) <= 500);
		} catch (error) {
			assert.ok(error instanceof KernelRefusal, String(error));
		}
	});
	fc.assert(any, { numRuns: 5000 });
});
