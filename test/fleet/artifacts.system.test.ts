import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ARTIFACT_PIECE_BYTES } from "../../src/api/conduits/schema.ts";
import { digestOf, toBase64 } from "../../src/core/index.ts";
import { sampleSealed, sampleSigner } from "../../src/evidence/index.ts";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, submit, type World } from "./world.ts";

const NODE_KEY = sampleSigner(7);
const WORKLOADS = { workload_schemas: ["vouch.workload/v1"] };

let priority = 0;

/** A node with a running directive that is asked for these files. */
async function atWork(world: World, artifacts: readonly string[] = ["dist/"], more: object = {}) {
	// Ahead of those that a test before has left.
	priority += 1;
	const id = await submit(world, { artifacts, priority, ...more });
	const node = await StockNode.join(world);
	const [lease] = await node.poll(WORKLOADS);
	assert.equal(lease?.directive_id, id);
	await node.started(id);
	return { node, id, lease };
}
type Work = Awaited<ReturnType<typeof atWork>>;

function pieceOf(name: string, file: Uint8Array, offset = 0, more: object = {}) {
	const bytes = toBase64(file.subarray(offset, offset + ARTIFACT_PIECE_BYTES));
	return { name, digest: digestOf(file), size_bytes: file.length, offset, bytes, ...more };
}

const send = ({ node, id }: Work, piece: object) => node.report(id, "artifacts", piece);

async function listed(world: World, id: string, query = ""): Promise<{ name: string; id: string; digest: string }[]> {
	return (await world.as("member", "GET", `${API}/directives/${id}/artifacts${query}`)).body.artifacts;
}

function got(world: World, id: string, artifactId: string, account = world.account): Promise<Response> {
	const headers = account.headersOf("member");
	return fetch(`${world.base}${API}/directives/${id}/artifacts/${artifactId}`, { headers });
}

const blobsIn = (world: World): readonly string[] =>
	readdirSync(join(world.home, "blobs/aging"), { recursive: true, encoding: "utf8" }).filter(
		(name) => name.length > 10,
	);

