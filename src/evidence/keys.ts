import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { bytesFromBase64, type Digest, digestOf, type Failure, toBase64 } from "../core/index.ts";
import { fail, failure } from "./failures.ts";

/** An Ed25519 public key. Made by `publicKeyFromRaw` and `parsePublicKey` alone. */
export interface PublicKey {
	/** 32 bytes, RFC 8032 section 5.1.5. */
	readonly raw: Uint8Array;
	/** SHA-256 of the raw bytes. */
	readonly keyId: Digest;
	/** Whether a signature of 64 bytes over the message is this key's. Never throws. */
	verifies(message: Uint8Array, signature: Uint8Array): boolean;
}

/** Whoever holds a private key. Signing never leaves this interface, so a key may live in a TPM or another process. */
export interface Signer {
	readonly keyId: Digest;
	readonly publicKey: PublicKey;
	/** 64 bytes, RFC 8032 section 5.1.6. */
	sign(message: Uint8Array): Uint8Array;
}

export type ParsedPublicKey =
	| { readonly kind: "key"; readonly key: PublicKey /** What stands after the key. */; readonly label: string }
	| { readonly kind: "invalid"; readonly reason: Failure };

/** DER of a SubjectPublicKeyInfo up to the key itself, RFC 8410 section 4. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const RAW_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const TEXT_PREFIX = "vouch-ed25519:";

/** The key of 32 raw bytes, or undefined for any other length. */
export function publicKeyFromRaw(raw: Uint8Array): PublicKey | undefined {
	if (raw.length !== RAW_KEY_BYTES) return undefined;
	const der = Buffer.concat([SPKI_PREFIX, raw]);
	const key = createPublicKey({ key: der, format: "der", type: "spki" });
	return {
		raw: new Uint8Array(raw),
		keyId: digestOf(raw),
		verifies: (message, signature) => signature.length === SIGNATURE_BYTES && verify(null, message, key, signature),
	};
}

/** How people pass a key on: `vouch-ed25519:` and the base64 of its raw bytes. */
export function formatPublicKey(key: PublicKey): string {
	return TEXT_PREFIX + toBase64(key.raw);
}

/** Reads `vouch-ed25519:BASE64 [label]` or an Ed25519 public key in PEM; space around it does not matter. */
export function parsePublicKey(text: string): ParsedPublicKey {
	const trimmed = text.trim();
	if (trimmed.includes("PRIVATE KEY-----")) return invalid("this is a private key, which nobody else may see");
	if (trimmed.startsWith("-----BEGIN PUBLIC KEY-----")) return keyOfPem(trimmed);
	const [first = "", ...label] = trimmed.split(/[ \t]+/);
	if (!first.startsWith(TEXT_PREFIX) || /[\r\n]/.test(trimmed)) return invalid(`it does not start with ${TEXT_PREFIX}`);
	const raw = bytesFromBase64(first.slice(TEXT_PREFIX.length));
	const key = raw === undefined ? undefined : publicKeyFromRaw(raw);
	if (key === undefined) return invalid("what follows vouch-ed25519: is not the base64 of 32 bytes");
	return { kind: "key", key, label: label.join(" ") };
}

/** A signer for a private key in this process. Throws `key-not-ed25519`. */
export function signerOf(privateKey: KeyObject): Signer {
	const kind = privateKey.asymmetricKeyType;
	const key =
		privateKey.type === "private" && kind === "ed25519" ? keyOfObject(createPublicKey(privateKey)) : undefined;
	if (key === undefined) throw fail("key-not-ed25519", { kind: kind ?? privateKey.type });
	return { keyId: key.keyId, publicKey: key, sign: (message) => new Uint8Array(sign(null, message, privateKey)) };
}

function keyOfPem(pem: string): ParsedPublicKey {
	try {
		const key = keyOfObject(createPublicKey({ key: pem, format: "pem", type: "spki" }));
		return key === undefined ? invalid("the PEM holds a key of another kind") : { kind: "key", key, label: "" };
	} catch {
		return invalid("the PEM can't be read");
	}
}

function keyOfObject(object: KeyObject): PublicKey | undefined {
	const der = object.export({ format: "der", type: "spki" });
	const isEd25519 = der.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX);
	return isEd25519 ? publicKeyFromRaw(der.subarray(SPKI_PREFIX.length)) : undefined;
}

function invalid(why: string): ParsedPublicKey {
	return { kind: "invalid", reason: failure("key-unreadable", { why }) };
}
