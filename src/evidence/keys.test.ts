import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bytesFromHex, digestOf, utf8 } from "../core/index.ts";
import { formatPublicKey, parsePublicKey, publicKeyFromRaw, signerOf } from "./keys.ts";
import { sampleSigner } from "./sample-receipt.ts";

const signer = sampleSigner(7);

describe("keys", () => {
	it("verify the test vectors of RFC 8032 section 7.1", () => {
		const vectors = [
			[
				"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
				"",
				"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
			],
			[
				"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
				"72",
				"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
			],
		] as const;
		for (const [raw, message, signature] of vectors) {
			const key = publicKeyFromRaw(bytesFromHex(raw) ?? new Uint8Array(0));
			assert.ok(key !== undefined);
			assert.ok(key.verifies(Buffer.from(message, "hex"), Buffer.from(signature, "hex")));
			assert.equal(key.verifies(utf8("other"), Buffer.from(signature, "hex")), false);
			assert.equal(key.verifies(Buffer.from(message, "hex"), Buffer.from(`${signature}00`, "hex")), false);
			assert.equal(key.verifies(Buffer.from(message, "hex"), new Uint8Array(0)), false);
			assert.equal(key.keyId, digestOf(Buffer.from(raw, "hex")));
		}
	});

	it("refuse a signature whose S is not reduced (RFC 8032 section 5.1.7): no second signature can be made from one", () => {
		const order = 2n ** 252n + 27742317777372353535851937790883648493n;
		const signature = signer.sign(utf8("m"));
		let s = 0n;
		for (const byte of signature.slice(32).reverse()) s = (s << 8n) | BigInt(byte);
		const twin = signature.slice();
		for (let [at, left] = [32, s + order]; at < 64; at += 1, left >>= 8n) twin[at] = Number(left & 0xffn);
		assert.ok(signer.publicKey.verifies(utf8("m"), signature));
		assert.equal(signer.publicKey.verifies(utf8("m"), twin), false);
	});

	it("come back from text, with a label, and from PEM", () => {
		const text = formatPublicKey(signer.publicKey);
		const pem = createPublicKey({
			key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), signer.publicKey.raw]),
			format: "der",
			type: "spki",
		}).export({ format: "pem", type: "spki" });
		for (const [given, label] of [
			[text, ""],
			[`${text} ada's  laptop\n`, "ada's laptop"],
			[String(pem), ""],
		] as const) {
			const parsed = parsePublicKey(given);
			assert.ok(parsed.kind === "key", given);
			assert.equal(parsed.key.keyId, signer.keyId);
			assert.equal(parsed.label, label);
		}
	});

	it("say why a text is none", () => {
		const rsa = generateKeyPairSync("ec", { namedCurve: "P-256" });
		const text = formatPublicKey(signer.publicKey);
		const cases: readonly (readonly [string, RegExp])[] = [
			["", /does not start with/],
			["ssh-ed25519 AAAA", /does not start with/],
			[text.slice(0, -1), /not the base64 of 32 bytes/],
			[`${text}AA==`, /not the base64/],
			[`${text}\n${text}`, /does not start with/],
			[String(rsa.publicKey.export({ format: "pem", type: "spki" })), /another kind/],
			[String(rsa.privateKey.export({ format: "pem", type: "pkcs8" })), /private key/],
			["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", /can't be read/],
		];
		for (const [given, why] of cases) {
			const parsed = parsePublicKey(given);
			assert.ok(parsed.kind === "invalid");
			assert.match(parsed.reason.sentence, why);
		}
		assert.throws(() => signerOf(rsa.privateKey), { code: "key-not-ed25519" });
	});

	it("never throw on any text", () => {
		fc.assert(
			fc.property(fc.string({ maxLength: 80 }), (tail) => {
				assert.equal(parsePublicKey(`vouch-ed25519:${tail}!`).kind, "invalid");
				assert.equal(parsePublicKey(`-----BEGIN PUBLIC KEY-----${tail}`).kind, "invalid");
			}),
		);
	});
});
