import assert from "node:assert/strict";
import {
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { canonicalJson, concatBytes, digestOf, utf8 } from "../core/index.ts";
import { leafHash, parseCheckpoint, sampleSigner, signCheckpoint, treeHash } from "../evidence/index.ts";
import { decodeBundle, encodeBundle } from "./bundle.ts";
import { openJournal } from "./journal.ts";
import { scratchDirectory, scratchEntry, writeLog } from "./scratch-log.ts";
import { successionEntry } from "./succession.ts";
import { type JournalVerdict, verifyJournal } from "./verify-journal.ts";

const signer = sampleSigner(1);
const next = sampleSigner(2);
const keys = { signer: () => signer, trusted: () => [signer.publicKey] };
const verify = (path: string, remembered: readonly string[] = []): JournalVerdict =>
	verifyJournal(path, [signer.publicKey], remembered);

function edit(path: string, change: (bytes: Buffer) => Uint8Array): void {
	writeFileSync(path, change(readFileSync(path)));
}

function editEntry(bundle: string, at: number, change: (entry: Uint8Array) => Uint8Array): void {
	edit(bundle, (bytes) =>
		encodeBundle(decodeBundle(bytes).entries.map((entry, index) => (index === at ? change(entry) : entry))),
	);
}

const lie = utf8(canonicalJson({ ...scratchEntry(1), digest: digestOf("a lie") }));
const otherEntry = (): Uint8Array => lie;

/** What someone would do who can write the files and not sign: name the file, the first entry, and what is said. */
const DAMAGES: readonly (readonly [string, (log: string) => void, number | null, string, RegExp])[] = [
	[
		"an entry replaced",
		(log) => editEntry(`${log}/tile/entries/000`, 37, otherEntry),
		37,
		"tile/entries/000",
		/does not give its hash/,
	],
	[
		"an entry and its hash replaced",
		(log) => {
			editEntry(`${log}/tile/entries/000`, 37, otherEntry);
			edit(`${log}/tile/0/000`, (bytes) =>
				concatBytes(bytes.subarray(0, 37 * 32), leafHash(otherEntry()), bytes.subarray(38 * 32)),
			);
		},
		0,
		"tile/1/000.p/2",
		/hash 0 is not that of entries 0 to 255/,
	],
	[
		"an entry replaced with every hash above it",
		(log) => {
			editEntry(`${log}/tile/entries/001`, 3, otherEntry);
			const { entries } = decodeBundle(readFileSync(`${log}/tile/entries/001`));
			edit(`${log}/tile/0/001`, () => concatBytes(...entries.map(leafHash)));
			edit(`${log}/tile/1/000.p/2`, (bytes) => concatBytes(bytes.subarray(0, 32), treeHash(entries.map(leafHash))));
		},
		null,
		"checkpoint",
		/another root/,
	],
	[
		"an entry that is no entry",
		(log) => editEntry(`${log}/tile/entries/002.p/88`, 5, () => utf8("{}")),
		517,
		"tile/entries/002.p/88",
		/not a journal entry/,
	],
	[
		"an entry in another spelling",
		(log) => editEntry(`${log}/tile/entries/000`, 9, (bytes) => concatBytes(bytes, utf8(" "))),
		9,
		"tile/entries/000",
		/not a journal entry/,
	],
	[
		"a bundle cut short",
		(log) => truncateSync(`${log}/tile/entries/002.p/88`, 1000),
		517,
		"tile/entries/002.p/88",
		/ends before entry/,
	],
	[
		"a bundle lengthened",
		(log) => edit(`${log}/tile/entries/002.p/88`, (bytes) => concatBytes(bytes, encodeBundle([otherEntry()]))),
		600,
		"tile/entries/002.p/88",
		/goes on/,
	],
	[
		"a bundle with bytes at its end",
		(log) => edit(`${log}/tile/entries/001`, (bytes) => concatBytes(bytes, Uint8Array.of(0))),
		512,
		"tile/entries/001",
		/goes on/,
	],
	["a bundle missing", (log) => rmSync(`${log}/tile/entries/001`), 256, "tile/entries/001", /missing/],
	[
		"two entries swapped",
		(log) => edit(`${log}/tile/entries/000`, swapFirstTwo),
		0,
		"tile/entries/000",
		/does not give its hash/,
	],
	[
		"a leaf hash changed",
		(log) => edit(`${log}/tile/0/001`, flipAt(32 * 4)),
		260,
		"tile/entries/001",
		/does not give its hash/,
	],
	[
		"a hash of the level above changed",
		(log) => edit(`${log}/tile/1/000.p/2`, flipAt(40)),
		256,
		"tile/1/000.p/2",
		/entries 256 to 511/,
	],
	["a tile missing", (log) => rmSync(`${log}/tile/0/000`), 0, "tile/0/000", /missing/],
	["the checkpoint changed", (log) => edit(`${log}/checkpoint`, flipAt(60)), null, "checkpoint", /./],
	["the checkpoint missing", (log) => rmSync(`${log}/checkpoint`), 0, "checkpoint", /once had more/],
	["a checkpoint signed by a stranger", (log) => resign(log), null, "checkpoint", /no trusted key/],
];

describe("verifying a journal", () => {
	it("holds for logs of any size, empty ones too", () => {
		for (const size of [0, 1, 2, 255, 256, 257, 600]) {
			using directory = scratchDirectory();
			if (size > 0) writeLog(directory.path, size, signer);
			const verdict = verify(directory.path);
			assert.ok(verdict.status === "holds", JSON.stringify(verdict));
			assert.equal(verdict.size, size);
		}
	});

	for (const [name, damage, index, file, problem] of DAMAGES) {
		it(`names the first entry that does not fit: ${name}`, () => {
			using directory = scratchDirectory();
			writeLog(directory.path, 600, signer);
			damage(directory.path);
			const verdict = verify(directory.path);
			assert.ok(verdict.status === "does-not-hold", "nothing was noticed");
			assert.deepEqual([verdict.index, verdict.file], [index, file], verdict.problem);
			assert.match(verdict.problem, problem);
		});
	}

	it("notices any changed byte of any file", () => {
		using directory = scratchDirectory();
		writeLog(directory.path, 300, signer);
		const files = readdirSync(directory.path, { recursive: true, encoding: "utf8" })
			.map((name) => join(directory.path, name))
			.filter((path) => statSync(path).isFile());
		fc.assert(
			fc.property(fc.constantFrom(...files), fc.nat(), fc.integer({ min: 1, max: 255 }), (path, seed, change) => {
				const before = readFileSync(path);
				const at = seed % before.length;
				writeFileSync(
					path,
					before.map((byte, index) => (index === at ? byte ^ change : byte)),
				);
				assert.equal(verify(directory.path).status, "does-not-hold", `${path} byte ${at}`);
				writeFileSync(path, before);
			}),
			{ numRuns: 120 },
		);
		assert.equal(verify(directory.path).status, "holds");
	});

	it("finds an end that was cut off and a past that was rewritten by what others remember", () => {
		using directory = scratchDirectory();
		using other = scratchDirectory();
		writeLog(directory.path, 300, signer);
		writeLog(other.path, 280, signer);
		const remembered = readFileSync(join(directory.path, "checkpoint"), "utf8");
		const shorter = readFileSync(join(other.path, "checkpoint"), "utf8");
		assert.equal(verify(directory.path, [remembered]).status, "holds");
		const cut = verify(other.path, [remembered]);
		assert.ok(cut.status === "does-not-hold" && /once had 300 entries and now has 280/.test(cut.problem));
		assert.equal(cut.index, 280);
		// The entries of the two logs differ in their run ids, so one is not the other's past.
		const rewritten = verify(directory.path, [shorter]);
		assert.ok(rewritten.status === "does-not-hold" && /first 280 entries are not those/.test(rewritten.problem));
		const forged = signCheckpoint({ origin: "example.com/other", size: 400, root: treeHash([]) }, sampleSigner(8));
		const unsigned = verify(directory.path, [forged]);
		assert.ok(unsigned.status === "does-not-hold" && /no trusted key signed what/.test(unsigned.problem));
		const gone = verify(join(directory.path, "nothing-here"), [remembered]);
		assert.ok(gone.status === "does-not-hold");
	});

	it("follows the node's key from its founder through rotations, and no forged one", () => {
		using directory = scratchDirectory();
		const journal = openJournal(directory.path, keys);
		journal.append(scratchEntry(0));
		journal.append(successionEntry(signer, next.publicKey, "2025-01-02T03:04:05.000Z"));
		openJournal(directory.path, { signer: () => next, trusted: () => [signer.publicKey, next.publicKey] }).append(
			scratchEntry(1),
		);
		const verdict = verify(directory.path);
		assert.ok(verdict.status === "holds" && verdict.signedBy === next.keyId);
		assert.equal(verifyJournal(directory.path, [next.publicKey]).status, "holds");
		assert.equal(verifyJournal(directory.path, [sampleSigner(3).publicKey]).status, "does-not-hold");

		const entry = successionEntry(signer, next.publicKey, "2025-01-02T03:04:05.000Z");
		for (const forged of [
			{ ...entry, digest: signer.keyId },
			{ ...entry, time: "2025-01-02T03:04:06.000Z" },
			{
				...entry,
				envelope: successionEntry(
					{ ...next, keyId: signer.keyId, publicKey: signer.publicKey },
					next.publicKey,
					entry.time,
				).envelope,
			},
		]) {
			using scratch = scratchDirectory();
			openJournal(scratch.path, keys).append(forged);
			const found = verify(scratch.path);
			assert.ok(found.status === "does-not-hold" && found.index === 0 && /forged/.test(found.problem));
		}
	});

	it("refuses a link in place of a file", () => {
		using directory = scratchDirectory();
		writeLog(directory.path, 3, signer);
		const tile = join(directory.path, "tile/0/000.p/3");
		renameSync(tile, `${tile}.moved`);
		symlinkSync(`${tile}.moved`, tile);
		const verdict = verify(directory.path);
		assert.ok(verdict.status === "does-not-hold" && verdict.file === tile && /symbolic link/.test(verdict.problem));
	});

	it("proves 100,000 entries in reasonable time", (context) => {
		using directory = scratchDirectory();
		writeLog(directory.path, 100_000, signer);
		const started = performance.now();
		const verdict = verify(directory.path);
		const elapsedMs = performance.now() - started;
		context.diagnostic(`verified 100,000 entries in ${elapsedMs.toFixed(0)} ms`);
		assert.ok(verdict.status === "holds" && verdict.size === 100_000);
		assert.ok(elapsedMs < 30_000, `${elapsedMs} ms`);
	});
});

function flipAt(at: number): (bytes: Buffer) => Uint8Array {
	return (bytes) => bytes.map((byte, index) => (index === at ? byte ^ 4 : byte));
}

function swapFirstTwo(bytes: Buffer): Uint8Array {
	const [first, second, ...others] = decodeBundle(bytes).entries;
	return encodeBundle([second, first, ...others].filter((entry) => entry !== undefined));
}

function resign(log: string): void {
	const head = parseCheckpoint(readFileSync(`${log}/checkpoint`, "utf8"));
	if (head !== undefined) writeFileSync(`${log}/checkpoint`, signCheckpoint(head, sampleSigner(8)));
}
