import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bytesFromBase64, canonicalJson, digestOf, newId, type RunId, utf8 } from "../core/index.ts";
import {
	journalOriginOf,
	leafHash,
	parseCheckpoint,
	type Signer,
	sampleSigner,
	verifyInclusion,
} from "../evidence/index.ts";
import type { Inclusion } from "../evidence/schema.ts";
import { type JournalKeys, openJournal } from "./journal.ts";
import type { JournalEntry } from "./schema.ts";
import { scratchDirectory, scratchEntry, writeLog } from "./scratch-log.ts";
import { verifyJournal } from "./verify-journal.ts";

const signer = sampleSigner(1);
const keysOf = (...signers: readonly [Signer, ...Signer[]]): JournalKeys => ({
	signer: () => signers[0],
	trusted: () => signers.map(({ publicKey }) => publicKey),
});
const keys = keysOf(signer);

function proves(entry: JournalEntry, inclusion: Inclusion): boolean {
	const checkpoint = parseCheckpoint(inclusion.checkpoint);
	assert.ok(checkpoint !== undefined);
	assert.ok(checkpoint.isSignedBy(signer.publicKey));
	const path = inclusion.path.map((node) => bytesFromBase64(node) ?? new Uint8Array(0));
	return verifyInclusion(leafHash(utf8(canonicalJson(entry))), inclusion.leafIndex, checkpoint, path);
}

describe("appending", () => {
	it("proves each entry at once and later, over a full tile, and the whole verifies", () => {
		using directory = scratchDirectory();
		const journal = openJournal(directory.path, keys);
		assert.equal(journal.checkpoint(), undefined);
		const entries: JournalEntry[] = [];
		for (let index = 0; index < 262; index += 1) {
			const entry = scratchEntry(index);
			const inclusion = journal.append(entry);
			assert.equal(inclusion.leafIndex, index);
			assert.ok(proves(entry, inclusion), `entry ${index}`);
			entries.push(entry);
		}
		for (const [index, entry] of entries.entries())
			assert.ok(proves(entry, journal.prove(index)), `entry ${index} again`);
		const verdict = verifyJournal(directory.path, [signer.publicKey]);
		assert.ok(verdict.status === "holds");
		assert.deepEqual(
			[verdict.size, verdict.signedBy, verdict.origin],
			[262, signer.keyId, journalOriginOf(signer.publicKey)],
		);
	});

	it("lays files out as C2SP tlog-tiles does: partial tiles stay until the full one is there", () => {
		using directory = scratchDirectory();
		writeLog(directory.path, 254, signer);
		const journal = openJournal(directory.path, keys);
		const tile = (...names: string[]): string => join(directory.path, "tile", ...names);
		journal.append(scratchEntry(254));
		assert.deepEqual(readdirSync(tile("0", "000.p")).sort(), ["254", "255"]);
		journal.append(scratchEntry(255));
		assert.deepEqual(readdirSync(tile("0")), ["000"]);
		assert.deepEqual(readdirSync(tile("entries")), ["000"]);
		assert.deepEqual(readdirSync(tile("1")), ["000.p"]);
		assert.equal(statSync(tile("0", "000")).size, 8192);
		assert.equal(statSync(tile("1", "000.p", "1")).size, 32);
		journal.append(scratchEntry(256));
		assert.deepEqual(readdirSync(tile("0")).sort(), ["000", "001.p"]);
		assert.equal(verifyJournal(directory.path, [signer.publicKey]).status, "holds");
	});

	it("keeps files to their owner", () => {
		using directory = scratchDirectory();
		openJournal(directory.path, keys).append(scratchEntry(0));
		for (const name of readdirSync(directory.path, { recursive: true, encoding: "utf8" })) {
			assert.equal(statSync(join(directory.path, name)).mode & 0o077, 0, name);
		}
	});

	it("takes decisions and approvals, and refuses what is no entry", () => {
		using directory = scratchDirectory();
		const journal = openJournal(directory.path, keys);
		const time = "2025-01-02T03:04:05.000Z";
		const workloadDigest = digestOf("workload");
		const runId = newId<RunId>(1);
		journal.append({ kind: "decision", digest: digestOf("d"), time, runId, verdict: "needs-approval", workloadDigest });
		const approval = {
			schema: "vouch.approval/v1",
			workloadDigest,
			verdict: "approved",
			approver: "ada",
			method: "terminal",
			time,
		} as const;
		journal.append({ kind: "approval", digest: digestOf("a"), time, runId, approval });
		const wrong = [
			{},
			{ kind: "receipt" },
			{ ...scratchEntry(0), extra: 1 },
			{ ...scratchEntry(0), time: "yesterday" },
		];
		for (const entry of wrong) assert.throws(() => journal.append(entry as JournalEntry), { code: "entry-malformed" });
		const verdict = verifyJournal(directory.path, [signer.publicKey]);
		assert.ok(verdict.status === "holds" && verdict.size === 2);
	});

	it("goes on under another key of the node and keeps its name", () => {
		using directory = scratchDirectory();
		const next = sampleSigner(2);
		openJournal(directory.path, keys).append(scratchEntry(0));
		openJournal(directory.path, keysOf(next, signer)).append(scratchEntry(1));
		const verdict = verifyJournal(directory.path, [signer.publicKey, next.publicKey]);
		assert.ok(verdict.status === "holds");
		assert.deepEqual([verdict.signedBy, verdict.origin], [next.keyId, journalOriginOf(signer.publicKey)]);
	});

	it("does not prove what is not there", () => {
		using directory = scratchDirectory();
		const journal = openJournal(directory.path, keys);
		assert.throws(() => journal.prove(0), { code: "entry-unknown" });
		journal.append(scratchEntry(0));
		for (const index of [1, -1, 0.5, Number.NaN]) assert.throws(() => journal.prove(index), { code: "entry-unknown" });
	});
});

