import { type Digest, digestOf, digestOfJson } from "../../core/index.ts";
import { receiptEntryOf, receiptFileBytes, signEnvelope } from "../../evidence/index.ts";
import { RECEIPT_MEDIA_TYPE } from "../../evidence/schema.ts";
import { artifactsOf } from "../artifacts/stored.ts";
import { heldDirective } from "../directives/held.ts";
import { noteEvent } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { append } from "../journal/journal.ts";
import { jsonOf, jsonText } from "../rows.ts";
import type { Services } from "../services.ts";
import type { Directive } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import { examineReceipt, isDecidedHere, type ReceiptExamination } from "./examine.ts";

type Good = Extract<ReceiptExamination, { kind: "good" }>;

/**
 * Takes the receipt of a directive: only one that its territory's enrolled key signed, that fits itself, and that is about the
 * workload and the decision that the control plane signed. It is journaled, countersigned and kept as the whole file that
 * `vouch verify` checks; a second, different one is refused.
 */
export function receiveReceipt(services: Services): Handlers["nodes.receipt"] {
	return async ({ identity, store }, { body }) => {
		if (identity.kind !== "directive") throw new TypeError("a row for directives let somebody else in");
		const examined = examineReceipt(body, identity.territory);
		if (examined.kind === "bad") throw refusal("invalid-param", { what: "The receipt", problem: examined.problem });
		const envelopeDigest = digestOfJson(examined.envelope);
		return store.transaction(async (session) => {
			const directive = await heldDirective(session, identity);
			mustBeAbout(directive, examined);
			await mustBindArtifacts(session, directive, examined);
			const known = keptOf(directive);
			if (known !== undefined && known.envelopeDigest !== envelopeDigest)
				throw conflict(directive, "another receipt is stored for it");
			const digest = known?.digest ?? (await keep(session, directive, services, examined));
			const answer = { ok: true, directive_id: directive.id, receipt_digest: digest } as const;
			return { status: 200, body: { ...answer, duplicate: known !== undefined } };
		});
	};
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
	return { digest: receipt_digest, envelopeDigest: jsonOf<Countersigned>(countersignature).envelopeDigest };
}

/** The file before the row that names it; the entry of the journal with that row, or not at all. */
async function keep(session: Session, directive: Directive, services: Services, good: Good): Promise<string> {
	const { envelope, predicate, publicKey } = good;
	const [journal] = await append(session, [receiptEntryOf(envelope, predicate)], services.keys);
	if (journal === undefined) throw new TypeError("an appended entry has a place");
	const bytes = receiptFileBytes({ mediaType: RECEIPT_MEDIA_TYPE, envelope, journal, publicKey });
	await services.blobs.put(bytes);
	const digest = digestOf(bytes);
	const own = signEnvelope(envelope.payloadType, Buffer.from(envelope.payload, "base64"), services.keys.signer());
	await session.db
		.updateTable("directives")
		.set({
			receipt_digest: digest,
			countersignature: jsonText({ envelope: own, envelopeDigest: digestOfJson(envelope), journal }),
		})
		.where("id", "=", directive.id)
		.execute();
	const about = { accountId: directive.account_id, territoryId: directive.territory_id, directiveId: directive.id };
	const payload = { receipt_digest: digest, journal_index: journal.leafIndex };
	await noteEvent(session, { ...about, type: "directive.receipt_stored", payload });
	return digest;
}
