import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
	formatPublicKey,
	parsePublicKey,
	sampleInclusion,
	sampleSealed,
	sampleSigner,
	verifyReceipt,
} from "../evidence/index.ts";
import { openJournal } from "./journal.ts";
import { openKeyStore } from "./node-key.ts";
import { scratchDirectory, scratchEntry } from "./scratch-log.ts";
import { verifyJournal } from "./verify-journal.ts";

const stranger = sampleSigner(5);
const index = JSON.stringify(import.meta.resolve("./index.ts"));

describe("the key store", () => {
	it("makes a key on first use and keeps it, for its owner alone", () => {
		using directory = scratchDirectory();
		const path = join(directory.path, "keys");
		const { keyId } = openKeyStore(path).signer();
		assert.equal(openKeyStore(path).signer().keyId, keyId);
		assert.equal(statSync(path).mode & 0o777, 0o700);
		assert.equal(statSync(join(path, "node.key")).mode & 0o777, 0o600);
	});

	const openssl = spawnSync("openssl", ["version"]);

	it("keeps it in a form that other programs read", {
		skip: openssl.error === undefined ? false : "openssl is not here",
	}, () => {
		using directory = scratchDirectory();
		const { keyId } = openKeyStore(directory.path).signer();
		const key = join(directory.path, "node.key");
		const parsed = parsePublicKey(execFileSync("openssl", ["pkey", "-in", key, "-pubout"], { encoding: "utf8" }));
		assert.ok(parsed.kind === "key" && parsed.key.keyId === keyId);
	});

	it("makes one key when many processes use it first at once", async () => {
		using directory = scratchDirectory();
		const code = `import { openKeyStore } from ${index}; console.log(openKeyStore(${JSON.stringify(directory.path)}).signer().keyId);`;
		const children = Array.from({ length: 6 }, () => spawn(process.execPath, ["--input-type=module", "-e", code]));
		const printed = await Promise.all(
			children.map(async (child) => {
				const chunks: Buffer[] = [];
				child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
				await once(child, "close");
				return Buffer.concat(chunks).toString().trim();
			}),
		);
		assert.deepEqual(new Set(printed), new Set([openKeyStore(directory.path).signer().keyId]));
	});

	it("refuses a key that others may read, that is a link, or that is none", () => {
		using directory = scratchDirectory();
		openKeyStore(directory.path);
		const key = join(directory.path, "node.key");
		for (const mode of [0o640, 0o604, 0o660, 0o601]) {
			chmodSync(key, mode);
			assert.throws(() => openKeyStore(directory.path), { code: "path-unsafe" }, mode.toString(8));
		}
		chmodSync(key, 0o600);
		renameSync(key, `${key}.moved`);
		symlinkSync(`${key}.moved`, key);
		assert.throws(() => openKeyStore(directory.path), { code: "path-unsafe" });
		using other = scratchDirectory();
		writeFileSync(join(other.path, "node.key"), "not a key", { mode: 0o600 });
		assert.throws(() => openKeyStore(other.path), { code: "key-unusable" });
		chmodSync(other.path, 0o750);
		assert.throws(() => openKeyStore(other.path), { code: "path-unsafe" });
	});

	it("refuses a key of another user", {
		skip: process.geteuid?.() === 0 ? false : "giving a file away needs root",
	}, () => {
		using directory = scratchDirectory();
		openKeyStore(directory.path);
		chownSync(join(directory.path, "node.key"), 65_534, 65_534);
		assert.throws(() => openKeyStore(directory.path), { code: "path-unsafe" });
	});

	it("trusts keys that are added, with their labels, and refuses a file that others may write", () => {
		using directory = scratchDirectory();
		const store = openKeyStore(directory.path);
		store.trust(stranger.publicKey, "ada's\n laptop");
		store.trust(stranger.publicKey, "ada's\n laptop");
		assert.deepEqual(
			store.list().map(({ key, label, role }) => [key.keyId, label, role]),
			[
				[store.signer().keyId, "this node", "signs"],
				[stranger.keyId, "ada's laptop", "trusted"],
			],
		);
		assert.ok(
			openKeyStore(directory.path)
				.trusted()
				.some(({ keyId }) => keyId === stranger.keyId),
		);
		const dropped = join(directory.path, "trusted", "by-hand.pub");
		writeFileSync(dropped, `${formatPublicKey(sampleSigner(6).publicKey)} by hand\n`, { mode: 0o644 });
		assert.equal(store.list().length, 3);
		chmodSync(dropped, 0o666);
		assert.throws(() => store.trusted(), { code: "path-unsafe" });
		chmodSync(dropped, 0o644);
		writeFileSync(dropped, "vouch-ed25519:xyz\n");
		assert.throws(() => store.trusted(), { code: "key-unusable" });
	});
});

describe("rotation", () => {
	it("changes the signer, is journaled, and leaves old receipts and other processes whole", () => {
		using directory = scratchDirectory();
		const store = openKeyStore(join(directory.path, "keys"));
		const journal = openJournal(join(directory.path, "journal"), store);
		const old = store.signer();
		// Another process that has the old key loaded.
		const elsewhere = openKeyStore(join(directory.path, "keys"));
		const sealed = sampleSealed(old);
		const receipt = sealed.withInclusion(journal.append(sealed.entry));
		assert.equal(verifyReceipt(receipt, { trustedKeys: store.trusted() }).status, "verified");

		const next = store.rotate(journal);
		assert.notEqual(next.keyId, old.keyId);
		assert.equal(store.signer().keyId, next.keyId);
		assert.equal(openKeyStore(join(directory.path, "keys")).signer().keyId, next.keyId);
		assert.equal(verifyReceipt(receipt, { trustedKeys: store.trusted() }).status, "verified");
		assert.equal(verifyReceipt(receipt, { trustedKeys: [next.publicKey] }).status, "rejected");

		journal.append(scratchEntry(0));
		const late = sampleSealed(elsewhere.signer());
		const lateReceipt = late.withInclusion(openJournal(join(directory.path, "journal"), elsewhere).append(late.entry));
		assert.equal(verifyReceipt(lateReceipt, { trustedKeys: store.trusted() }).status, "verified");
		journal.append(scratchEntry(1));

		const verdict = verifyJournal(join(directory.path, "journal"), [old.publicKey]);
		assert.ok(verdict.status === "holds" && verdict.signedBy === next.keyId && verdict.size === 5);
		assert.throws(() => elsewhere.rotate(journal), { code: "key-changed" });
		assert.equal(openKeyStore(join(directory.path, "keys")).signer().keyId, next.keyId);
		assert.doesNotMatch(readFileSync(join(directory.path, "journal/tile/entries/000.p/2"), "utf8"), /PRIVATE/);
	});

	it("does not vouch for a receipt whose checkpoint another key signed", () => {
		const sealed = sampleSealed(stranger);
		const receipt = sealed.withInclusion(sampleInclusion(sealed, sampleSigner(6)));
		assert.equal(
			verifyReceipt(receipt, { trustedKeys: [stranger.publicKey, sampleSigner(6).publicKey] }).status,
			"rejected",
		);
	});
});
