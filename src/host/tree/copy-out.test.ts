import assert from "node:assert/strict";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { copyOut } from "./copy-out.ts";
import { scanTree } from "./scan.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-test-copy-out-"));
after(() => rmSync(home, { recursive: true, force: true }));

async function folderOf(name: string) {
	const root = join(home, name);
	mkdirSync(join(root, "a/b"), { recursive: true });
	const big = Buffer.alloc(3 * 2 ** 20 + 7, name);
	writeFileSync(join(root, "a/b/big"), big);
	writeFileSync(join(root, "a/ü"), "");
	return { root, big, snapshot: await scanTree(root), target: join(home, `${name}.copy`) };
}

test("a file of the snapshot is copied whole and private", async () => {
	const { big, snapshot, target } = await folderOf("whole");
	assert.equal(await copyOut(snapshot, "a/b/big", target), "copied");
	assert.deepEqual(readFileSync(target), big);
	assert.equal(statSync(target).mode & 0o777, 0o600);
	assert.equal(await copyOut(snapshot, "a/ü", `${target}.empty`), "copied");
	assert.equal(statSync(`${target}.empty`).size, 0);
});

test("what is no file of the snapshot any more is not copied, and no link is followed", async () => {
	const { root, big, snapshot, target } = await folderOf("changed");
	const refused = async (what: string, path = "a/b/big") => {
		assert.equal(await copyOut(snapshot, path, target), "changed", what);
		assert.equal(existsSync(target), false, what);
	};
	await refused("a folder", "a/b");
	await refused("nothing", "a/c");
	writeFileSync(join(root, "a/b/big"), Buffer.concat([big, big]));
	await refused("a file that grew");
	writeFileSync(join(root, "a/b/big"), big.fill("x"));
	await refused("other bytes");
	const { root: honest } = await folderOf("honest");
	renameSync(join(root, "a/b"), join(root, "a/was"));
	symlinkSync(join(honest, "a/b"), join(root, "a/b"));
	await refused("a link on the way");
	rmSync(join(root, "a/b"));
	mkdirSync(join(root, "a/b"));
	symlinkSync(join(honest, "a/b/big"), join(root, "a/b/big"));
	await refused("a link at its place");
});
