import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { auditDigest } from "../../src/api/index.ts";
import { bytesFromBase64, canonicalJson, digestOf, toBase64, utf8 } from "../../src/core/index.ts";
import {
	leafHash,
	openEnvelope,
	parseCheckpoint,
	type ReceiptParts,
	type Signer,
	sampleSealed,
	sampleSigner,
	verifyInclusion,
	verifyReceipt,
} from "../../src/evidence/index.ts";
import { checkJournal } from "../../src/fleet/index.ts";
import { openKeyStore } from "../../src/journal/index.ts";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, submit, type World } from "./world.ts";

const NODE_KEY = sampleSigner(7);

/** A node that enrolled with a key for receipts, with a running directive of its own. */
async function atWork(world: World) {
	const node = await StockNode.join(world);
	await world.store.transaction(({ db }) =>
		db
			.updateTable("territories")
			.set({ receipt_public_key: toBase64(NODE_KEY.publicKey.raw) })
			.where("id", "=", node.territoryId)
			.execute(),
	);
	const id = await submit(world);
	const [lease] = await node.poll();
	assert.equal(lease.directive_id, id);
	await node.started(id);
	const decided = JSON.parse(Buffer.from(lease.decision.payload, "base64").toString());
	return { node, id, lease, decided };
}

/** The receipt that an honest node makes of a lease. */
function receiptOf(
	{ lease, decided }: Awaited<ReturnType<typeof atWork>>,
	more: Partial<ReceiptParts> = {},
	signer: Signer = NODE_KEY,
) {
	const sealed = sampleSealed(signer, (parts) => ({
		...parts,
		workload: lease.workload,
		launchPlan: {
			...parts.launchPlan,
			runId: more.runId ?? parts.runId,
			workloadDigest: decided.decision.workloadDigest,
		},
		image: null,
		...decided,
		...more,
	}));
	return { envelope: sealed.envelope, publicKey: toBase64(signer.publicKey.raw) };
}

inWorlds("receipts of directives", (world) => {
	test("a good one is journaled, kept whole, and verifies with the node's and the control plane's keys", async () => {
		const work = await atWork(world());
		const report = receiptOf(work);
		const first = await work.node.report(work.id, "receipt", report);
		assert.equal(first.status, 200, JSON.stringify(first.body));
		assert.equal(first.body.duplicate, false);
		const again = await work.node.report(work.id, "receipt", report);
		assert.deepEqual(again.body, { ...first.body, duplicate: true });
		await work.node.finished(work.id);
		const kept = await fetch(`${world().base}${API}/directives/${work.id}/receipt`, {
			headers: world().account.headersOf("member"),
		});
		assert.equal(kept.status, 200);
		const bytes = new Uint8Array(await kept.arrayBuffer());
		assert.equal(digestOf(bytes), first.body.receipt_digest);
		const own = openKeyStore(join(world().home, "keys")).signer().publicKey;
		const verdict = verifyReceipt(bytes, { trustedKeys: [NODE_KEY.publicKey], journalKeys: [own] });
		assert.equal(
			verdict.status,
			"verified",
			JSON.stringify(verdict.claims.filter((c) => c.status === "does-not-hold")),
		);
		assert.equal(verifyReceipt(bytes, { trustedKeys: [NODE_KEY.publicKey] }).status, "rejected");
		assert.equal(verifyReceipt(bytes, { trustedKeys: [own], journalKeys: [own] }).status, "rejected");
		const shown = await world().as("member", "GET", `${API}/directives/${work.id}`);
		assert.equal(shown.body.receipt_digest, first.body.receipt_digest);
	});

	test("one that lies is refused, and that is in the audit log", async () => {
		const work = await atWork(world());
		const other = await atWork(world());
		const good = receiptOf(work);
		const digit = good.envelope.payload[40] === "A" ? "B" : "A";
		const payload = `${good.envelope.payload.slice(0, 40)}${digit}${good.envelope.payload.slice(41)}`;
		const denied = { ...work.decided.decision, reasons: [{ code: "mine", sentence: "I say so." }] };
		for (const [what, report, status] of [
			["a changed byte", { ...good, envelope: { ...good.envelope, payload } }, 422],
			["another key", receiptOf(work, {}, sampleSigner(9)), 422],
			[
				"another key under the enrolled name",
				{ ...receiptOf(work, {}, sampleSigner(9)), publicKey: good.publicKey },
				422,
			],
			["no envelope", { publicKey: good.publicKey }, 422],
			["an envelope that is none", { ...good, envelope: [] }, 422],
			["another directive's workload", receiptOf(other), 409],
			["a decision of its own", receiptOf(work, { decision: denied }), 409],
		] as const) {
			const answered = await work.node.report(work.id, "receipt", report);
			assert.equal(answered.status, status, `${what}: ${answered.status} ${JSON.stringify(answered.body)}`);
		}
		const { body } = await world().as(
			"auditor",
			"GET",
			`${API}/audit_events?event_type=node.refused&directive_id=${work.id}`,
		);
		// The one whose form was wrong lied about nothing.
		assert.equal(body.audit_events.length, 6);
		assert.equal((await work.node.report(work.id, "receipt", good)).status, 200);
		const second = receiptOf(work, { runId: "01933b6e-7c00-7000-8000-0123456789ff" as never });
		assert.equal((await work.node.report(work.id, "receipt", second)).status, 409, "a second, other one");
	});

	test("a territory without a key for receipts has none to give: the control plane's says that no node signed", async () => {
		const work = await atWork(world());
		await world().store.transaction(({ db }) =>
			db.updateTable("territories").set({ receipt_public_key: null }).where("id", "=", work.node.territoryId).execute(),
		);
		assert.equal((await work.node.report(work.id, "receipt", receiptOf(work))).status, 422);
		await work.node.finished(work.id);
		await world().runJobs();
		const { body: directive } = await world().as("member", "GET", `${API}/directives/${work.id}`);
		const kept = await fetch(`${world().base}${API}/directives/${work.id}/receipt`, {
			headers: world().account.headersOf("member"),
		});
		const bytes = new Uint8Array(await kept.arrayBuffer());
		assert.equal(digestOf(bytes), directive.receipt_digest);
		const own = openKeyStore(join(world().home, "keys")).signer().publicKey;
		const file = JSON.parse(Buffer.from(bytes).toString());
		const { predicate } = JSON.parse(Buffer.from(openEnvelope(file.envelope, own) ?? "").toString());
		assert.match(predicate.statement, /No node signed this/);
		assert.deepEqual([predicate.directiveId, predicate.workloadDigest], [work.id, directive.workload_digest]);
		assert.equal(
			verifyReceipt(bytes, { trustedKeys: [own], journalKeys: [own] }).status,
			"unreadable",
			"it is no receipt of a node",
		);
	});

	test("one that comes hours later, after the end, is still taken", async () => {
		const work = await atWork(world());
		await work.node.finished(work.id);
		world().pass(3 * 3_600_000);
		assert.equal((await work.node.report(work.id, "receipt", receiptOf(work))).status, 200);
	});
});

