import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { Spool } from "./stores.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-stores-"));
after(() => rmSync(home, { recursive: true, force: true }));
const MIB = 2 ** 20;

test("a spool gives back what was put in, from memory or from the disk", () => {
	const piece = fc.record({ length: fc.integer({ min: 0, max: 700_000 }), value: fc.nat(255) });
	fc.assert(
		fc.property(
			fc.array(piece, { maxLength: 8 }),
			fc.integer({ min: 0, max: 4 }),
			fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 5 }),
			(pieces, blocks, reads) => {
				const memory = { leftBytes: blocks * MIB };
				const spool = new Spool(join(home, "spill"), memory);
				const bytes = Buffer.concat(
					pieces.map(({ length, value }) => Buffer.alloc(length, Buffer.from([value, 1, 2]))),
				);
				let at = 0;
				for (const { length } of pieces) {
					spool.append(bytes.subarray(at, at + length));
					at += length;
				}
				assert.equal(spool.sizeBytes, bytes.length);
				for (const [start, size] of [[0, bytes.length] as const, ...reads]) {
					const position = start % (bytes.length + 1);
					const length = size % (bytes.length - position + 1);
					const found = Buffer.alloc(length + 2, 0xee);
					spool.read(found, 1, length, position);
					assert.ok(found.subarray(1, length + 1).equals(bytes.subarray(position, position + length)));
					assert.equal(found[length + 1], 0xee);
				}
				assert.throws(() => spool.read(Buffer.alloc(1), 0, 1, bytes.length), RangeError);
				spool.close();
				assert.equal(memory.leftBytes, blocks * MIB, "its memory is given back");
			},
		),
		{ numRuns: 150 },
	);
	assert.deepEqual(readdirSync(join(home, "spill")), []);
});

test("the disk is not touched while there is memory", () => {
	const spool = new Spool(join(home, "unused"), { leftBytes: 8 * MIB });
	spool.append(Buffer.alloc(8 * MIB, 1));
	assert.ok(!existsSync(join(home, "unused")));
	spool.append(Buffer.alloc(1));
	assert.ok(existsSync(join(home, "unused")));
	spool.close();
});