describe("a log that does not fit its checkpoint", () => {
	const cases: readonly (readonly [string, (path: string) => void, RegExp])[] = [
		["a changed entry", (path) => flip(join(path, "tile/entries/001.p/44"), 100), /do not give their hashes/],
		["a changed leaf hash", (path) => flip(join(path, "tile/0/001.p/44"), 5), /do not give their hashes/],
		["a changed hash above", (path) => flip(join(path, "tile/1/000.p/1"), 5), /do not give its root/],
		["a missing tile", (path) => writeFileSync(join(path, "tile/0/001.p/44"), ""), /missing or too short/],
		["a checkpoint that is none", (path) => writeFileSync(join(path, "checkpoint"), "x\n"), /not a signed note/],
		["a changed checkpoint", (path) => flip(join(path, "checkpoint"), 60), /trusted key signed|not a signed note/],
	];
	for (const [name, damage, why] of cases) {
		it(`is never extended: ${name}`, () => {
			using directory = scratchDirectory();
			writeLog(directory.path, 300, signer);
			const before = readFileSync(join(directory.path, "checkpoint"));
			openJournal(directory.path, keys).prove(299);
			damage(directory.path);
			const appended = (): unknown => openJournal(directory.path, keys).append(scratchEntry(300));
			assert.throws(
				appended,
				(error: Error) => "code" in error && error.code === "journal-damaged" && why.test(error.message),
			);
			assert.equal(existsSync(join(directory.path, "tile/0/001.p/45")), false);
			assert.equal(readFileSync(join(directory.path, "checkpoint")).length > 0, before.length > 0);
		});
	}

	it("is never extended: a foreign key's checkpoint", () => {
		using directory = scratchDirectory();
		writeLog(directory.path, 3, sampleSigner(9));
		assert.throws(() => openJournal(directory.path, keys).append(scratchEntry(3)), { code: "journal-damaged" });
	});

	it("is never extended: an older checkpoint put back, or none at all", () => {
		for (const older of [2, 0]) {
			using directory = scratchDirectory();
			const journal = openJournal(directory.path, keys);
			const checkpoints = [0, 1, 2, 3].map((index) => journal.append(scratchEntry(index)).checkpoint);
			writeFileSync(join(directory.path, "checkpoint"), checkpoints[older - 1] ?? "");
			if (older === 0) chmodSync(join(directory.path, "checkpoint"), 0o600);
			assert.throws(() => journal.append(scratchEntry(4)), { code: "journal-damaged" });
		}
	});
});

describe("the directory", () => {
	it("must be private and no link", () => {
		using directory = scratchDirectory();
		chmodSync(directory.path, 0o755);
		assert.throws(() => openJournal(directory.path, keys), { code: "path-unsafe" });
		chmodSync(directory.path, 0o700);
		symlinkSync(directory.path, join(directory.path, "link"));
		assert.throws(() => openJournal(join(directory.path, "link"), keys), { code: "path-unsafe" });
	});

	it("is not written through a link planted for a file of it", () => {
		using directory = scratchDirectory();
		const target = join(directory.path, "precious");
		writeFileSync(target, "precious");
		const journal = openJournal(directory.path, keys);
		symlinkSync(target, join(directory.path, "checkpoint.new"));
		assert.throws(() => journal.append(scratchEntry(0)), { code: "ELOOP" });
		assert.equal(readFileSync(target, "utf8"), "precious");
	});
});

function flip(path: string, at: number): void {
	const bytes = readFileSync(path);
	bytes[at] = (bytes[at] ?? 0) ^ 1;
	writeFileSync(path, bytes);
}
