import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Budget } from "./budget.ts";
import { applyLayer, checkDepth } from "./flatten.ts";
import { Layer } from "./layer.ts";
import { type SampleEntry, sampleTar } from "./sample-archives.ts";
import { linesOf } from "./sample-trees.ts";
import { DEFAULT_LIMITS, Refusal } from "./source.ts";
import type { ByteStore } from "./stores.ts";
import { TarReader } from "./tar/reader.ts";
import { directoryNode, entriesOf, type RootfsTree } from "./tree.ts";

function addLayer(tree: RootfsTree, entries: readonly SampleEntry[]): void {
	const bytes = sampleTar(entries);
	const store: ByteStore = {
		sizeBytes: bytes.length,
		read: (into, offset, length, position) => void bytes.copy(into, offset, position, position + length),
		close: () => {},
	};
	const layer = new Layer(new Budget(DEFAULT_LIMITS), "whiteouts");
	const reader = new TarReader((entry) => layer.add(entry, store));
	reader.push(bytes);
	reader.end();
	layer.finish();
	applyLayer(tree, layer);
}

function flattened(...layers: readonly (readonly SampleEntry[])[]): RootfsTree {
	const tree = { root: directoryNode() };
	for (const layer of layers) addLayer(tree, layer);
	return tree;
}

/** Paths with what is there: `path/` for folders, `path=contents` for files, `path -> target`. */
function shown(tree: RootfsTree): readonly string[] {
	return [...entriesOf(tree)].slice(1).map(({ path, node }) => {
		if (node.kind === "directory") return `${path}/`;
		if (node.kind === "symlink") return `${path} -> ${node.target}`;
		if (node.kind !== "file") return `${path} ${node.kind}`;
		const bytes = Buffer.alloc(node.content.sizeBytes);
		node.content.open().read(bytes, 0, bytes.length);
		return `${path}=${bytes}`;
	});
}

const file = (name: string, body: string): SampleEntry => ({ name, body });
const empty = (name: string): SampleEntry => ({ name });
const symlink = (name: string, link: string): SampleEntry => ({ name, type: "2", link });
const hardlink = (name: string, link: string): SampleEntry => ({ name, type: "1", link });

const base: readonly SampleEntry[] = [
	symlink("bin", "usr/bin"),
	{ name: "usr/bin/sh", body: "sh", mode: "0004755\0" },
	file("etc/passwd", "root"),
	file("etc/apt/list", "apt"),
	file("var/log/old", "log"),
];

const CASES: readonly (readonly [string, readonly SampleEntry[], readonly string[]])[] = [
	["a whiteout removes a file", [empty("etc/.wh.passwd")], ["-etc/passwd=root"]],
	["a whiteout removes a folder with all in it", [empty("etc/.wh.apt")], ["-etc/apt/", "-etc/apt/list=apt"]],
	["a whiteout of what is not there does nothing", [empty("etc/.wh.none")], []],
	[
		"an opaque folder forgets what was below, wherever it stands in the layer",
		[file("etc/new", "1"), empty("etc/.wh..wh..opq"), file("etc/later", "2")],
		["-etc/apt/", "-etc/apt/list=apt", "-etc/passwd=root", "+etc/later=2", "+etc/new=1"],
	],
	[
		"a whiteout and a new file of that name: the new file",
		[file("etc/passwd", "new"), empty("etc/.wh.passwd")],
		["-etc/passwd=root", "+etc/passwd=new"],
	],
	[
		"a whiteout and a new folder of that name: nothing of the old one",
		[file("etc/apt/fresh", "f"), empty("etc/.wh.apt")],
		["-etc/apt/list=apt", "+etc/apt/fresh=f"],
	],
	["a file replaces a folder", [file("etc/apt", "f")], ["-etc/apt/", "-etc/apt/list=apt", "+etc/apt=f"]],
	["a folder replaces a file", [empty("etc/passwd/")], ["-etc/passwd=root", "+etc/passwd/"]],
	["a folder replaces a link", [empty("bin/"), file("bin/x", "x")], ["-bin -> usr/bin", "+bin/", "+bin/x=x"]],
	["a folder over a folder keeps what is in it", [{ name: "etc/", mode: "0000700\0" }], []],
	["a path through a link of a layer below goes where it leads", [file("bin/app", "a")], ["+usr/bin/app=a"]],
	["a hard link to a file of a layer below", [hardlink("bash", "./usr/bin/sh")], ["+bash=sh"]],
	["a hard link whose target is absolute", [hardlink("bash", "/bin/sh")], ["+bash=sh"]],
	[
		"hard links in any order, also to each other",
		[hardlink("one", "two"), hardlink("two", "three"), file("three", "3")],
		["+one=3", "+three=3", "+two=3"],
	],
	[
		"a hard link in place of the old file means the new one",
		[hardlink("etc/passwd", "fresh"), file("fresh", "new")],
		["-etc/passwd=root", "+etc/passwd=new", "+fresh=new"],
	],
	["what aufs kept for itself is left out", [file(".wh..wh.plnk/1.2", "x"), empty(".wh..wh.aufs")], []],
	["the same entry twice", [file("a", "x"), file("a", "x"), empty("d/"), { name: "./d", type: "5" }], ["+a=x", "+d/"]],
	[
		"devices and pipes are nodes",
		[
			{ name: "dev/null", type: "3", device: [1, 3] },
			{ name: "p", type: "6" },
		],
		["+dev/", "+dev/null character-device", "+p fifo"],
	],
	["a link may lead anywhere", [symlink("out", "../../../etc/shadow")], ["+out -> ../../../etc/shadow"]],
	["a leading slash is the image's root", [file("/opt/x", "x")], ["+opt/", "+opt/x=x"]],
];

