import { bytesFromBase64, concatBytes, equalBytes, sha256, toBase64, utf8 } from "../core/index.ts";
import { fail } from "./failures.ts";
import type { PublicKey, Signer } from "./keys.ts";

/** C2SP signed-note, Ed25519 alone. Stricter than the specification: exactly one signature line. */
export interface Note {
	/** What is signed; ends in a newline. */
	readonly text: string;
	readonly keyName: string;
	/** First four bytes of the key's hash: a hint, never trusted. */
	readonly keyHash: Uint8Array;
	readonly signature: Uint8Array;
}

const ED25519 = 0x01;
const KEY_HASH_BYTES = 4;
const SIGNATURE_BYTES = 64;
/** The text, an empty line, and one line: em dash, key name, base64. */
const NOTE = /^((?:[^\n]*\n)+)\n— ([^\s+]+) ([A-Za-z0-9+/=]+)\n$/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what the format forbids
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;

/** Key id of signed-note section "Signatures": the first four bytes of SHA-256(name, newline, 0x01, key). */
export function noteKeyHash(keyName: string, key: PublicKey): Uint8Array {
	return sha256(concatBytes(utf8(`${keyName}\n`), Uint8Array.of(ED25519), key.raw)).slice(0, KEY_HASH_BYTES);
}

/** The key as other signed-note programs take it: `name+hash+base64`. */
export function noteVerifierKey(keyName: string, key: PublicKey): string {
	const keyHash = Buffer.from(noteKeyHash(keyName, key)).toString("hex");
	return `${keyName}+${keyHash}+${toBase64(concatBytes(Uint8Array.of(ED25519), key.raw))}`;
}

/** The note of a text. Throws `note-name` and `note-text`. */
export function signNote(text: string, keyName: string, signer: Signer): string {
	if (!/^[^\s+]+$/u.test(keyName) || CONTROL.test(keyName)) throw fail("note-name", { name: JSON.stringify(keyName) });
	if (!text.endsWith("\n") || CONTROL.test(text) || !text.isWellFormed()) throw fail("note-text");
	const signature = concatBytes(noteKeyHash(keyName, signer.publicKey), signer.sign(utf8(text)));
	return `${text}\n— ${keyName} ${toBase64(signature)}\n`;
}

/** The parts of a note with exactly one signature line, or undefined. Vouches for nothing. */
export function parseNote(note: string): Note | undefined {
	const match = NOTE.exec(note);
	if (match === null || CONTROL.test(note) || !note.isWellFormed()) return undefined;
	const [, text = "", keyName = "", base64 = ""] = match;
	const bytes = bytesFromBase64(base64);
	if (bytes === undefined || bytes.length !== KEY_HASH_BYTES + SIGNATURE_BYTES) return undefined;
	return { text, keyName, keyHash: bytes.slice(0, KEY_HASH_BYTES), signature: bytes.slice(KEY_HASH_BYTES) };
}

export function verifyNote(note: Note, key: PublicKey): boolean {
	return equalBytes(note.keyHash, noteKeyHash(note.keyName, key)) && key.verifies(utf8(note.text), note.signature);
}
