import assert from "node:assert/strict";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { addSampleImage, openImageStore, type StoredImage } from "../../src/image/index.ts";
import { registryMissing, startRegistry } from "../registry/real-registry.ts";
import { FrontDoor, until } from "./front-door.ts";

const door = new FrontDoor();
const storeFolder = join(door.data, "images");
let image: StoredImage;

before(async () => {
	image = await addSampleImage(openImageStore(storeFolder), { dataBytes: 2 ** 20 });
});
after(() => door.close());

/** Runs and expects this exit code; what it printed. */
async function vouch(code: number, ...args: readonly string[]) {
	const ended = await door.run(args);
	assert.equal(ended.code, code, ended.stderr);
	return { stdout: ended.stdout.toString(), stderr: ended.stderr };
}

const hex = (): string => image.digest.slice("sha256:".length);

test("images are named, listed, shown and found by name, digest or its beginning", async () => {
	assert.match((await vouch(0, "image", "name", image.digest, "app")).stdout, /^app {2}linux\/amd64 {2}sha256:/);
	await vouch(0, "image", "name", "app", "stable");
	assert.equal((await vouch(0, "image", "ls", "--names")).stdout, "app\nstable\n");
	const row = new RegExp(`^app +linux/amd64 +${hex().slice(0, 12)}`, "m");
	assert.match((await vouch(0, "image", "ls")).stdout, row);
	for (const text of ["app", "app@linux/amd64", image.digest, hex().slice(0, 8)]) {
		const shown = await door.json<{ digest: string; names: string[] }>("image", "inspect", text);
		assert.deepEqual([shown.digest, shown.names], [image.digest, ["app", "stable"]]);
	}
	const [listed] = await door.json<{ digest: string; addedAt: string }[]>("image", "ls");
	assert.equal(listed?.digest, image.digest);
	const shown = await vouch(0, "image", "inspect", "app");
	assert.match(shown.stdout, new RegExp(`root hash +${image.manifest.verity.rootHash}`));
	const sbom = await vouch(0, "image", "inspect", "app", "--part", "sbom");
	assert.equal(JSON.parse(sbom.stdout).spdxVersion, "SPDX-2.3");
	assert.match((await vouch(125, "image", "inspect", "nobody")).stderr, /cli\.image-not-found/);
	assert.match((await vouch(125, "image", "name", "app", "Not A Name")).stderr, /can't be the name/);
});

test("verify says every claim; a flipped bit is exit code 1 and its block", async () => {
	assert.match((await vouch(0, "image", "verify", "app")).stdout, /holds +hash tree +every one of 256 blocks/);
	const path = image.files.disk;
	const good = readFileSync(path);
	const bad = Buffer.from(good);
	bad[10 * 4096 + 7] = (bad[10 * 4096 + 7] ?? 0) ^ 0x10;
	chmodSync(path, 0o644);
	writeFileSync(path, bad);
	const said = await vouch(1, "image", "verify", "app");
	assert.match(said.stdout, /DOES NOT HOLD +hash tree +data block 10 differs/);
	assert.match(said.stdout, /REJECTED/);
	writeFileSync(path, good);
	const json = await door.json<{ verdict: string; claims: { status: string }[] }>("image", "verify", "app");
	assert.equal(json.verdict, "verified");
});

test("an export is imported elsewhere, and not over something that is there", async () => {
	for (const path of ["app.tar", "app-folder"]) {
		await vouch(0, "image", "export", "app", path);
		assert.match((await vouch(125, "image", "export", "app", path)).stderr, /image-export-exists/);
		const elsewhere = new FrontDoor();
		try {
			const file = join(door.workspace, path);
			const imported = await elsewhere.json<{ name: string; digest: string }[]>("image", "import", file);
			// The tar of a layout says what it is called; of a folder its own name does.
			const expected = [path === "app.tar" ? "app" : "app-folder", image.digest];
			assert.deepEqual(
				imported.map(({ name, digest }) => [name, digest]),
				[expected],
			);
			await elsewhere.json("image", "verify", imported[0]?.name ?? "");
		} finally {
			await elsewhere.close();
		}
	}
	writeFileSync(join(door.workspace, "not-an-image"), "x");
	assert.match((await vouch(125, "image", "import", "not-an-image")).stderr, /image-foreign/);
});

test("what is pushed is pulled by somebody else", { skip: registryMissing() }, async () => {
	const registry = await startRegistry(join(door.directory, "registry"));
	const elsewhere = new FrontDoor();
	try {
		const reference = `127.0.0.1:${registry.port}/team/app:1`;
		const pushed = await door.json<{ sentBytes: number; pinned: string }>("image", "push", "app", reference);
		assert.ok(pushed.sentBytes > 2 ** 20);
		const pull = ["image", "pull", reference];
		const pulled = await elsewhere.json<{ name: string; digest: string }>(...pull, "--digest", image.digest);
		assert.deepEqual([pulled.name, pulled.digest], ["app", image.digest]);
		const plain = await elsewhere.run(["image", "pull", pushed.pinned, "--name", "pinned"]);
		assert.match(plain.stdout.toString(), /fetched +nothing: all of it was here/);
		const wrong = await elsewhere.run([...pull, "--digest", `sha256:${"0".repeat(64)}`]);
		assert.match(wrong.stderr, /registry-image-unexpected/);
	} finally {
		await elsewhere.close();
		await registry.stop();
	}
	assert.match((await vouch(125, "image", "pull", "debian")).stderr, /registry-reference-invalid/);
});

test("Ctrl-C ends a transfer in its time with exit code 130, and leaves nothing half done", async () => {
	let asked = 0;
	const server = createServer(() => {
		asked += 1;
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	try {
		for (const command of [["push", "app"], ["pull"]]) {
			const before = asked;
			const going = door.start(["image", ...command, `127.0.0.1:${port}/team/app:1`]);
			await until("the registry is asked", () => asked > before);
			const beganMs = performance.now();
			going.process.kill("SIGINT");
			const { code, stderr } = await going.ended;
			assert.equal(code, 130, stderr);
			assert.match(stderr, /stopping, and clearing up/);
			assert.ok(performance.now() - beganMs < 60_000);
		}
	} finally {
		server.closeAllConnections();
		server.close();
	}
	assert.deepEqual(
		readdirSync(storeFolder).filter((name) => name.startsWith("tmp-")),
		[],
	);
});

test("a name goes before its image; prune takes what has none, when it is old enough", async () => {
	const other = await addSampleImage(openImageStore(storeFolder), { seed: 5 });
	assert.match((await vouch(0, "image", "prune")).stdout, /^0 images/);
	const dry = await vouch(0, "image", "prune", "--older-than", "0s", "--dry-run");
	assert.match(dry.stdout, new RegExp(`would remove ${other.digest}`));
	assert.doesNotMatch(dry.stdout, new RegExp(image.digest));
	const pruned = await door.json<{ images: string[]; freedBytes: number }>("image", "prune", "--older-than", "0s");
	assert.deepEqual(pruned.images, [other.digest]);
	assert.ok(pruned.freedBytes > 0 && !existsSync(other.files.disk));

	assert.match((await vouch(0, "image", "rm", "stable")).stdout, /still app/);
	assert.ok(existsSync(image.files.disk));
	assert.match((await vouch(0, "image", "rm", "app")).stdout, /removed sha256:/);
	assert.ok(!existsSync(image.files.disk));
	assert.match((await vouch(0, "image", "ls")).stdout, /No images yet/);
});
