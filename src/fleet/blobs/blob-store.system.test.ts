import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { BUCKET_KEYS, openBucket } from "../../../test/fixtures/bucket.ts";
import { type BlobStore, DirectoryBlobs } from "./blob-store.ts";
import { S3Blobs } from "./s3-blobs.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-test-blobs-"));
after(() => rmSync(home, { recursive: true, force: true }));

function suite(title: string, open: () => { readonly blobs: BlobStore; readonly directory: string }): void {
	describe(title, () => {
		const bytes = Buffer.from("a diff\0\u00ff".repeat(10_000));
		const digest = createHash("sha256").update(bytes).digest("hex");

		test("what is put is read under its digest, whole and as a stream, and putting it again changes nothing", async () => {
			const { blobs } = open();
			assert.equal(await blobs.put(bytes), digest);
			assert.equal(await blobs.put(bytes), digest);
			assert.deepEqual(await blobs.read(digest), bytes);
			const opened = (await blobs.open(digest)) ?? assert.fail();
			assert.equal(opened.sizeBytes, bytes.length);
			assert.deepEqual(await buffer(opened.stream), bytes);
			const empty = await blobs.put(Buffer.alloc(0));
			assert.equal((await blobs.read(empty))?.length, 0);
		});

		test("what is not there is nothing, and removing it is no failure; a name that is no digest is refused", async () => {
			const { blobs } = open();
			const absent = "0".repeat(64);
			assert.equal(await blobs.read(absent), undefined);
			assert.equal(await blobs.open(absent), undefined);
			await blobs.remove(absent);
			for (const name of ["../../etc/passwd", "", digest.toUpperCase(), `${digest}/x`])
				await assert.rejects(blobs.read(name), /not a digest/);
			const gone = await blobs.put(Buffer.from("soon gone"));
			await blobs.remove(gone);
			assert.equal(await blobs.read(gone), undefined);
		});

		test("blobs below are apart: what is removed there is not removed here", async () => {
			const { blobs } = open();
			const [here, below] = [
				await blobs.put(Buffer.from("both")),
				await blobs.below("pieces").put(Buffer.from("both")),
			];
			assert.equal(here, below);
			await blobs.below("pieces").remove(below);
			assert.equal(await blobs.below("pieces").read(below), undefined);
			assert.equal((await blobs.read(here))?.toString(), "both");
		});

		test("bytes that were changed behind its back are never given out as what the digest names", async () => {
			const { blobs, directory } = open();
			const changed = await blobs.put(Buffer.from("honest bytes"));
			const file = readdirSync(directory, { recursive: true, encoding: "utf8" })
				.filter((name) => name.includes(changed) && !name.endsWith(".json"))
				.map((name) => join(directory, name))
				.find((path) => readFileSync(path, "latin1") === "honest bytes");
			writeFileSync(file ?? assert.fail(`no file of ${changed}`), "forged  bytes");
			await assert.rejects(blobs.read(changed), /changed|not what its name says/);
			const opened = (await blobs.open(changed)) ?? assert.fail();
			await assert.rejects(buffer(opened.stream), /changed|not what its name says/);
		});
	});
}

suite("blobs in a folder", () => {
	const directory = join(home, "folder");
	return { blobs: new DirectoryBlobs(directory), directory };
});

describe("on a real S3 server", () => {
	let bucket: Awaited<ReturnType<typeof openBucket>> | undefined;
	const directory = join(home, "s3");
	before(async () => {
		bucket = await openBucket(directory);
	});
	after(() => bucket?.close());
	const at = (more: object = {}) =>
		new S3Blobs({
			endpoint: bucket?.endpoint ?? "",
			region: "us-east-1",
			bucket: "vouch",
			prefix: "fleet/",
			...BUCKET_KEYS,
			...more,
		});

	suite("blobs in a bucket", () => ({ blobs: at(), directory }));

	test("a bucket that is not there is no absent blob", async () => {
		const nowhere = at({ bucket: "nowhere" });
		await assert.rejects(nowhere.put(Buffer.from("x")), { code: "blob-storage-unavailable" });
		await assert.rejects(nowhere.read(createHash("sha256").digest("hex")), { code: "blob-storage-unavailable" });
	});

	test("requests are signed as S3 says, their bodies with them, and a wrong key is said", async () => {
		const verdicts: string[] = [];
		const strict = createServer(async (request, response) => {
			const verdict = signatureOf(request, await buffer(request));
			verdicts.push(`${request.method} ${verdict}`);
			response.writeHead(verdict === "good" ? (request.method === "HEAD" ? 404 : 200) : 403).end();
		});
		await new Promise<void>((resolve) => strict.listen(0, "127.0.0.1", resolve));
		try {
			const there = { endpoint: `http://127.0.0.1:${(strict.address() as AddressInfo).port}` };
			await at(there).put(Buffer.from("signed"));
			assert.deepEqual(verdicts, ["HEAD good", "PUT good"]);
			const wrong = at({ ...there, secretAccessKey: "wrong" });
			await assert.rejects(wrong.put(Buffer.from("signed")), /it answered 403/);
		} finally {
			strict.closeAllConnections();
			strict.close();
		}
	});

	test("a server that is slow to come up is asked again", async () => {
		let asked = 0;
		const busy = createServer((request, response) => {
			asked += 1;
			request.resume();
			response.writeHead(asked === 1 ? 503 : request.method === "HEAD" ? 404 : 200).end();
		});
		await new Promise<void>((resolve) => busy.listen(0, "127.0.0.1", resolve));
		try {
			const { port } = busy.address() as AddressInfo;
			await at({ endpoint: `http://127.0.0.1:${port}` }).put(Buffer.from("again"));
			assert.equal(asked, 3);
		} finally {
			busy.closeAllConnections();
			busy.close();
		}
	});
});

/** AWS Signature Version 4 by its specification, computed anew from what came over the wire. */
function signatureOf(request: IncomingMessage, body: Buffer): "good" | "wrong" | "other body" {
	const { method = "", url = "/", headers } = request;
	const [, scope = "", signed = "", given = ""] =
		/Credential=S3RVER\/([^,]+), SignedHeaders=([^,]+), Signature=(\w+)/.exec(headers.authorization ?? "") ?? [];
	const names = signed.split(";");
	const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
	const payload = String(headers["x-amz-content-sha256"]);
	const lines = names.map((name) => `${name}:${String(headers[name]).trim()}\n`).join("");
	const canonical = [method, new URL(url, "http://x").pathname, "", lines, signed, payload].join("\n");
	const text = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, sha256(canonical)].join("\n");
	const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
	const key = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${BUCKET_KEYS.secretAccessKey}`);
	if (hmac(key, text).toString("hex") !== given) return "wrong";
	return method === "PUT" && payload !== sha256(body) ? "other body" : "good";
}
