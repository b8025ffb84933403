import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { moduleInfoOf, withoutSignature } from "./modinfo.ts";
import { KernelRefusal } from "./refusal.ts";
import { sampleModule, signed } from "./sample-elf.ts";

/** Any answer is right but an error of another kind. */
function answersOrRefuses(work: () => unknown): void {
	try {
		work();
	} catch (error) {
		assert.ok(error instanceof KernelRefusal, String(error));
	}
}

test("what a module depends on, by the names that modules have", () => {
	const info = "license=GPL\0depends=reed_solomon,dm-mod,dm-bufio\0softdep=pre: crypto-crc32c post: late\0name=dm\0";
	assert.deepEqual(moduleInfoOf(sampleModule(info)), {
		depends: ["reed_solomon", "dm_mod", "dm_bufio"],
		softDepends: ["crypto_crc32c"],
	});
	assert.deepEqual(moduleInfoOf(sampleModule("depends=\0softdep=post: x\0")), { depends: [], softDepends: [] });
});

test("a module that says nothing of itself, or depends on what is no name, is refused", () => {
	assert.throws(() => moduleInfoOf(sampleModule("depends=x\0", ".other")), KernelRefusal);
	for (const name of ["../x", "a b", "a\nb", "-x", "x".repeat(200)]) {
		assert.throws(() => moduleInfoOf(sampleModule(`depends=${name}\0`)), KernelRefusal, name);
	}
	assert.throws(() => moduleInfoOf(Buffer.from("text")), KernelRefusal);
});

test("any bytes, and any module with a byte changed or cut off, get an answer or a refusal", () => {
	const good = sampleModule("depends=a,b\0softdep=pre: c\0");
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => answersOrRefuses(() => moduleInfoOf(Buffer.from(bytes)))),
	);
	const change = fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
		const changed = Buffer.from(good);
		changed[at] = byte;
		answersOrRefuses(() => moduleInfoOf(changed));
		answersOrRefuses(() => moduleInfoOf(changed.subarray(0, length)));
	});
	fc.assert(change, { numRuns: 2000 });
});

test("a signature is cut off, and nothing else is", () => {
	const module = sampleModule("depends=\0");
	assert.deepEqual(withoutSignature(module), module);
	fc.assert(
		fc.property(fc.integer({ min: 0, max: 5000 }), (length) =>
			assert.ok(withoutSignature(signed(module, length)).equals(module)),
		),
	);
});

test("a signature that claims more than there is is refused", () => {
	const module = signed(Buffer.from("x"), 3);
	module.writeUInt32BE(0xffff_ffff, module.length - 32);
	assert.throws(() => withoutSignature(module), KernelRefusal);
	assert.throws(() => withoutSignature(Buffer.from("~Module signature appended~\n")), KernelRefusal);
});
