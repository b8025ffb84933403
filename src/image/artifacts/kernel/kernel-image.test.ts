import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { realHost } from "../../../host/index.ts";
import { trimmedProgram } from "./elf.ts";
import { checkedImage, payloadOf, programOfBzImage } from "./kernel-image.ts";
import { KernelRefusal } from "./refusal.ts";
import { sampleProgram } from "./sample-elf.ts";

const host = realHost();
const program = sampleProgram([{ at: 200, bytes: Buffer.alloc(5000, "code"), zeros: 9000 }]);

/** A bzImage of two setup sectors whose payload lies 64 bytes behind them. */
function bzImage(payload: Buffer): Buffer {
	const start = 2 * 512 + 64;
	const image = Buffer.alloc(start + payload.length);
	image[0x1f1] = 1;
	image.write("HdrS", 0x202, "latin1");
	image.writeUInt16LE(0x20f, 0x206);
	image.writeUInt32LE(64, 0x248);
	image.writeUInt32LE(payload.length, 0x24c);
	payload.copy(image, start);
	return image;
}

function sized(compressed: Uint8Array, sizeBytes = program.length): Buffer {
	const size = Buffer.alloc(4);
	size.writeUInt32LE(sizeBytes);
	return Buffer.concat([compressed, size]);
}

function outside(name: string, args: readonly string[]): Buffer | undefined {
	const { error, stdout } = spawnSync(name, [...args], { input: program });
	return error === undefined ? stdout : undefined;
}

test("gzip ends with the size by itself; behind zstd the size stands", async () => {
	for (const payload of [gzipSync(program), sized(zstdCompressSync(program))]) {
		assert.ok((await programOfBzImage(host, bzImage(payload))).equals(trimmedProgram(program)));
	}
});

for (const [name, args] of [
	["lz4", ["-l", "-c"]],
	["xz", ["--check=crc32", "--stdout"]],
] as const) {
	test(`${name}: the program inside comes out`, async (t) => {
		const compressed = outside(name, args);
		if (compressed === undefined) return t.skip(`${name} is not installed`);
		assert.ok((await programOfBzImage(host, bzImage(sized(compressed)))).equals(trimmedProgram(program)));
	});
}

test("a size that is not that of the contents, an unknown compression and what is no bzImage are refused", async () => {
	const zstd = zstdCompressSync(program);
	const hostile = {
		"a size too small": bzImage(sized(zstd, 100)),
		"a size too large": bzImage(sized(zstd, program.length + 1)),
		"a size that can't be": bzImage(sized(zstd, 0xffff_ffff)),
		"an unknown compression": bzImage(sized(program)),
		"no ELF inside": bzImage(sized(zstdCompressSync(Buffer.alloc(200)), 200)),
		"half of it": bzImage(sized(zstd)).subarray(0, -5),
		"something else": Buffer.alloc(4096, 7),
		nothing: Buffer.alloc(0),
	};
	for (const [name, image] of Object.entries(hostile)) {
		await assert.rejects(programOfBzImage(host, image), KernelRefusal, name);
	}
});

test("an Image is told by its magic", () => {
	const image = Buffer.alloc(100);
	image.write("ARM\x64", 0x38, "latin1");
	assert.equal(checkedImage(image, "ARM\x64"), image);
	assert.throws(() => checkedImage(image, "RSC\x05"), KernelRefusal);
	assert.throws(() => checkedImage(gzipSync(image), "ARM\x64"), KernelRefusal);
});

test("any change of its header gets a payload within the file, or a refusal", () => {
	const good = bzImage(sized(zstdCompressSync(program)));
	const change = fc.property(
		fc.integer({ min: 0x1f0, max: 0x250 }),
		fc.nat(255),
		fc.nat(good.length),
		(at, byte, length) => {
			const changed = Buffer.from(good);
			changed[at] = byte;
			for (const bytes of [changed, changed.subarray(0, length)]) {
				try {
					assert.ok(payloadOf(bytes).length <= bytes.length);
				} catch (error) {
					assert.ok(error instanceof KernelRefusal, String(error));
				}
			}
		},
	);
	fc.assert(change, { numRuns: 2000 });
});
