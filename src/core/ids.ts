import { randomBytes } from "node:crypto";
import { z } from "zod";

/** A UUIDv7 (RFC 9562 section 5.7) in lower case, branded by what it names. */
export function idSchema<Brand extends string>(_of: Brand) {
	return z
		.string()
		.regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, "must be a UUIDv7 in lower case")
		.brand<Brand>();
}

export const runIdSchema = idSchema("RunId");
export type RunId = z.infer<typeof runIdSchema>;

/** A fresh UUIDv7: sorts by creation time in milliseconds, then by chance. */
export function newId<Id extends string>(nowMs: number): Id {
	const bytes = randomBytes(16);
	bytes.writeUIntBE(nowMs, 0, 6);
	bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
	bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
	const hex = bytes.toString("hex");
	const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
	return parts.join("-") as Id;
}
