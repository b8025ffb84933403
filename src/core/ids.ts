import { randomUUID } from "node:crypto";
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
	if (!(nowMs >= 0 && nowMs < 2 ** 48)) throw new RangeError(`${nowMs} ms do not fit into 48 bits`);
	const time = Math.trunc(nowMs).toString(16).padStart(12, "0");
	// What comes after the version is chance in both kinds of UUID, and Node keeps some in stock.
	return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}` as Id;
}
