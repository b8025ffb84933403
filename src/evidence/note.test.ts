import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bytesFromBase64, toBase64, utf8 } from "../core/index.ts";
import { isJournalOrigin, journalOriginOf, parseCheckpoint, signCheckpoint } from "./checkpoint.ts";
import { publicKeyFromRaw } from "./keys.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import { noteVerifierKey, parseNote, signNote, verifyNote } from "./note.ts";
import { sampleSigner } from "./sample-receipt.ts";

const signer = sampleSigner(1);
const origin = journalOriginOf(signer.publicKey);

/** The example of Go's golang.org/x/mod/sumdb/note, where the format comes from. */
const GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_NOTE =
	"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

describe("signed notes", () => {
	it("verify the published note and spell its key alike", () => {
		const raw = bytesFromBase64(GO_KEY.split("+").slice(2).join("+"))?.slice(1);
		const key = publicKeyFromRaw(raw ?? new Uint8Array(0));
		const note = parseNote(GO_NOTE);
		assert.ok(key !== undefined && note !== undefined);
		assert.equal(noteVerifierKey("PeterNeumann", key), GO_KEY);
		assert.ok(verifyNote(note, key));
		assert.equal(verifyNote({ ...note, text: note.text.replace("answer", "question") }, key), false);
		assert.equal(verifyNote(note, signer.publicKey), false);
	});

	it("demand exactly one signature line", () => {
		const note = signNote("a\n\nb\n", "name", signer);
		assert.equal(parseNote(note)?.text, "a\n\nb\n");
		const line = note.slice(note.indexOf("—"));
		for (const other of [
			`${note}${line}`,
			`${note}\n`,
			`\n${note}`.slice(0, -1),
			note.slice(0, note.indexOf("—")),
			note.replace("\n\n—", "\n—"),
			note.replace("— name", "—  name"),
			note.replace("— name", "- name"),
			note.replace("\n—", "\r\n—"),
			note.replace("name ", "na+me "),
			note.replace("name ", "na\u00a0me "),
			note.replace("a\n", "a\u0000\n"),
			note.replace("=\n", "\n"),
			"",
		]) {
			const parsed = parseNote(other);
			assert.ok(parsed === undefined || !verifyNote(parsed, signer.publicKey), JSON.stringify(other));
		}
	});

	it("bind the name of the key", () => {
		const note = parseNote(signNote("a\n", "name", signer).replace("— name", "— mane"));
		assert.ok(note !== undefined);
		assert.equal(verifyNote(note, signer.publicKey), false);
	});

	it("are refused for names and texts that would not parse", () => {
		for (const name of ["", "a b", "a+b", "a\tb", "a\u2003b"])
			assert.throws(() => signNote("a\n", name, signer), { code: "note-name" });
		for (const text of ["a", "", "a\t\n", "\ud800\n"])
			assert.throws(() => signNote(text, "n", signer), { code: "note-text" });
	});

	it("reject every single changed byte", () => {
		const bytes = utf8(signCheckpoint({ origin, size: 7, root: EMPTY_ROOT }, signer));
		for (const at of bytes.keys()) {
			for (const flip of [1, 4, 0x20, 0x80]) {
				const changed = bytes.map((byte, index) => (index === at ? byte ^ flip : byte));
				assert.notEqual(
					parseCheckpoint(Buffer.from(changed).toString())?.isSignedBy(signer.publicKey),
					true,
					`byte ${at}`,
				);
			}
		}
	});

	it("never throw on what isn't one", () => {
		fc.assert(
			fc.property(
				fc.string({ unit: fc.constantFrom("a", "\n", "— ", "+", " ", "=", "0", "\n\n"), maxLength: 40 }),
				(text) => {
					assert.ok(parseNote(text) === undefined || text.includes("\n\n— "));
					assert.equal(parseCheckpoint(text), undefined);
				},
			),
		);
	});
});

describe("checkpoints", () => {
	it("are what the specification says, and come back", () => {
		const text = signCheckpoint({ origin, size: 20_852_163, root: EMPTY_ROOT }, signer);
		assert.ok(text.startsWith(`${origin}\n20852163\n${toBase64(EMPTY_ROOT)}\n\n— ${origin} `));
		const checkpoint = parseCheckpoint(text);
		assert.ok(checkpoint !== undefined);
		assert.ok(checkpoint.isSignedBy(signer.publicKey));
		assert.equal(checkpoint.isSignedBy(sampleSigner(2).publicKey), false);
		assert.deepEqual([checkpoint.origin, checkpoint.size, checkpoint.root], [origin, 20_852_163, EMPTY_ROOT]);
		assert.ok(isJournalOrigin(origin));
	});

	it("refuse other numbers, roots, extension lines and names, even well signed", () => {
		const root = toBase64(EMPTY_ROOT);
		const bodies = [
			`${origin}\n07\n${root}\n`,
			`${origin}\n-1\n${root}\n`,
			`${origin}\n9007199254740993\n${root}\n`,
			`${origin}\n1e3\n${root}\n`,
			`${origin}\n7\n${root.slice(4)}\n`,
			`${origin}\n7\n${root}\nextension\n`,
			`${origin}\n7\n`,
			`other\n7\n${root}\n`,
			`\n${origin}\n7\n${root}\n`,
		];
		for (const body of bodies) assert.equal(parseCheckpoint(signNote(body, origin, signer)), undefined, body);
		assert.notEqual(parseCheckpoint(signNote(`${origin}\n7\n${root}\n`, origin, signer)), undefined);
	});
});
