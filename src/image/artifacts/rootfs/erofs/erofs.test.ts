import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { linesOf, randomTrees } from "../sample-trees.ts";
import { bytesContent, directoryNode, type FileNode, IMPLIED_DIRECTORY, type RootfsTree } from "../tree.ts";
import { crc32c } from "./format.ts";
import { readErofs } from "./sample-reading.ts";
import { type ErofsOptions, writeErofs } from "./write.ts";

const folder = mkdtempSync(join(tmpdir(), "vouch-erofs-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const EPOCH = 315_532_800;

async function packed(tree: RootfsTree, options: Partial<ErofsOptions> = {}): Promise<Buffer> {
	const path = join(folder, "disk");
	rmSync(path, { force: true });
	const { sizeBytes } = await writeErofs(tree, { path, epoch: EPOCH, ...options });
	const disk = readFileSync(path);
	assert.equal(disk.length, sizeBytes);
	return disk;
}

const file = (bytes: Uint8Array, meta: Partial<FileNode["meta"]> = {}): FileNode => {
	return { kind: "file", meta: { ...IMPLIED_DIRECTORY, mode: 0o644, ...meta }, content: bytesContent(bytes) };
};

test("any tree is read back as it was, and always packed to the same bytes", async () => {
	await fc.assert(
		fc.asyncProperty(randomTrees, async (tree) => {
			const disk = await packed(tree);
			assert.deepEqual(linesOf(readErofs(disk, EPOCH)), linesOf(tree));
			assert.ok((await packed(tree)).equals(disk));
		}),
		{ numRuns: 150 },
	);
});

test("the order in which a tree was put together does not matter", async () => {
	const forwards = directoryNode();
	const backwards = directoryNode();
	const names = Array.from({ length: 3000 }, (_, index) => `name-${index}`);
	for (const name of names) forwards.children.set(name, file(Buffer.from(name)));
	for (const name of names.reverse()) backwards.children.set(name, file(Buffer.from(name)));
	const disk = await packed({ root: forwards });
	assert.ok((await packed({ root: backwards })).equals(disk));
	assert.deepEqual(linesOf(readErofs(disk, EPOCH)), linesOf({ root: forwards }));
});

test("small files lie in the blocks of their inodes: little is lost", async () => {
	const root = directoryNode();
	let bytes = 0;
	for (let index = 0; index < 5000; index += 1) {
		const size = (index * 7919) % 4000;
		root.children.set(`f${index}`, file(Buffer.alloc(size, 1)));
		bytes += size + 32;
	}
	const disk = await packed({ root });
	assert.ok(disk.length < bytes * 1.06, `${disk.length} bytes for ${bytes}`);
});

test("xattrs longer than a block, many links, large owners and their own times", async () => {
	const root = directoryNode();
	const big = { name: "user.big", value: Buffer.alloc(60_000, 7) };
	const node = file(Buffer.alloc(10_000, 9), { uid: 100_000, xattrs: [big], mtimeS: -5, mtimeNs: 999_999_999 });
	root.children.set("xattr", node);
	const linked = file(Buffer.from("linked"));
	for (let index = 0; index < 70_000; index += 1) root.children.set(`link-${index}`, linked);
	root.children.set("after", file(Buffer.from("x"), { mtimeS: EPOCH }));
	const tree = { root };
	const disk = await packed(tree, { times: "kept" });
	const read = readErofs(disk, EPOCH);
	assert.deepEqual(linesOf(read), linesOf(tree));
	const found = read.root.children.get("xattr");
	assert.deepEqual([found?.meta.mtimeS, found?.meta.mtimeNs], [-5, 999_999_999]);
	assert.equal(read.root.children.get("after")?.meta.mtimeS, EPOCH);
});

test("long runs of zeros take no room on the disk", async () => {
	const root = directoryNode();
	root.children.set("zeros", file(Buffer.alloc(20 << 20)));
	const disk = await packed({ root });
	assert.equal(disk.length, (20 << 20) + 2 * 4096);
	assert.ok(statSync(join(folder, "disk")).blocks * 512 < 1 << 20);
});

test("the superblock's checksum is CRC-32C as RFC 3720 has it, but for the last inversion", () => {
	assert.equal(~crc32c(Buffer.from("123456789")) >>> 0, 0xe3069283);
	assert.equal(~crc32c(Buffer.alloc(32)) >>> 0, 0x8a9136aa);
});

test("what erofs can't hold is refused by name, and nothing is left", async () => {
	const root = directoryNode();
	root.children.set("a", file(Buffer.from("x"), { xattrs: [{ name: "com.apple.x", value: Buffer.alloc(1) }] }));
	const path = join(folder, "refused");
	await assert.rejects(writeErofs({ root }, { path, epoch: EPOCH }), /\/a can't be in it: its xattr com\.apple\.x/);
	assert.ok(!existsSync(path));
});

test("a file that is there is not overwritten; one that was begun goes when packing fails or is interrupted", async () => {
	const root = directoryNode();
	root.children.set("a", file(Buffer.from("x")));
	await packed({ root });
	const before = readFileSync(join(folder, "disk"));
	await assert.rejects(writeErofs({ root }, { path: join(folder, "disk"), epoch: EPOCH }), { code: "EEXIST" });
	assert.ok(readFileSync(join(folder, "disk")).equals(before));
	const failing: FileNode["content"] = {
		sizeBytes: 10,
		open: () => ({
			read: () => {
				throw new Error("unreadable");
			},
			close: () => {},
		}),
	};
	root.children.set("b", { ...file(Buffer.alloc(0)), content: failing });
	const path = join(folder, "fails");
	await assert.rejects(writeErofs({ root }, { path, epoch: EPOCH }), /unreadable/);
	assert.ok(!existsSync(path));
	root.children.set("b", file(Buffer.alloc(50 << 20, 1)));
	const stop = new AbortController();
	const progress = () => stop.abort(new Error("enough"));
	await assert.rejects(writeErofs({ root }, { path, epoch: EPOCH, signal: stop.signal, progress }), /enough/);
	assert.ok(!existsSync(path));
});
