import type { z } from "zod";
import { bytesFromBase64, canonicalJson, type Failure, type Json, parseJsonStrict } from "../core/index.ts";
import type { Examined } from "./claim.ts";
import { failure } from "./failures.ts";
import type { PublicKey } from "./keys.ts";
import { receiptFileSchema, receiptStatementSchema } from "./schema.ts";
import { firstIssue } from "./statement.ts";

export interface Expectations {
	/** Keys whose signatures count. None means that no receipt verifies. */
	readonly trustedKeys: readonly PublicKey[];
	/**
	 * Keys of other journals that may hold it: of a control plane, for a run that it leased. Without them only a journal of the
	 * signer's own counts.
	 */
	readonly journalKeys?: readonly PublicKey[];
	/** Bytes to compare with subjects of the same name: stdout, stderr, workspace.diff. */
	readonly subjects?: Readonly<Record<string, Uint8Array>>;
}

/** A larger file is no receipt. */
export const MAX_RECEIPT_BYTES = 64 * 2 ** 20;

export type Examination =
	| { readonly kind: "examined"; readonly examined: Examined }
	| { readonly kind: "unreadable"; readonly reason: Failure };

/** Takes a receipt file apart without believing any of it. */
export function examine(bytes: Uint8Array, { trustedKeys, journalKeys, subjects }: Expectations): Examination {
	if (bytes.length > MAX_RECEIPT_BYTES) {
		return unreadable("receipt-too-large", { bytes: String(bytes.length), limit: String(MAX_RECEIPT_BYTES) });
	}
	const read = readStrictly(bytes, receiptFileSchema);
	if (read.kind === "not-json") return unreadable("receipt-not-json", { why: read.why });
	if (read.kind === "not-of-schema") return unreadable("receipt-not-a-receipt", { member: read.member, why: read.why });
	const file = read.value;
	const named = file.envelope.signatures[0]?.keyid;
	const examined: Examined = {
		file,
		isCanonical: read.text === `${read.canonical}\n`,
		signer: trustedKeys.find(({ keyId }) => keyId === named),
		trustedKeyCount: trustedKeys.length,
		journalKeys: journalKeys ?? [],
		payload: readPayload(file.envelope.payload),
		outputs: subjects ?? {},
	};
	return { kind: "examined", examined };
}

function unreadable(...[code, details]: Parameters<typeof failure>): Examination {
	return { kind: "unreadable", reason: failure(code, details) };
}

function readPayload(base64: string): Examined["payload"] {
	const bytes = bytesFromBase64(base64);
	if (bytes === undefined) return { kind: "unreadable", why: "the payload is not canonical base64 (RFC 4648)" };
	const read = readStrictly(bytes, receiptStatementSchema);
	if (read.kind === "not-json") return { kind: "unreadable", why: `the payload is not JSON (${read.why})` };
	if (read.kind === "not-of-schema") {
		return { kind: "unreadable", why: `${read.member} of the payload does not fit: ${read.why}` };
	}
	return { kind: "statement", statement: read.value, isCanonical: read.text === read.canonical };
}

type StrictRead<T> =
	/** `canonical` is the one text that says what the schema understood: it differs when anything was left over. */
	| { readonly kind: "read"; readonly value: T; readonly text: string; readonly canonical: string }
	| { readonly kind: "not-json"; readonly why: string }
	| { readonly kind: "not-of-schema"; readonly member: string; readonly why: string };

/** UTF-8 without a byte order mark, no member twice, nothing nested without end. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readStrictly<Schema extends z.ZodType<Json | object>>(
	bytes: Uint8Array,
	schema: Schema,
): StrictRead<z.output<Schema>> {
	try {
		const text = strictUtf8.decode(bytes);
		const checked = schema.safeParse(parseJsonStrict(text));
		if (!checked.success) return { kind: "not-of-schema", ...firstIssue(checked.error) };
		// Throws for what text can spell and canonical JSON can't, such as 1e400 or a lone surrogate.
		return { kind: "read", value: checked.data, text, canonical: canonicalJson(checked.data as Json) };
	} catch (cause) {
		return { kind: "not-json", why: cause instanceof Error ? cause.message : String(cause) };
	}
}