for (const [what, layer, changes] of CASES) {
	test(what, () => {
		const before = shown(flattened(base));
		const after = shown(flattened(base, layer));
		const removed = before.filter((line) => !after.includes(line)).map((line) => `-${line}`);
		const added = after.filter((line) => !before.includes(line)).map((line) => `+${line}`);
		assert.deepEqual([...removed, ...added].sort(), [...changes].sort());
	});
}

test("hard links across layers share one node until a layer replaces one of them", () => {
	const tree = flattened(base, [hardlink("bash", "usr/bin/sh")], [file("usr/bin/sh", "new")]);
	assert.ok(shown(tree).includes("bash=sh"));
	assert.ok(shown(tree).includes("usr/bin/sh=new"));
	assert.equal(tree.root.children.get("bash")?.meta.mode, 0o4755);
});

const named = (path: string): SampleEntry => ({ name: "a", pax: { path } });
const attached = (...names: readonly string[]): SampleEntry => {
	return { name: "a", pax: Object.fromEntries(names.map((name) => [`SCHILY.xattr.${name}`, Buffer.alloc(65_000)])) };
};

const REFUSED: readonly (readonly [string, readonly SampleEntry[], RegExp])[] = [
	["a path upwards", [file("../etc/passwd", "x")], /leads upwards/],
	["a path upwards in the middle", [file("a/../../b", "x")], /leads upwards/],
	["a path through a link of the same layer", [symlink("o", "/tmp"), file("o/x", "x")], /no folder in the same layer/],
	["a path through a file of a layer below", [file("etc/passwd/x", "x")], /through what is no folder/],
	["a path through a link that leads nowhere", [file("gone/x", "x")], /leads to no folder/],
	["a path through a ring of links", [file("ring/x", "x")], /leads to no folder/],
	["a whiteout through a link", [empty("bin/.wh.sh")], /whiteout leads through a link/],
	["one file by two paths", [file("bin/x", "1"), file("usr/bin/x", "1")], /twice/],
	["a file twice with other contents", [file("a", "1"), file("a", "2")], /twice, and not the same/],
	["a file twice with another mode", [empty("a"), { name: "a", mode: "0000755\0" }], /twice, and not the same/],
	["a file and a folder", [empty("a"), empty("a/")], /no folder in the same layer/],
	["a folder and a file", [empty("a/"), empty("a")], /twice, and not the same/],
	["a folder twice with another owner", [empty("a/"), { name: "a/", uid: "0000001\0" }], /twice, and not the same/],
	["a link twice", [symlink("a", "b"), symlink("a", "c")], /twice, and not the same/],
	["a hard link to what is missing", [hardlink("a", "none")], /does not have/],
	["a hard link to a file of the machine", [hardlink("a", "/etc/hostname")], /does not have/],
	["a hard link upwards", [hardlink("a", "../../etc/passwd")], /leads upwards/],
	["a hard link through a link out of the image", [hardlink("a", "out/hostname")], /does not have/],
	["a hard link to a folder", [hardlink("a", "etc")], /to a folder/],
	["a hard link to the root", [hardlink("a", "/")], /to a folder/],
	["a hard link to itself", [hardlink("a", "a")], /to itself/],
	["a ring of hard links", [hardlink("a", "b"), hardlink("b", "a")], /to itself/],
	["a hard link to what the layer removes", [empty("etc/.wh.passwd"), hardlink("a", "etc/passwd")], /does not have/],
	["a link to nowhere", [{ name: "a", type: "2" }], /nowhere/],
	["a name that is not UTF-8", [{ name: Buffer.from([0x61, 0xff]) }], /not valid UTF-8/],
	["a link that is not UTF-8", [{ name: "a", type: "2", link: Buffer.from([0xc0, 0xaf]) }], /not valid UTF-8/],
	["an overlong UTF-8 slash", [{ name: Buffer.from([0x61, 0xc0, 0xaf, 0x62]) }], /not valid UTF-8/],
	["a name that is too long", [named("n".repeat(256))], /over 255 bytes/],
	["a path that is too long", [named("nnnnnnnnnnnnnnnnnnnnnnnn/".repeat(200))], /over 4095 bytes/],
	["a tree that is too deep", [named("d/".repeat(300))], /over 256 folders deep/],
	["an entry without a name", [{ name: "", mode: "0000600\0" }], /no name/],
	["a root that is a link", [symlink("./", "x")], /root can only be a folder/],
	["a whiteout of nothing", [empty("a/.wh.")], /removes nothing/],
	["a whiteout of the folder above", [empty("a/.wh...")], /removes nothing/],
	["a path through a whiteout", [empty(".wh.a/b")], /through a whiteout/],
	["a device that Linux does not have", [{ name: "a", type: "3", device: [4096, 0] }], /character device 4096:0/],
	["a disk of the machine", [{ name: "dev/sda", type: "4", device: [8, 0] }], /block device 8:0/],
	["the machine's memory", [{ name: "dev/mem", type: "3", device: [1, 1] }], /character device 1:1/],
	["a whiteout in the form of a device", [{ name: "a", type: "3", device: [0, 0] }], /character device 0:0/],
	[
		"an owner that Linux does not have",
		[{ name: "a", uid: Buffer.from("80000000ffffffff", "hex") }],
		/not one that Linux has/,
	],
	[
		"an xattr that is too long",
		[{ name: "a", pax: { "SCHILY.xattr.user.x": Buffer.alloc(65_536) } }],
		/over 65535 bytes/,
	],
	["xattrs that are too many", [attached("user.x", "user.y", "user.z")], /xattrs have over/],
];

