import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import fc from "fast-check";
import { realHost } from "../../host/index.ts";
import {
	bytesContent,
	type DirectoryNode,
	directoryNode,
	type NodeMeta,
	packRootfs,
} from "../artifacts/rootfs/index.ts";
import type { RootfsFormat } from "../schema.ts";
import { compareTrees } from "./compare-trees.ts";
import { UnreadableDisk } from "./entry.ts";
import { listErofs } from "./erofs-listing.ts";
import { listSquashfs } from "./squashfs-listing.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-compare-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let made = 0;

const meta = (changes: Partial<NodeMeta> = {}): NodeMeta => ({
	mode: 0o644,
	uid: 0,
	gid: 0,
	mtimeS: 0,
	mtimeNs: 0,
	xattrs: [],
	...changes,
});
const folder = (
	children: Readonly<Record<string, DirectoryNode["children"] extends Map<string, infer N> ? N : never>>,
) => {
	const node = directoryNode(meta({ mode: 0o755 }));
	for (const [name, child] of Object.entries(children)) node.children.set(name, child);
	return node;
};
const file = (text: string, changes: Partial<NodeMeta> = {}) =>
	({ kind: "file", meta: meta(changes), content: bytesContent(Buffer.from(text)) }) as const;
const link = (target: string) => ({ kind: "symlink", meta: meta({ mode: 0o777 }), target }) as const;

function sample(): DirectoryNode {
	return folder({
		bin: link("usr/bin"),
		dev: folder({ null: { kind: "character-device", meta: meta({ mode: 0o666 }), major: 1, minor: 300 } }),
		"with space \\": file("x"),
		etc: folder({ empty: file(""), passwd: file("root:x:0:0\n".repeat(2000), { uid: 70_000 }) }),
		usr: folder({ bin: folder({ app: file("program".repeat(10_000), { mode: 0o755 }) }) }),
		"caf\xc3\xa9": file("latin1 is bytes"),
	});
}

async function listing(root: DirectoryNode, format: RootfsFormat) {
	made += 1;
	const path = join(directory, `disk-${made}`);
	await packRootfs({ root }, { format, path, epoch: 315_532_800 });
	if (format === "erofs") return listErofs(path, {});
	const scratchDirectory = join(directory, `scratch-${made}`);
	mkdirSync(scratchDirectory);
	return listSquashfs(path, { host: realHost(), scratchDirectory });
}

const squashfsMissing = spawnSync("unsquashfs", ["-v"]).error === undefined ? false : "unsquashfs is not installed";

for (const format of ["erofs", "squashfs", "squashfs-uncompressed"] as const) {
	const skip = format === "erofs" ? false : squashfsMissing;
	test(`${format}: each planted difference is named with its path and cause, and nothing else is`, {
		skip,
	}, async () => {
		const before = await listing(sample(), format);
		assert.deepEqual(compareTrees(before, await listing(sample(), format)), []);
		const changed = sample();
		const etc = changed.children.get("etc");
		assert.ok(etc?.kind === "directory");
		etc.children.set("passwd", file("root:x:0:0\n".repeat(2000), { uid: 70_001, mode: 0o600 }));
		etc.children.set("empty", file("not"));
		etc.children.set("new", link("passwd"));
		changed.children.set("bin", link("usr/sbin"));
		changed.children.delete("caf\xc3\xa9");
		changed.children.set("dev", file("now a file"));
		const found = compareTrees(before, await listing(changed, format));
		assert.deepEqual(
			found.map(({ path, change, causes }) => [path, change, causes.join(", ")]),
			[
				["/bin", "changed", "size 7 → 8, target usr/bin → usr/sbin"],
				["/café", "only-left", "a file"],
				["/dev", "changed", "directory → file"],
				["/dev/null", "only-left", "a character-device"],
				["/etc/empty", "changed", "contents, size 0 → 3"],
				["/etc/new", "only-right", "a symlink"],
				["/etc/passwd", "changed", "mode 0644 → 0600, owner 70000:0 → 70001:0"],
			],
		);
	});
}

test("xattrs and hard links are compared on erofs", async () => {
	const capability = { name: "security.capability", value: Buffer.from("0100000200200000", "hex") };
	const shared = file("shared");
	const left = await listing(folder({ a: shared, b: shared, ping: file("x", { xattrs: [capability] }) }), "erofs");
	const right = await listing(folder({ a: file("shared"), b: file("shared"), ping: file("x") }), "erofs");
	assert.deepEqual(
		compareTrees(left, right).map(({ path, causes }) => [path, ...causes]),
		[["/ping", "xattr security.capability"]],
	);
});

test("a damaged disk ends in a refusal or a listing, never in anything else, and in bounded time", async () => {
	const path = join(directory, "fuzzed");
	await packRootfs({ root: sample() }, { format: "erofs", path: join(directory, "good"), epoch: 315_532_800 });
	const good = readFileSync(join(directory, "good"));
	const damage = fc.array(fc.tuple(fc.nat(Math.min(good.length, 16_384) - 1), fc.nat(255)), {
		minLength: 1,
		maxLength: 8,
	});
	await fc.assert(
		fc.asyncProperty(damage, async (bytes) => {
			const bad = Buffer.from(good);
			for (const [at, value] of bytes) bad[at] = value;
			writeFileSync(path, bad);
			await listErofs(path, {}).catch((error: unknown) => assert.ok(error instanceof UnreadableDisk, String(error)));
		}),
		{ numRuns: 300 },
	);
});