inWorlds("files that directives hand over", (world) => {
	test("one of several pieces comes back as it was, whole, by name, size and digest; told twice it is there once", async () => {
		const work = await atWork(world());
		const file = randomBytes(ARTIFACT_PIECE_BYTES + 1000);
		assert.deepEqual(work.lease.workload.artifacts, ["dist/"]);
		const first = await send(work, pieceOf("dist/ü b.bin", file));
		assert.equal(first.status, 200, JSON.stringify(first.body));
		assert.deepEqual([first.body.complete, first.body.received_bytes], [false, ARTIFACT_PIECE_BYTES]);
		assert.deepEqual(await listed(world(), work.id), [], "what is not whole is not there");
		assert.equal((await send(work, pieceOf("dist/ü b.bin", file))).body.duplicate, true);
		const second = await send(work, pieceOf("dist/ü b.bin", file, ARTIFACT_PIECE_BYTES));
		assert.deepEqual([second.body.complete, second.body.duplicate], [true, false], JSON.stringify(second.body));
		assert.equal((await send(work, pieceOf("dist/ü b.bin", file, ARTIFACT_PIECE_BYTES))).body.duplicate, true);
		for (const _ of ["once", "twice"])
			assert.equal((await send(work, pieceOf("dist/empty", new Uint8Array()))).body.complete, true);
		const [artifact, empty] = await listed(world(), work.id);
		assert.deepEqual([artifact?.name, artifact?.digest], ["dist/ü b.bin", digestOf(file)]);
		const answer = await got(world(), work.id, artifact?.id ?? "");
		assert.equal(answer.headers.get("content-length"), String(file.length));
		assert.match(answer.headers.get("content-disposition") ?? "", /^attachment; filename\*=UTF-8''%C3%BC%20b\.bin$/);
		assert.deepEqual(Buffer.from(await answer.arrayBuffer()), file);
		assert.equal((await (await got(world(), work.id, empty?.id ?? "")).arrayBuffer()).byteLength, 0);
		const shown = await world().as("member", "GET", `${API}/directives/${work.id}`);
		assert.deepEqual(shown.body.artifacts, ["dist/"]);
		const { body: page } = await world().as("member", "GET", `${API}/directives/${work.id}/artifacts?limit=1`);
		assert.deepEqual(
			(await listed(world(), work.id, `?cursor=${page.next_cursor}`)).map(({ name }) => name),
			["dist/empty"],
		);
		const events = `${API}/audit_events?event_type=directive.artifact_stored&directive_id=${work.id}`;
		assert.equal((await world().as("auditor", "GET", events)).body.audit_events.length, 2);
	});

	test("what lies, is too much or comes too late is refused with its reason", async () => {
		const work = await atWork(world());
		const file = randomBytes(100);
		const big = randomBytes(ARTIFACT_PIECE_BYTES + 1);
		await send(work, pieceOf("dist/begun", big));
		for (const [what, piece, status, said] of [
			["another digest", pieceOf("dist/a", file, 0, { digest: digestOf("other") }), 422, /not what its digest names/],
			["a part that was spoilt", { ...pieceOf("dist/begun", big, ARTIFACT_PIECE_BYTES), bytes: "AA==" }, 422, /digest/],
			["more than it says", pieceOf("dist/a", file, 0, { size_bytes: 99 }), 422, /has 99 bytes, not 100/],
			["less than it says", pieceOf("dist/a", file, 0, { size_bytes: 101 }), 422, /has 101 bytes, not 100/],
			["no base64", pieceOf("dist/a", file, 0, { bytes: "*" }), 422, /base64/],
			["an odd offset", pieceOf("dist/a", file, 1), 422, /no piece begins/],
			["a piece before its time", pieceOf("dist/a", big, ARTIFACT_PIECE_BYTES), 409, /pieces before this one/],
			["a name nobody asked for", pieceOf("build/a", file), 422, /nobody asked for build\/a/],
			["a way out", pieceOf("dist/../../a", file), 422, /name/],
			["a path of the machine", pieceOf("/dist/a", file), 422, /name/],
			["too large", pieceOf("dist/a", file, 0, { size_bytes: 2 ** 40 }), 422, /size_bytes/],
			["all too large", pieceOf("dist/a", big, 0, { size_bytes: 256 * 2 ** 20 }), 200, /./],
			["and one more", pieceOf("dist/b", file), 409, /may have 268435456 bytes/],
		] as const) {
			const { status: answered, body } = await send(work, piece);
			assert.equal(answered, status, `${what}: ${JSON.stringify(body)}`);
			assert.match(JSON.stringify(body), said, what);
		}
		const other = await atWork(world());
		await send(other, pieceOf("dist/a", file));
		const changed = await send(other, pieceOf("dist/a", randomBytes(100)));
		assert.match(JSON.stringify(changed.body), /another file of the name dist\/a/);
		const stolen = await work.node.post(`/conduits/v1/directives/${other.id}/artifacts`, pieceOf("dist/c", file), {
			authorization: `Bearer ${work.node.tokenOf(work.id)}`,
		});
		assert.equal(stolen.status, 403, "the token of another directive");
		const [artifact] = await listed(world(), other.id);
		const { stranger } = world();
		assert.equal((await got(world(), other.id, artifact?.id ?? "", stranger)).status, 404);
		assert.equal((await got(world(), work.id, artifact?.id ?? "")).status, 404, "another directive's");
		await other.node.finished(other.id);
		assert.equal((await send(other, pieceOf("dist/late", file))).status, 409, "after the end");
		const none = await atWork(world(), []);
		assert.equal((await send(none, pieceOf("dist/a", file))).status, 422, "none were asked for");
	});

	test("more files than a run may hand over are refused", async () => {
		const work = await atWork(world());
		const row = { directive_id: work.id, lease_id: work.lease.lease_id, digest: digestOf(""), size_bytes: 0 };
		await world().store.transaction(async ({ db, nowMs }) => {
			const rows = Array.from({ length: 1000 }, (_, at) => {
				const name = `dist/${at}`;
				return { ...row, id: `${work.id}-${String(at).padStart(4, "0")}`, name, received_bytes: 0, created_at: nowMs };
			});
			for (let at = 0; at < rows.length; at += 100)
				await db
					.insertInto("artifacts")
					.values(rows.slice(at, at + 100))
					.execute();
		});
		const { status, body } = await send(work, pieceOf("dist/more", randomBytes(10)));
		assert.equal(status, 409);
		assert.match(body.detail, /1000 files already/);
	});

	test("a pattern that leaves the workspace is refused when it is asked for, and a node that reads no workload is never given it", async () => {
		const facility = await world().as("owner", "POST", `${API}/facilities`, {});
		const asked = await world().as("owner", "POST", `${API}/facilities/${facility.body.id}/directives`, {
			command: "true",
			artifacts: ["../x"],
		});
		assert.equal(asked.status, 422);
		assert.match(asked.body.details[0], /^artifacts\.0: /);
		const id = await submit(world(), { artifacts: ["**"] });
		const stock = await StockNode.join(world());
		assert.deepEqual(await stock.poll(), []);
		const [lease] = await (await StockNode.join(world())).poll(WORKLOADS);
		assert.equal(lease.directive_id, id);
	});

	test("a receipt that does not bind what was handed over is refused", async () => {
		const work = await atWork(world());
		await world().store.transaction(({ db }) =>
			db
				.updateTable("territories")
				.set({ receipt_public_key: toBase64(NODE_KEY.publicKey.raw) })
				.where("id", "=", work.node.territoryId)
				.execute(),
		);
		const file = Buffer.from("built\n");
		await send(work, pieceOf("dist/app", file));
		const decided = JSON.parse(Buffer.from(work.lease.decision.payload, "base64").toString());
		const binding = (name: string, digest = digestOf(file)) => {
			const sealed = sampleSealed(NODE_KEY, (parts) => ({
				...parts,
				workload: work.lease.workload,
				launchPlan: { ...parts.launchPlan, workloadDigest: decided.decision.workloadDigest },
				image: null,
				artifacts: [{ name, bytes: file.length, digest }],
				...decided,
			}));
			const report = { envelope: sealed.envelope, publicKey: toBase64(NODE_KEY.publicKey.raw) };
			return work.node.report(work.id, "receipt", report);
		};
		for (const refused of [await binding("dist/other"), await binding("dist/app", digestOf("other"))]) {
			assert.equal(refused.status, 409, JSON.stringify(refused.body));
			assert.match(refused.body.detail, /does not bind the artifact dist\/app/);
		}
		assert.equal((await binding("dist/app")).status, 200);
	});

	test("of a node that signs none, the control plane's own receipt names what it stored", async () => {
		const work = await atWork(world());
		const file = Buffer.from("built\n");
		await send(work, pieceOf("dist/app", file));
		await send(work, pieceOf("dist/unfinished", randomBytes(ARTIFACT_PIECE_BYTES + 1)));
		await work.node.finished(work.id);
		await world().runJobs();
		const { body } = await world().as("member", "GET", `${API}/directives/${work.id}/receipt`);
		const { envelope } = JSON.parse(body);
		const { subject } = JSON.parse(Buffer.from(envelope.payload, "base64").toString());
		assert.deepEqual(
			subject.filter(({ name }: { name: string }) => name.startsWith("artifacts/")),
			[{ name: "artifacts/dist/app", digest: { sha256: digestOf(file).slice("sha256:".length) } }],
		);
	});

	test("an attempt that begins again hands over its own; old ones go with their bytes, and bytes that another has stay", async () => {
		const shared = randomBytes(2000);
		const own = randomBytes(2000);
		const kept = await atWork(world());
		await send(kept, pieceOf("dist/shared", shared));
		world().pass(20 * 86_400_000);
		const work = await atWork(world(), ["dist/"], { max_attempts: 2 });
		await send(work, pieceOf("dist/shared", shared));
		await send(work, pieceOf("dist/own", own));
		world().pass(400_000);
		await world().runJobs();
		const next = await StockNode.join(world());
		assert.deepEqual(
			(await next.poll(WORKLOADS)).map((lease) => lease.directive_id),
			[work.id],
		);
		await next.started(work.id);
		assert.equal((await send(work, pieceOf("dist/own", own))).status, 403, "the lease is over");
		await send({ ...work, node: next }, pieceOf("dist/second", shared));
		assert.deepEqual(
			(await listed(world(), work.id)).map(({ name }) => name),
			["dist/second"],
		);
		const isKept = (file: Uint8Array) =>
			blobsIn(world()).some((name) => name.endsWith(createHash("sha256").update(file).digest("hex")));
		world().pass(15 * 86_400_000);
		await world().runJobs();
		assert.deepEqual(await listed(world(), kept.id), [], "older than thirty days");
		const [second] = await listed(world(), work.id);
		const answer = await got(world(), work.id, second?.id ?? "");
		assert.deepEqual(Buffer.from(await answer.arrayBuffer()), shared, "still another's");
		assert.equal(isKept(own), true, "nobody has it any more, but it is young");
		world().pass(20 * 86_400_000);
		await world().runJobs();
		assert.deepEqual([isKept(own), isKept(shared)], [false, false]);
	});

	test("a diff is kept as long as artifacts are; one that came again stays, and its receipt goes on naming it", async () => {
		const diff = Buffer.from(`--- a\n+++ ${randomBytes(8).toString("hex")}\n`);
		const changed = async () => {
			const work = await atWork(world());
			await work.node.finished(work.id, { diff_base64: toBase64(diff) });
			await world().runJobs();
			return work.id;
		};
		const diffOf = (id: string) => world().as("member", "GET", `${API}/directives/${id}/diff`);
		const old = await changed();
		world().pass(20 * 86_400_000);
		const young = await changed();
		assert.equal((await diffOf(old)).status, 200);
		world().pass(15 * 86_400_000);
		await world().runJobs();
		assert.equal((await diffOf(old)).status, 404);
		assert.equal((await world().as("member", "GET", `${API}/directives/${old}`)).body.has_diff, false);
		assert.equal((await diffOf(young)).body, diff.toString());
		const { body } = await world().as("member", "GET", `${API}/directives/${old}/receipt`);
		const { subject } = JSON.parse(Buffer.from(JSON.parse(body).envelope.payload, "base64").toString());
		assert.ok(subject.some(({ name }: { name: string }) => name === "diff"));
		world().pass(20 * 86_400_000);
		await world().runJobs();
		assert.equal((await diffOf(young)).status, 404);
		const hex = createHash("sha256").update(diff).digest("hex");
		assert.ok(!blobsIn(world()).some((name) => name.endsWith(hex)));
	});

	test("bytes that were changed behind its back are never given out", async () => {
		const work = await atWork(world());
		const file = randomBytes(500);
		await send(work, pieceOf("dist/a", file));
		const hex = createHash("sha256").update(file).digest("hex");
		const path = join(world().home, "blobs/aging", hex.slice(0, 2), hex);
		assert.deepEqual(readFileSync(path), file);
		writeFileSync(path, randomBytes(500));
		const [artifact] = await listed(world(), work.id);
		await assert.rejects(async () => {
			const answer = await got(world(), work.id, artifact?.id ?? "");
			if (!answer.ok) throw new Error(String(answer.status));
			await answer.arrayBuffer();
		});
	});
});