inWorlds("audit events in the journal", (world) => {
	test("every event is covered by an entry, and one that was changed fits it no more", async () => {
		await submit(world());
		await world().runJobs();
		const rows = async (): Promise<Parameters<typeof auditDigest>[0]> =>
			(await world().as("auditor", "GET", `${API}/audit_events?limit=500`)).body.audit_events;
		const events = await rows();
		assert.ok(events.length >= 2);
		assert.deepEqual(
			events.filter(({ journal_index }) => journal_index === null),
			[],
		);
		const keys = openKeyStore(join(world().home, "keys"));
		assert.ok((await world().store.read((session) => checkJournal(session, keys))) > 0);
		for (const [index, covered] of Map.groupBy(events, ({ journal_index }) => Number(journal_index))) {
			const { body } = await world().as("auditor", "GET", `${API}/journal/entries/${index}`);
			assert.equal(auditDigest(covered), body.entry.digest, `entry ${index}`);
			const head = parseCheckpoint(body.checkpoint);
			if (head === undefined) assert.fail(body.checkpoint);
			assert.ok(head.isSignedBy(keys.signer().publicKey));
			const path = body.path.map((hash: string) => bytesFromBase64(hash));
			assert.ok(verifyInclusion(leafHash(utf8(canonicalJson(body.entry))), index, head, path), `proof of ${index}`);
		}
		const [first] = events;
		await world().store.transaction(({ db }) =>
			db
				.updateTable("audit_events")
				.set({ payload: "{}", event_type: "nothing" })
				.where("id", "=", first?.id ?? "")
				.execute(),
		);
		const changed = (await rows()).filter(({ journal_index }) => journal_index === first?.journal_index);
		const { body } = await world().as("auditor", "GET", `${API}/journal/entries/${first?.journal_index}`);
		assert.notEqual(auditDigest(changed), body.entry.digest);
		const size = async () => (await world().as("auditor", "GET", `${API}/journal/checkpoint`)).body.size;
		const before = await size();
		await world().runJobs();
		assert.equal(await size(), before, "nothing new, no entry");
	});

	test("an entry that was changed ends the journal: nothing is appended to one that does not fit", async () => {
		await submit(world());
		await world().store.transaction(({ db }) =>
			db.updateTable("journal_entries").set({ entry: '{"kind":"audit"}' }).where("leaf_index", "=", 0).execute(),
		);
		const keys = openKeyStore(join(world().home, "keys"));
		await assert.rejects(
			world().store.read((session) => checkJournal(session, keys)),
			/do not give its root/,
		);
		await world().store.transaction(({ db }) =>
			db
				.updateTable("journal_hashes")
				.set({ hash: new Uint8Array(32) })
				.execute(),
		);
		await assert.rejects(world().runJobs(), /do not give its root/);
	});
});
