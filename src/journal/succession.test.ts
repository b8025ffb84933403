import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { signerOf } from "../evidence/index.ts";
import { openKeyStore } from "./node-key.ts";
import { type SuccessionEntry, successionEntry, successorsOf } from "./succession.ts";

const newSigner = () => signerOf(generateKeyPairSync("ed25519").privateKey);
const TIME = "2026-11-21T00:00:00.000Z";

test("keys follow each other, and only by the word of one that is known", () => {
	const [first, second, third, stranger] = [newSigner(), newSigner(), newSigner(), newSigner()];
	const one = successionEntry(first, second.publicKey, TIME);
	const two = successionEntry(second, third.publicKey, TIME);
	const idsOf = (entries: readonly unknown[]) => successorsOf([first.publicKey], entries).map(({ keyId }) => keyId);
	assert.deepEqual(idsOf([one, two, one]), [first.keyId, second.keyId, third.keyId]);
	assert.deepEqual(idsOf([two]), [first.keyId]);
	const claimed = successionEntry(stranger, stranger.publicKey, TIME);
	const forged = { ...one, digest: stranger.keyId };
	const [signature] = one.envelope.signatures;
	const resigned = { ...claimed, envelope: { ...claimed.envelope, signatures: [signature] } };
	assert.deepEqual(idsOf([claimed, forged, resigned, null, "x", { kind: "key-succession" }]), [first.keyId]);
	assert.deepEqual(successorsOf([], [one, two]), []);
});

test("a key store keeps what its keys signed for each other, oldest first", async (context) => {
	const directory = mkdtempSync(join(tmpdir(), "vouch-succession-"));
	context.after(() => rmSync(directory, { recursive: true }));
	let nowMs = 1_000;
	const clock = { nowMs: () => nowMs++, monotonicMs: () => 0 };
	const store = openKeyStore(join(directory, "keys"), clock);
	const first = store.signer().publicKey;
	const appended: SuccessionEntry[] = [];
	for (let count = 0; count < 3; count++) {
		await store.rotateWith(async (entry) => {
			appended.push(entry);
		});
	}
	const again = openKeyStore(join(directory, "keys"));
	assert.deepEqual(again.successions(), appended);
	assert.equal(successorsOf([first], again.successions()).at(-1)?.keyId, again.signer().keyId);
});
