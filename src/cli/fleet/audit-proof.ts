import type { z } from "zod";
import { auditDigest, type Client } from "../../api/index.ts";
import type { auditEventSchema } from "../../api/people/schema.ts";
import { bytesFromBase64, canonicalJson, type Json, utf8 } from "../../core/index.ts";
import {
	leafHash,
	type PublicKey,
	parseCheckpoint,
	type SignedCheckpoint,
	verifyConsistency,
	verifyInclusion,
} from "../../evidence/index.ts";

type AuditEvent = z.output<typeof auditEventSchema>;

/** What was found; everything holds when there is no problem. */
export interface AuditVerdict {
	/** Events that an entry of the journal covers as they are. */
	readonly covered: number;
	/** Entries that cover them. */
	readonly entries: number;
	/** Events that are too new to be journaled. */
	readonly waiting: number;
	readonly problems: readonly string[];
	/** Signed by the key, and grown from the one that was kept; to be kept in its place. */
	readonly checkpoint: string;
}

/**
 * Recomputes what the journal says of every audit event of the account: nothing but the key is believed. An entry all of whose
 * events are gone from the store can't be told from another account's.
 */
export async function proveAudit(client: Client, key: PublicKey, kept: string | undefined): Promise<AuditVerdict> {
	const { checkpoint } = await client.journal.checkpoint();
	const head = signedBy(key, checkpoint);
	if (head === undefined) return nothing(checkpoint, "the journal's checkpoint is not signed by the key");
	const problems = kept === undefined ? [] : await problemsSince(client, key, kept);
	const groups = new Map<number, AuditEvent[]>();
	let waiting = 0;
	for await (const event of client.audit.export()) {
		if (event.journal_index === null) waiting += 1;
		else groups.set(event.journal_index, [...(groups.get(event.journal_index) ?? []), event]);
	}
	let covered = 0;
	for (const [index, events] of groups) {
		const problem = await problemOf(client, key, index, events);
		if (problem === undefined) covered += events.length;
		else problems.push(`entry ${index}: ${problem}`);
	}
	return { covered, entries: groups.size, waiting, problems, checkpoint };
}

function nothing(checkpoint: string, problem: string): AuditVerdict {
	return { covered: 0, entries: 0, waiting: 0, problems: [problem], checkpoint };
}

function signedBy(key: PublicKey, checkpoint: string): SignedCheckpoint | undefined {
	const parsed = parseCheckpoint(checkpoint);
	return parsed?.isSignedBy(key) === true ? parsed : undefined;
}

/** Whether the journal only grew since a checkpoint that was kept. */
async function problemsSince(client: Client, key: PublicKey, kept: string): Promise<string[]> {
	const before = signedBy(key, kept);
	if (before === undefined) return ["the checkpoint that was kept is not signed by the key"];
	const proof = await client.journal.consistency({ from: before.size });
	const now = signedBy(key, proof.checkpoint);
	if (now === undefined) return ["the journal's checkpoint is not signed by the key"];
	const holds = verifyConsistency(before, now, hashesOf(proof.path));
	return holds ? [] : [`what the journal had when it was ${before.size} long was rewritten`];
}

async function problemOf(
	client: Client,
	key: PublicKey,
	index: number,
	events: readonly AuditEvent[],
): Promise<string | undefined> {
	const { entry, path, checkpoint } = await client.journal.entry({ index });
	const head = signedBy(key, checkpoint);
	if (head === undefined) return "its checkpoint is not signed by the key";
	if (!verifyInclusion(leafHash(utf8(canonicalJson(entry as Json))), index, head, hashesOf(path)))
		return "the journal does not hold it";
	if (entry.kind !== "audit") return "it is not about audit events";
	if (entry.events !== events.length) return `it covers ${entry.events} events, of which ${events.length} are there`;
	return entry.digest === auditDigest(events) ? undefined : "an event that it covers was changed";
}

function hashesOf(path: readonly string[]): readonly Uint8Array[] {
	return path.map((hash) => bytesFromBase64(hash) ?? new Uint8Array());
}
