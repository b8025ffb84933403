import { createHash } from "node:crypto";
import { sql } from "kysely";
import { STREAMS } from "../../api/conduits/schema.ts";
import { canonicalJson, type Digest, digestOf, digestOfJson, type Json, toBase64, utf8 } from "../../core/index.ts";
import { signEnvelope } from "../../evidence/index.ts";
import { artifactSubject, DSSE_PAYLOAD_TYPE, type DsseEnvelope, STATEMENT_TYPE } from "../../evidence/schema.ts";
import type { ReceiptEntry } from "../../journal/schema.ts";
import { artifactsOf, isWhole } from "../artifacts/stored.ts";
import { artifactPatternsOf } from "../directives/workload.ts";
import { noteEvent } from "../domain-events.ts";
import { append } from "../journal/journal.ts";
import { jsonOf, timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import type { Directive } from "../store/queue.ts";
import type { Session, Store } from "../store/store.ts";

const REPORTED_MEDIA_TYPE = "application/vnd.vouch.reported-run.v1+json";
const REPORTED_PREDICATE_TYPE = "https://vouch.dev/reported-run/v1";
const MOST_AT_ONCE = 50;
/** A node that has a key may have been cut off with its receipt; so long it is waited for. */
const NODE_RECEIPT_MS = 24 * 3_600_000;

/**
 * Receipts of directives whose node gave none: existing nodes have no key for them. They say what the control plane decided and
 * was told, and that no node signed; `vouch verify` does not take them for a node's receipt. One that comes later takes
 * the place of ours.
 */
export async function receiptsOfOurOwn(store: Store, services: Services): Promise<number> {
	for (let count = 0; ; ) {
		const given = await store.transaction((session) => giveSome(session, services));
		count += given;
		if (given < MOST_AT_ONCE) return count;
	}
}

async function giveSome(session: Session, services: Services): Promise<number> {
	const directives = await withoutReceipt(session);
	const signed: { directive: Directive; envelope: DsseEnvelope }[] = [];
	for (const directive of directives)
		signed.push({ directive, envelope: await reportedRun(session, directive, services) });
	const places = await append(
		session,
		signed.map(({ directive, envelope }) => entryOf(directive, envelope)),
		services.keys,
	);
	const publicKey = toBase64(services.keys.signer().publicKey.raw);
	for (const [at, { directive, envelope }] of signed.entries()) {
		const file = { mediaType: REPORTED_MEDIA_TYPE, envelope, journal: places[at], publicKey };
		const bytes = utf8(`${canonicalJson(file as unknown as Json)}\n`);
		await services.blobs.put(bytes);
		await keep(session, directive, digestOf(bytes), places[at]?.leafIndex ?? null);
	}
	return signed.length;
}

/** The constants are those of the index `directives_unreceipted`. */
async function withoutReceipt(session: Session): Promise<readonly Directive[]> {
	const query = session.db
		.selectFrom("directives as d")
		.leftJoin("territories as t", "t.id", "d.territory_id")
		.selectAll("d")
		.where("d.receipt_digest", "is", null)
		.where("d.attempts", ">", sql.lit(0))
		.where("d.state", "in", sql<string>`('succeeded', 'failed', 'canceled', 'timed_out')`)
		.where((is) =>
			is.or([is("t.receipt_public_key", "is", null), is("d.finished_at", "<", session.nowMs - NODE_RECEIPT_MS)]),
		)
		.orderBy("d.finished_at")
		.limit(MOST_AT_ONCE);
	return (session.kind === "postgres" ? query.forUpdate("d").skipLocked() : query).execute();
}

/** An in-toto statement about the output, the diff and the files as they are stored. */
async function reportedRun(session: Session, directive: Directive, { keys }: Services): Promise<DsseEnvelope> {
	const output = await Promise.all(STREAMS.map((stream) => outputDigest(session, directive.id, stream)));
	const diff = directive.diff_digest === null ? [] : [{ name: "diff", digest: directive.diff_digest }];
	const files = artifactPatternsOf(directive).length === 0 ? [] : await artifactsOf(session, directive.id);
	const artifacts = files.filter(isWhole).map(({ name, digest }) => ({ name: artifactSubject(name), digest }));
	const subjects = [...STREAMS.map((name, at) => ({ name, digest: output[at] ?? "" })), ...diff, ...artifacts];
	const statement = {
		_type: STATEMENT_TYPE,
		subject: subjects.map(({ name, digest }) => ({ name, digest: { sha256: digest.replace(/^sha256:/, "") } })),
		predicateType: REPORTED_PREDICATE_TYPE,
		predicate: {
			schema: "vouch.reported-run/v1",
			statement: "No node signed this: it is what the control plane decided, and what it was told.",
			directiveId: directive.id,
			territoryId: directive.territory_id,
			workload: jsonOf<Json>(directive.workload),
			workloadDigest: directive.workload_digest,
			decision: directive.decision === null ? null : jsonOf<Json>(directive.decision),
			reported: {
				state: directive.state,
				status: directive.finished_status,
				exitCode: directive.exit_code,
				startedAt: timeOf(directive.started_at),
				finishedAt: timeOf(directive.finished_at),
				stdoutTruncated: directive.stdout_truncated === 1,
				stderrTruncated: directive.stderr_truncated === 1,
				diffTruncated: directive.diff_truncated === 1,
			},
		},
	};
	return signEnvelope(DSSE_PAYLOAD_TYPE, utf8(canonicalJson(statement as Json)), keys.signer());
}

async function outputDigest({ db }: Session, directiveId: string, stream: string): Promise<string> {
	const chunks = await db
		.selectFrom("log_chunks")
		.select("bytes")
		.where("directive_id", "=", directiveId)
		.where("stream", "=", stream)
		.orderBy("seq")
		.execute();
	const hash = createHash("sha256");
	for (const { bytes } of chunks) hash.update(bytes);
	return hash.digest("hex");
}

function entryOf({ id, finished_at }: Directive, envelope: DsseEnvelope): ReceiptEntry {
	const runId = id as ReceiptEntry["runId"];
	return { kind: "receipt", digest: digestOfJson(envelope), runId, time: timeOf(finished_at ?? 0) };
}

async function keep(session: Session, directive: Directive, digest: Digest, index: number | null): Promise<void> {
	await session.db.updateTable("directives").set({ receipt_digest: digest }).where("id", "=", directive.id).execute();
	await noteEvent(session, {
		accountId: directive.account_id,
		type: "directive.receipt_stored",
		territoryId: directive.territory_id,
		directiveId: directive.id,
		payload: { receipt_digest: digest, journal_index: index, signed_by: "control plane" },
	});
}
