import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { trimmedProgram } from "./elf.ts";
import { KernelRefusal } from "./refusal.ts";
import { sampleProgram } from "./sample-elf.ts";

test("a program ends with the last byte that a loader needs", () => {
	const code = Buffer.alloc(50, 1);
	const program = sampleProgram([
		{ at: 300, bytes: code, zeros: 20 },
		{ at: 400, bytes: code, zeros: 4096 },
	]);
	const trimmed = trimmedProgram(program);
	assert.equal(trimmed.length, 450);
	assert.ok(trimmed.subarray(300).equals(program.subarray(300, 450)));
	const segment = (index: number) => 64 + index * 56;
	// In the file it is shorter; in memory it is not.
	assert.equal(trimmed.readBigUInt64LE(segment(0) + 32), 70n);
	assert.equal(trimmed.readBigUInt64LE(segment(1) + 32), 50n);
	assert.equal(trimmed.readBigUInt64LE(segment(1) + 40), 4146n);
	assert.equal(trimmed.readBigUInt64LE(40), 0n);
	assert.equal(trimmed.readUInt16LE(60), 0);
	assert.ok(trimmedProgram(trimmed).equals(trimmed), "once more changes nothing");
});

test("segments beyond the end, none, or no ELF at all are refused", () => {
	const beyond = sampleProgram([{ at: 200, bytes: Buffer.alloc(10, 1) }]);
	beyond.writeBigUInt64LE(1n << 40n, 64 + 32);
	const none = sampleProgram([{ at: 200, bytes: Buffer.alloc(10, 1) }]);
	none.writeUInt16LE(0, 56);
	for (const bytes of [beyond, none, Buffer.alloc(100), Buffer.alloc(0)]) {
		assert.throws(() => trimmedProgram(bytes), KernelRefusal);
	}
});

test("any change of its headers gets an answer or a refusal", () => {
	const good = sampleProgram([{ at: 200, bytes: Buffer.alloc(10, 1) }]);
	const change = fc.property(fc.nat(119), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
		const changed = Buffer.from(good.subarray(0, length));
		if (at < length) changed[at] = byte;
		try {
			assert.ok(trimmedProgram(changed).length <= changed.length);
		} catch (error) {
			assert.ok(error instanceof KernelRefusal, String(error));
		}
	});
	fc.assert(change, { numRuns: 2000 });
});
