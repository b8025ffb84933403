import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import test from "node:test";
import fc from "fast-check";
import { Masking } from "./masking.ts";

function mask(chunks: readonly Buffer[], secrets: readonly string[]): Promise<Buffer> {
	return buffer(Readable.from(chunks).pipe(new Masking({ secrets, forms: [] })));
}

async function maskText(text: string, secrets: readonly string[]): Promise<string> {
	return (await mask([Buffer.from(text)], secrets)).toString();
}

/** The whole stream at once, byte by byte: what belongs to any occurrence goes, one mask for each overlapping stretch. */
function model(whole: Buffer, secrets: readonly Buffer[]): Buffer {
	const out: number[] = [];
	let end = 0;
	for (let at = 0; at < whole.length; at += 1) {
		const here = secrets.filter((secret) => whole.subarray(at, at + secret.length).equals(secret));
		if (here.length > 0 && at >= end) out.push(...Buffer.from("[secret]"));
		for (const secret of here) end = Math.max(end, at + secret.length);
		if (at >= end) out.push(whole[at] ?? 0);
	}
	return Buffer.from(out);
}

/** Few letters, so that secrets overlap themselves, each other and the ends of chunks all the time. */
const secretText = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 4, maxLength: 9 });
const chunkBytes = fc
	.array(fc.constantFrom(0x61, 0x62, 0x63, 0x00, 0xff), { maxLength: 12 })
	.map((b) => Buffer.from(b));

test("any chunking masks as the whole would be masked", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(secretText, { minLength: 1, maxLength: 3 }),
			fc.array(chunkBytes, { maxLength: 12 }),
			async (secrets, chunks) => {
				const expected = model(
					Buffer.concat(chunks),
					[...new Set(secrets)].map((secret) => Buffer.from(secret)),
				);
				assert.deepEqual(await mask(chunks, secrets), expected);
			},
		),
		{ numRuns: 600 },
	);
});

test("a secret put anywhere into noise is never found in what comes out", async () => {
	const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
	await fc.assert(
		fc.asyncProperty(
			fc.array(noise, { minLength: 1, maxLength: 4 }),
			fc.string({ unit: "binary", minLength: 4, maxLength: 60 }).filter((text) => !text.includes("[")),
			fc.integer({ min: 1, max: 7 }),
			async (parts, secret, size) => {
				const hidden = Buffer.from(secret);
				const whole = Buffer.concat(parts.flatMap((part) => [part, hidden]));
				const chunks: Buffer[] = [];
				for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size));
				const out = await mask(chunks, [secret]);
				assert.equal(out.includes(hidden), false);
				assert.equal(out.includes("[secret]"), true);
			},
		),
		{ numRuns: 200 },
	);
});

test("binary that holds no secret comes out as it went in", async () => {
	const everyByte = Buffer.from(Array.from({ length: 256 * 300 }, (_, at) => (at * 7 + (at >> 8)) & 0xff));
	assert.deepEqual(await mask([everyByte], ["hunter2-hunter2"]), everyByte);
	assert.deepEqual(await mask([everyByte], []), everyByte);
});

test("of two secrets that begin alike the longer is masked whole, though the shorter was complete first", async () => {
	const out = await mask([Buffer.from("token=abcd"), Buffer.from("efgh;")], ["abcd", "abcdefgh"]);
	assert.equal(out.toString(), "token=[secret];");
});

test("a secret that another one cuts into leaves no end behind", async () => {
	assert.equal(await maskText("<abcdefghij>", ["abcdef", "efghij"]), "<[secret]>");
	const pieces = [..."<abcdefghij>"].map((letter) => Buffer.from(letter));
	assert.equal((await mask(pieces, ["abcdef", "efghij"])).toString(), "<[secret]>");
});

test("two in a row are two masks", async () => {
	assert.equal(await maskText("abcdabcd", ["abcd"]), "[secret][secret]");
});

test("what only looked like the beginning of a secret comes out at the end", async () => {
	assert.equal(await maskText("almost hunt", ["hunter22"]), "almost hunt");
});

test("a repetitive secret and a long stream of it hold back less than the secret", async () => {
	const masking = new Masking({ secrets: ["0".repeat(64)], forms: [] });
	const seen: Buffer[] = [];
	masking.on("data", (chunk: Buffer) => seen.push(chunk));
	for (let count = 0; count < 64; count += 1) masking.write(Buffer.alloc(1024, "0"));
	masking.end(Buffer.from("!"));
	await new Promise((resolve) => masking.once("end", resolve));
	assert.equal(Buffer.concat(seen).toString(), "[secret]!");
});

test("length counts in bytes", async () => {
	assert.equal(await maskText("éàé", ["éà"]), "[secret]é");
	assert.equal(await maskText("abc", ["abc"]), "abc");
});