for (const [what, layer, reason] of REFUSED) {
	test(`refused: ${what}`, () => {
		const links = [symlink("gone", "/nowhere"), symlink("ring", "ring"), symlink("out", "../../../../etc")];
		assert.throws(
			() => flattened([...base, ...links], layer),
			(error) => error instanceof Refusal && reason.test(error.message),
		);
	});
}

test("a depth that only links over several layers make is refused too", () => {
	const deep = (prefix: string) => [named(`${prefix}${"d/".repeat(200)}`)];
	const link = { ...symlink("l", "long"), pax: { linkpath: "d/".repeat(200).slice(0, -1) } };
	const tree = flattened(deep(""), [link], deep("l/"));
	assert.throws(() => checkDepth(tree, DEFAULT_LIMITS.maxDepth), /over 256 folders deep/);
});

test("xattrs that no Linux file system keeps, and those of an overlay, are left out", () => {
	const names = ["user.kept", "com.apple.x", "trusted.overlay.opaque", "user.overlay.redirect"];
	const tree = flattened([{ name: "a", pax: Object.fromEntries(names.map((name) => [`SCHILY.xattr.${name}`, "1"])) }]);
	const kept = tree.root.children.get("a")?.meta.xattrs.map(({ name }) => name);
	assert.deepEqual(kept, ["user.kept"]);
});

