import { bytesFromBase64, canonicalJson, toBase64, utf8 } from "../core/index.ts";
import { isJournalOrigin, parseCheckpoint } from "./checkpoint.ts";
import { type Claim, doesNotHold, type Examined, type Finding, holds, holdsUnless } from "./claim.ts";
import { openEnvelope } from "./dsse.ts";
import { HASH_BYTES, leafHash } from "./merkle.ts";
import { verifyInclusion } from "./merkle-proof.ts";
import { receiptEntryOf } from "./receipt.ts";
import { STATEMENT_TYPE } from "./schema.ts";

/** Claims about the file itself: its spelling, its signature, its payload, its place in the journal. */

export const fileForm: Claim = {
	claim: "file form",
	check: ({ isCanonical }) =>
		isCanonical
			? holds("canonical JSON (RFC 8785) and one newline, no unknown member")
			: doesNotHold("the bytes are not the canonical JSON of what they say, followed by one newline"),
};

export const signer: Claim = {
	claim: "signer",
	check: ({ file, signer, trustedKeyCount, payload }) => {
		const named = file.envelope.signatures[0]?.keyid ?? "nobody";
		if (signer === undefined)
			return doesNotHold(`signed by ${named}, which is none of ${trustedKeyCount} trusted keys`);
		const nodeKey = payload.kind === "statement" ? payload.statement.predicate.node.keyId : signer.keyId;
		const problems = [
			file.publicKey !== toBase64(signer.raw) && "the public key in the file is not the signer's",
			nodeKey !== signer.keyId && `the receipt names node key ${nodeKey}`,
		];
		return holdsUnless(problems, `${signer.keyId}, which is trusted`);
	},
};

export const signature: Claim = {
	claim: "signature",
	check: ({ file, signer }) => {
		if (signer === undefined) return doesNotHold("there is no trusted key to check it with");
		return openEnvelope(file.envelope, signer) === undefined
			? doesNotHold("the Ed25519 signature of the envelope does not fit payload and key")
			: holds("Ed25519 over the DSSE encoding of type and payload");
	},
};

export const payloadForm: Claim = {
	claim: "payload",
	check: ({ payload }) => {
		if (payload.kind === "unreadable") return doesNotHold(payload.why);
		return payload.isCanonical
			? holds("canonical JSON of a receipt statement, no unknown member")
			: doesNotHold("the payload is not the canonical JSON of what it says");
	},
};

export const statementType: Claim = {
	claim: "statement",
	check: ({ payload }) => {
		if (payload.kind === "unreadable") return doesNotHold("the payload can't be read");
		const names = payload.statement.subject.map(({ name }) => name);
		const twin = names.find((name, index) => names.indexOf(name) !== index);
		return holdsUnless(
			[twin !== undefined && `two subjects are named ${JSON.stringify(twin)}`],
			`${STATEMENT_TYPE}, subjects ${names.join(", ")}`,
		);
	},
};

/** RFC 9162 section 2.1.3.2 from the leaf that this receipt must have to a root that its signer signed. */
export const journalInclusion: Claim = { claim: "journal", check: checkJournal };

function checkJournal({ file: { journal, envelope }, signer, journalKeys, payload }: Examined): Finding {
	if (payload.kind === "unreadable") return doesNotHold("without the payload its journal entry can't be recomputed");
	const checkpoint = parseCheckpoint(journal.checkpoint);
	if (checkpoint === undefined)
		return doesNotHold("the checkpoint is not a signed note with exactly one signature line");
	const keys = signer === undefined ? [] : [signer, ...journalKeys];
	if (!keys.some((key) => checkpoint.isSignedBy(key))) {
		return doesNotHold("the checkpoint is not signed by the receipt's trusted signer");
	}
	if (!isJournalOrigin(checkpoint.origin))
		return doesNotHold(`${checkpoint.origin} is not the name of a Vouch journal`);
	const path = journal.path.map(bytesFromBase64).filter((node) => node?.length === HASH_BYTES);
	if (path.length !== journal.path.length)
		return doesNotHold("a node of the inclusion path is not the base64 of a hash");
	const leaf = leafHash(utf8(canonicalJson(receiptEntryOf(envelope, payload.statement.predicate))));
	const nodes = path.filter((node) => node !== undefined);
	return verifyInclusion(leaf, journal.leafIndex, checkpoint, nodes)
		? holds(`entry ${journal.leafIndex} of ${checkpoint.size} in ${checkpoint.origin}`)
		: doesNotHold(
				`entry ${journal.leafIndex} of ${checkpoint.size} is not this receipt: the inclusion path leads to another root`,
			);
}
