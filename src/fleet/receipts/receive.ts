import { type Digest, digestOf, digestOfJson } from "../../core/index.ts";
import { receiptEntryOf, receiptFileBytes, signEnvelope } from "../../evidence/index.ts";
import { type Inclusion, RECEIPT_MEDIA_TYPE } from "../../evidence/schema.ts";
import { artifactsOf } from "../artifacts/stored.ts";
import { type Holder, heldDirectives, holderOf } from "../directives/held.ts";
import { noteEvents } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { append } from "../journal/journal.ts";
import { jsonOf, jsonText } from "../rows.ts";
import type { Services } from "../services.ts";
import { updateEach } from "../store/bulk.ts";
import type { Directive } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import { together } from "../store/together.ts";
import { examineReceipt, isDecidedHere, type ReceiptExamination } from "./examine.ts";

type Good = Extract<ReceiptExamination, { kind: "good" }>;

/**
 * Takes the receipt of a directive: only one that its territory's enrolled key signed, that fits itself, and that is about the
 * workload and the decision that the control plane signed. It is journaled, countersigned and kept as the whole file that
 * `vouch verify` checks; a second, different one is refused.
 */
export function receiveReceipt(services: Services): Handlers["nodes.receipt"] {
	// Together: whoever appends to the journal holds its head, and there is one for the whole fleet.
	const takeEach = together(
		"transaction",
		(session, given: readonly Given[]) => takeAll(session, services, given),
		({ holder }) => holder.directiveId,
	);
	return async ({ identity, store }, { body }) => {
		const holder = holderOf(identity);
		const examined = examineReceipt(body, holder.territory);
		if (examined.kind === "bad") throw refusal("invalid-param", { what: "The receipt", problem: examined.problem });
		const envelopeDigest = digestOfJson(examined.envelope);
		return { status: 200, body: await takeEach(store, { holder, examined, envelopeDigest }) };
	};
}

interface Given {
	readonly holder: Holder;
	readonly examined: Good;
	readonly envelopeDigest: Digest;
}

async function takeAll(session: Session, services: Services, given: readonly Given[]) {
	const held = await heldDirectives(
		session,
		given.map(({ holder }) => holder),
	);
	const fresh: Fresh[] = [];
	for (const [at, { examined, envelopeDigest }] of given.entries()) {
		const directive = held[at] as Directive;
		mustBeAbout(directive, examined);
		await mustBindArtifacts(session, directive, examined);
		const known = keptOf(directive);
		if (known === undefined) fresh.push({ directive, examined, envelopeDigest });
		else if (known.envelopeDigest !== envelopeDigest) throw conflict(directive, "another receipt is stored for it");
	}
	const kept = await keepAll(session, services, fresh);
	return held.map((directive) => {
		const digest = kept.get(directive.id);
		const receipt_digest = digest ?? directive.receipt_digest ?? "";
		return { ok: true, directive_id: directive.id, receipt_digest, duplicate: digest === undefined } as const;
	});
}

function conflict(directive: Directive, reason: string): Error {
	return refusal("invalid-state", { what: `The receipt of ${directive.id}`, reason });
}

function mustBeAbout(directive: Directive, { predicate }: Good): void {
	if (directive.workload_digest !== predicate.workloadDigest) throw conflict(directive, "it is about another workload");
	if (!isDecidedHere(predicate, directive.decision))
		throw conflict(directive, "the decision in it is not the one that allowed this directive");
}

/** What was handed over as a file of this directive is what its node signs for. */
async function mustBindArtifacts(session: Session, directive: Directive, { predicate }: Good): Promise<void> {
	if (predicate.workload.artifacts === undefined) return;
	const signed = new Map((predicate.artifacts ?? []).map(({ name, digest }) => [name, digest as string]));
	for (const { name, digest } of await artifactsOf(session, directive.id))
		if (signed.get(name) !== digest) throw conflict(directive, `it does not bind the artifact ${name}`);
}

interface Countersigned {
	readonly envelopeDigest: Digest;
}

function keptOf({ receipt_digest, countersignature }: Directive) {
	if (receipt_digest === null || countersignature === null) return undefined;
	return jsonOf<Countersigned>(countersignature);
}

interface Fresh {
	readonly directive: Directive;
	readonly examined: Good;
	readonly envelopeDigest: Digest;
}

/** The files before the rows that name them; the entries of the journal with those rows, or not at all. Answers the files' digests. */
async function keepAll(
	session: Session,
	services: Services,
	fresh: readonly Fresh[],
): Promise<ReadonlyMap<string, Digest>> {
	const entries = fresh.map(({ examined: { envelope, predicate } }) => receiptEntryOf(envelope, predicate));
	const inclusions = await append(session, entries, services.keys);
	const files = fresh.map(({ directive, examined: { envelope, publicKey }, envelopeDigest }, at) => {
		const journal = inclusions[at] as Inclusion;
		const bytes = receiptFileBytes({ mediaType: RECEIPT_MEDIA_TYPE, envelope, journal, publicKey });
		const own = signEnvelope(envelope.payloadType, Buffer.from(envelope.payload, "base64"), services.keys.signer());
		const countersignature = jsonText({ envelope: own, envelopeDigest, journal });
		return { directive, journal, bytes, digest: digestOf(bytes), countersignature };
	});
	await Promise.all(files.map(({ bytes }) => services.blobs.put(bytes)));
	const updates = files.map(({ directive: { id }, digest, countersignature }) => {
		return { id, values: { receipt_digest: digest, countersignature } };
	});
	await updateEach(session, "directives", updates);
	await noteEvents(
		session,
		files.map(({ directive, digest, journal }) => ({
			accountId: directive.account_id,
			territoryId: directive.territory_id,
			directiveId: directive.id,
			type: "directive.receipt_stored",
			payload: { receipt_digest: digest, journal_index: journal.leafIndex },
		})),
	);
	return new Map(files.map(({ directive, digest }) => [directive.id, digest]));
}