/** What a stack of layers means, one path after the other: far slower than the tree, and hard to get wrong. */
class Model {
	readonly paths = new Map<string, string>();

	apply(layer: readonly ModelEntry[]): void {
		for (const { path, what } of layer) if (what === "whiteout") this.#remove(path);
		for (const { path, what } of layer) if (what === "opaque") this.#removeBelow(path);
		for (const { path, what } of layer.toSorted((left, right) => (left.path < right.path ? -1 : 1))) {
			if (what === "whiteout" || what === "opaque") continue;
			if (what !== "folder" || this.paths.get(path) !== "folder") this.#remove(path);
			this.paths.set(path, what);
		}
	}

	#removeBelow(path: string): void {
		for (const one of [...this.paths.keys()]) if (one.startsWith(`${path}/`)) this.paths.delete(one);
	}

	#remove(path: string): void {
		this.paths.delete(path);
		this.#removeBelow(path);
	}
}

interface ModelEntry {
	readonly path: string;
	readonly what: "folder" | "whiteout" | "opaque" | `file ${string}`;
}

const part = fc.constantFrom("a", "b", "c");
const modelEntry = fc.record({
	path: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/")),
	what: fc.oneof(
		{ weight: 4, arbitrary: fc.nat(99).map((value): ModelEntry["what"] => `file ${value}`) },
		{ weight: 2, arbitrary: fc.constantFrom<ModelEntry["what"]>("folder", "whiteout", "opaque") },
	),
});

/** Layers that can be: each path means one thing in one, and every folder on the way is spoken of. */
function possible(entries: readonly ModelEntry[]): readonly ModelEntry[] {
	const kept = new Map<string, ModelEntry>();
	for (const entry of entries) {
		const parts = entry.path.split("/");
		const above = parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
		const isFolder = entry.what === "folder" || entry.what === "opaque";
		const isBlocked = above.some((path) => kept.get(path)?.what.startsWith("file"));
		const isAbove = [...kept.keys()].some((path) => path.startsWith(`${entry.path}/`) || path === `${entry.path}!`);
		if (isBlocked || kept.has(entry.path) || (isAbove && !isFolder)) continue;
		for (const path of above) if (!kept.has(path)) kept.set(path, { path, what: "folder" });
		if (entry.what === "whiteout") kept.set(`${entry.path}?`, entry);
		else if (entry.what === "opaque") {
			kept.set(entry.path, { path: entry.path, what: "folder" });
			kept.set(`${entry.path}!`, entry);
		} else kept.set(entry.path, entry);
	}
	return [...kept.values()];
}

const modelLayers = fc.array(fc.array(modelEntry, { maxLength: 8 }).map(possible), { minLength: 1, maxLength: 4 });

function sampleOf({ path, what }: ModelEntry): SampleEntry {
	const cut = path.lastIndexOf("/") + 1;
	if (what === "whiteout") return empty(`${path.slice(0, cut)}.wh.${path.slice(cut)}`);
	if (what === "opaque") return empty(`${path}/.wh..wh..opq`);
	return what === "folder" ? empty(`${path}/`) : file(path, what.slice("file ".length));
}

test("stacks of layers mean what a simple model says, whatever the order in each", () => {
	fc.assert(
		fc.property(modelLayers, fc.infiniteStream(fc.nat()), (layers, randoms) => {
			const model = new Model();
			for (const layer of layers) model.apply(layer);
			const expected = [...model.paths].map(([path, what]) =>
				what === "folder" ? `${path}/` : `${path}=${what.slice("file ".length)}`,
			);
			const tree = flattened(...layers.map((layer) => layer.map(sampleOf)));
			assert.deepEqual([...shown(tree)].sort(), expected.sort());
			const shuffled = layers.map((layer) =>
				layer
					.map((entry) => ({ entry, key: Number(randoms.next().value) }))
					.sort((left, right) => left.key - right.key)
					.map(({ entry }) => sampleOf(entry)),
			);
			assert.deepEqual(linesOf(flattened(...shuffled)), linesOf(tree));
		}),
		{ numRuns: 500 },
	);
});
