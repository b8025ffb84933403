import { bytesFromBase64, canonicalJson, parseCanonicalJson, toBase64, utf8 } from "../core/index.ts";
import { openEnvelope, type PublicKey, publicKeyFromRaw, type Signer, signEnvelope } from "../evidence/index.ts";
import {
	type JournalEntry,
	journalEntrySchema,
	KEY_SUCCESSION_TYPE,
	type KeySuccession,
	keySuccessionSchema,
} from "./schema.ts";

export type SuccessionEntry = Extract<JournalEntry, { kind: "key-succession" }>;

/** The old key's signed word that the next one speaks for the same node. */
export function successionEntry(previous: Signer, next: PublicKey, time: string): SuccessionEntry {
	const succession: KeySuccession = {
		schema: "vouch.key-succession/v1",
		previous: previous.keyId,
		next: next.keyId,
		publicKey: toBase64(next.raw),
		time,
	};
	const envelope = signEnvelope(KEY_SUCCESSION_TYPE, utf8(canonicalJson(succession)), previous);
	return { kind: "key-succession", digest: next.keyId, time, envelope };
}

/** Undefined for what is none; whether it holds, `checkSuccession` says. */
export function readSuccession(given: unknown): SuccessionEntry | undefined {
	const value = given instanceof Uint8Array ? parsePayload(given) : given;
	const entry = journalEntrySchema.safeParse(value).data;
	return entry?.kind === "key-succession" ? entry : undefined;
}

/** All keys that one may follow from these: each entry counts when a key that is known by then signed it. */
export function successorsOf(known: readonly PublicKey[], entries: readonly unknown[]): readonly PublicKey[] {
	const keys = [...known];
	for (const given of entries) {
		const entry = readSuccession(given);
		const checked = entry && checkSuccession(entry, keys);
		if (checked?.kind === "successor" && !keys.some(({ keyId }) => keyId === checked.key.keyId)) keys.push(checked.key);
	}
	return keys;
}

export type CheckedSuccession =
	| { readonly kind: "successor"; readonly key: PublicKey }
	/** Signed by a key that nobody here knows: it makes no key known, and says nothing false. */
	| { readonly kind: "unknown-signer" }
	| { readonly kind: "forged"; readonly why: string };

/** Whether one of the known keys named a successor. */
export function checkSuccession(entry: SuccessionEntry, known: readonly PublicKey[]): CheckedSuccession {
	const [signature] = entry.envelope.signatures;
	const previous = known.find(({ keyId }) => keyId === signature.keyid);
	if (previous === undefined) return { kind: "unknown-signer" };
	const payload = openEnvelope(entry.envelope, previous);
	if (payload === undefined) return { kind: "forged", why: "the old key's signature does not fit" };
	const parsed = keySuccessionSchema.safeParse(parsePayload(payload));
	if (!parsed.success) return { kind: "forged", why: "its payload is not a key succession" };
	const { previous: from, next: to, publicKey, time } = parsed.data;
	const key = publicKeyFromRaw(bytesFromBase64(publicKey) ?? new Uint8Array(0));
	if (key?.keyId !== to || to !== entry.digest) return { kind: "forged", why: "it does not name the key it holds" };
	if (from !== previous.keyId || time !== entry.time)
		return { kind: "forged", why: "key or time differ inside and outside" };
	return { kind: "successor", key };
}

function parsePayload(payload: Uint8Array): unknown {
	try {
		return parseCanonicalJson(Buffer.from(payload).toString("utf8"));
	} catch {
		return undefined;
	}
}
