import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import test from "node:test";
import fc from "fast-check";
import { type Hidden, Masking } from "./masking.ts";
import { alphabet, form, run, TOKEN_FORMS, type TokenForm } from "./token-forms.ts";

const MASK = "[secret]";

async function mask(chunks: readonly Buffer[], hidden: Hidden): Promise<string> {
	return (await buffer(Readable.from(chunks).pipe(new Masking(hidden)))).toString("latin1");
}

/** Cut at these places, or wherever the text ends before. */
function cut(text: string, sizes: readonly number[]): readonly Buffer[] {
	const bytes = Buffer.from(text, "latin1");
	const chunks: Buffer[] = [];
	let at = 0;
	for (const size of sizes) {
		chunks.push(bytes.subarray(at, at + size));
		at += size;
	}
	return [...chunks, bytes.subarray(at)].filter(({ length }) => length > 0);
}

const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 });

/** Forms that run into each other, and the same as regular expressions. */
const TANGLED: readonly (readonly [TokenForm, RegExp])[] = [
	[form("ab", run(alphabet(/[ac]/), 2)), /ab[ac]{2,}/y],
	[form("ca", run(alphabet(/b/), 1, 3), "c", run(alphabet(/[ab]/), 1)), /cab{1,3}c[ab]+/y],
	[form("bb", run(alphabet(/[bc]/), 3)), /bb[bc]{3,}/y],
];

/** The whole text at once: what belongs to any token goes, one mask for each overlapping stretch. */
function model(text: string): string {
	let [out, end] = ["", 0];
	for (let at = 0; at < text.length; at += 1) {
		for (const [, expression] of TANGLED) {
			expression.lastIndex = at;
			const found = expression.exec(text)?.[0];
			if (found === undefined) continue;
			if (at >= end) out += MASK;
			end = Math.max(end, at + found.length);
		}
		if (at >= end) out += text[at];
	}
	return out;
}

test("tokens are masked as they would be in the whole, however the stream was cut", async () => {
	const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "."), maxLength: 120 });
	await fc.assert(
		fc.asyncProperty(text, cuts, async (whole, sizes) => {
			const forms = TANGLED.map(([steps]) => steps);
			assert.equal(await mask(cut(whole, sizes), { secrets: [], forms }), model(whole));
		}),
		{ numRuns: 1500 },
	);
});

/** One that has this form, a little longer than it must be. */
function tokenOf(steps: TokenForm): fc.Arbitrary<string> {
	const parts = steps.map((step) => {
		if (Buffer.isBuffer(step)) return fc.constant(step.toString());
		const members = [...step.of.keys()].filter((byte) => step.of[byte] === 1).map((byte) => String.fromCharCode(byte));
		const maxLength = Math.min(step.least + 30, step.most);
		return fc.string({ unit: fc.constantFrom(...members), minLength: step.least, maxLength });
	});
	return fc.tuple(...parts).map((texts) => texts.join(""));
}

const anyToken = fc.constantFrom(...TOKEN_FORMS).chain(tokenOf);

test("a token of any form among other text is masked whole, and the text around it is untouched", async () => {
	const around = fc.string({ unit: fc.constantFrom(..." \n=:,'{}<>àÿ\0".split("")), maxLength: 40 });
	await fc.assert(
		fc.asyncProperty(around, anyToken, around, cuts, async (before, token, after, sizes) => {
			const hidden = { secrets: [], forms: TOKEN_FORMS };
			// No token goes on with a quotation mark.
			const out = await mask(cut(`${before}"${token}"${after}`, sizes), hidden);
			assert.equal(out, `${before}"${MASK}"${after}`);
		}),
		{ numRuns: 600 },
	);
});

test("what is too short for a token, or only begins like one, is untouched, and so are all other bytes", async () => {
	const hidden = { secrets: [], forms: TOKEN_FORMS };
	const beginnings = fc.constantFrom(...TOKEN_FORMS).map(([word]) => `${word}`);
	const pieces = fc.array(
		fc.oneof(beginnings, fc.string({ unit: "binary-ascii", maxLength: 6 }), fc.constant("é\xff")),
	);
	await fc.assert(
		fc.asyncProperty(pieces, cuts, async (texts, sizes) => {
			// A space ends every alphabet but that of keys, which ends at the sign.
			const text = texts.join(" ! ");
			assert.equal(await mask(cut(text, sizes), hidden), text);
		}),
		{ numRuns: 400 },
	);
	const ordinary = [
		"task-0123456789abcdef0123456789abcdef01234567",
		`${"Q".repeat(3000)} eyJhbGciOiJIUzI1NiJ9 alone`,
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----BEGIN PUBLIC KEY-----\nMCow\n",
		"The file begins with -----BEGIN PRIVATE KEY-----, then base64.",
	];
	for (const text of ordinary) assert.equal(await mask([Buffer.from(text)], hidden), text);
});

test("a token of a megabyte is one mask, and of what no token is nothing is held for long", async () => {
	const masking = new Masking({ secrets: ["hunter22"], forms: TOKEN_FORMS });
	let out = "";
	masking.on("data", (chunk: Buffer) => {
		out += chunk.toString();
	});
	masking.write("-----BEGIN PRIVATE KEY-----\n");
	for (let count = 0; count < 256; count += 1) masking.write(`${"Abc/".repeat(1024)}\n`);
	masking.write("hunter22-----END PRIVATE KEY-----\nready> ");
	await new Promise((resolve) => setImmediate(resolve));
	assert.equal(out, "[secret]-----END PRIVATE KEY-----\nready> ");
});

test("output that is made to be read again and again costs no more than its length", async () => {
	const beganMs = performance.now();
	for (const text of ["AKIA", "eyJ"])
		await mask([Buffer.from(text.repeat(2 ** 20 / text.length))], { secrets: [], forms: TOKEN_FORMS });
	// Seconds on the slowest machine; minutes on the fastest if each token were read to its end.
	assert.ok(performance.now() - beganMs < 60_000);
});
