import { hash } from "node:crypto";
import { z } from "zod";
import { canonicalJson, type Json } from "./canonical-json.ts";

/** `sha256:` and 64 lower-case hexadecimal digits: the OCI spelling of a SHA-256 digest. */
export const digestSchema = z
	.string()
	.regex(/^sha256:[0-9a-f]{64}$/, "must be sha256: and 64 lower-case hexadecimal digits")
	.brand<"Digest">();
export type Digest = z.infer<typeof digestSchema>;

export function sha256(bytes: Uint8Array): Uint8Array {
	return new Uint8Array(hash("sha256", bytes, "buffer"));
}

export function digestOf(bytes: Uint8Array | string): Digest {
	return `sha256:${hash("sha256", bytes)}` as Digest;
}

/** Digest of the RFC 8785 form: the name of a workload, a launch plan, a policy, a decision. */
export function digestOfJson(value: Json): Digest {
	return digestOf(canonicalJson(value));
}

export function hexOfDigest(digest: Digest): string {
	return digest.slice("sha256:".length);
}
