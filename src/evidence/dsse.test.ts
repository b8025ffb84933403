import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { utf8 } from "../core/index.ts";
import { openEnvelope, preAuthenticationEncoding, signEnvelope } from "./dsse.ts";
import { sampleSigner } from "./sample-receipt.ts";

const signer = sampleSigner(1);

describe("DSSE", () => {
	it("encodes the example of the protocol, and counts bytes, not characters", () => {
		const encode = (type: string, body: string): string =>
			Buffer.from(preAuthenticationEncoding(type, utf8(body))).toString();
		assert.equal(
			encode("http://example.com/HelloWorld", "hello world"),
			"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
		);
		assert.equal(encode("é", "ü€"), "DSSEv1 2 é 5 ü€");
		assert.equal(encode("", ""), "DSSEv1 0  0 ");
	});

	it("opens what it signed and nothing else", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 64 }), (payload) => {
				const envelope = signEnvelope("text/x", payload, signer);
				assert.deepEqual(openEnvelope(envelope, signer.publicKey), payload);
				assert.equal(openEnvelope(envelope, sampleSigner(2).publicKey), undefined);
				assert.equal(openEnvelope({ ...envelope, payloadType: "text/y" }, signer.publicKey), undefined);
				assert.equal(openEnvelope({ ...envelope, payload: `${envelope.payload}AAAA` }, signer.publicKey), undefined);
			}),
			{ numRuns: 30 },
		);
	});

	it("demands exactly one signature in exactly one spelling", () => {
		const envelope = signEnvelope("text/x", utf8("f"), signer);
		const [signature] = envelope.signatures;
		const with_ = (signatures: { keyid: string; sig: string }[]): Uint8Array | undefined =>
			openEnvelope({ ...envelope, signatures }, signer.publicKey);
		assert.deepEqual(with_([signature]), utf8("f"));
		assert.equal(with_([]), undefined);
		assert.equal(with_([signature, signature]), undefined);
		assert.equal(with_([{ ...signature, keyid: "" }]), undefined);
		assert.equal(with_([{ ...signature, sig: signature.sig.replace(/=+$/, "") }]), undefined);
		assert.equal(
			with_([{ ...signature, sig: signature.sig.replaceAll("+", "-").replaceAll("/", "_").replace("=", "") }]),
			undefined,
		);
		assert.equal(openEnvelope({ ...envelope, payload: "Zh==" }, signer.publicKey), undefined, "non-zero spare bits");
	});
});
