import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import type { Digest } from "../../core/index.ts";
import { addSampleImage } from "../export/sample-image.ts";
import { openImageStore } from "../store/index.ts";
import { verifyImage } from "./verify-image.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-verify-image-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const CLAIMS = [
	"image.json",
	"agreement",
	"disk.img",
	"kernel",
	"initramfs",
	"sbom.spdx.json",
	"provenance.intoto.json",
	"hash tree",
	"sbom",
	"provenance",
	"build plan",
	"materials",
];

test("every claim of a good image holds, and each is named", async () => {
	const store = openImageStore(join(directory, "good"));
	const { digest } = await addSampleImage(store);
	const seen: number[] = [];
	const progress = (done: number, total: number) => seen.push(done / total);
	const { verdict, claims } = await verifyImage(store, digest, { progress });
	assert.equal(verdict, "verified");
	assert.deepEqual(
		claims.map(({ claim }) => claim),
		CLAIMS,
	);
	assert.deepEqual(
		claims.filter(({ status }) => status !== "holds"),
		[],
	);
	assert.equal(seen.at(-1), 1);
});

test("one flipped bit in any part is found, and the other claims are still reported", async () => {
	const store = openImageStore(join(directory, "flipped"));
	const { digest, files } = await addSampleImage(store);
	for (const [name, path] of Object.entries(files)) {
		const good = readFileSync(path);
		const bad = Buffer.from(good);
		const at = bad.length >> 1;
		bad[at] = (bad[at] ?? 0) ^ 1;
		chmodSync(path, 0o644);
		writeFileSync(path, bad);
		const { verdict, claims } = await verifyImage(store, digest);
		assert.equal(verdict, "rejected", name);
		const wrong = claims.filter(({ status }) => status !== "holds").map(({ claim }) => claim);
		assert.equal(wrong.length, name === "disk" ? 2 : 1, wrong.join(", "));
		const tree = claims.find(({ claim }) => claim === "hash tree")?.detail ?? "";
		if (name === "disk") assert.match(tree, /block \d+ differs/);
		assert.ok(claims.length >= 8, name);
		writeFileSync(path, good);
	}
	rmSync(files.kernel);
	const { claims } = await verifyImage(store, digest);
	assert.match(claims.find(({ claim }) => claim === "kernel")?.detail ?? "", /can't be read/);
});

test("an image that is not there is no verdict", async () => {
	const store = openImageStore(join(directory, "none"));
	await assert.rejects(verifyImage(store, `sha256:${"0".repeat(64)}` as Digest), { code: "image-unknown" });
});
