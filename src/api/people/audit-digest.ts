import type { z } from "zod";
import { type Digest, digestOfJson, type Json } from "../../core/index.ts";
import type { auditEventSchema } from "./schema.ts";

type AuditEvent = z.output<typeof auditEventSchema>;

/**
 * What the journal holds of some audit events: the digest of them as the API gives them, without where they are in the journal, in
 * the order of their ids. Who exported them can compute it again.
 */
export function auditDigest(events: readonly AuditEvent[]): Digest {
	const sorted = [...events].sort((a, b) => (a.id < b.id ? -1 : 1));
	return digestOfJson(sorted.map(({ journal_index: _, ...covered }): Json => ({ ...covered })));
}
