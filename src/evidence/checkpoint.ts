import { bytesFromBase64, hexOfDigest, toBase64 } from "../core/index.ts";
import type { PublicKey, Signer } from "./keys.ts";
import { HASH_BYTES } from "./merkle.ts";
import { parseNote, signNote, verifyNote } from "./note.ts";

/** C2SP tlog-checkpoint without extension lines, signed by the log's one key under the log's own name. */
export interface Checkpoint {
	/** Which log; also the name of the key in the signature line. */
	readonly origin: string;
	readonly size: number;
	/** RFC 6962 root, 32 bytes. */
	readonly root: Uint8Array;
}

/** A checkpoint and the test of its signature. */
export interface SignedCheckpoint extends Checkpoint {
	readonly isSignedBy: (key: PublicKey) => boolean;
}

/** The name of a journal for its whole life: who founded it, by the first half of that key's id. */
export function journalOriginOf(founder: PublicKey): string {
	return `vouch.dev/journal/${hexOfDigest(founder.keyId).slice(0, 32)}`;
}

export function isJournalOrigin(origin: string): boolean {
	return /^vouch\.dev\/journal\/[0-9a-f]{32}$/.test(origin);
}

const BODY = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/=]+)\n$/;

export function signCheckpoint(checkpoint: Checkpoint, signer: Signer): string {
	const text = `${checkpoint.origin}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`;
	return signNote(text, checkpoint.origin, signer);
}

/** Undefined when it is not exactly the text that `signCheckpoint` would write. Vouches for nothing by itself. */
export function parseCheckpoint(text: string): SignedCheckpoint | undefined {
	const note = parseNote(text);
	const [, origin, digits, base64 = ""] = (note === undefined ? null : BODY.exec(note.text)) ?? [];
	const root = bytesFromBase64(base64);
	const size = Number(digits);
	if (note === undefined || origin === undefined || note.keyName !== origin) return undefined;
	if (!Number.isSafeInteger(size) || root?.length !== HASH_BYTES) return undefined;
	return { origin, size, root, isSignedBy: (key) => verifyNote(note, key) };
}
