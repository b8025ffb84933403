import assert from "node:assert/strict";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import fc from "fast-check";
import { pack } from "tar-stream";
import { Budget } from "../budget.ts";
import { applyLayer } from "../flatten.ts";
import { Layer } from "../layer.ts";
import { paxRecord, type SampleEntry, sampleEntry, sampleTar } from "../sample-archives.ts";
import { linesOf, randomTrees } from "../sample-trees.ts";
import { DEFAULT_LIMITS, Refusal } from "../source.ts";
import type { ByteStore } from "../stores.ts";
import { type Content, directoryNode, type RootfsNode, type RootfsTree, entriesOf as walk } from "../tree.ts";
import { type TarEntry, TarReader } from "./reader.ts";

function entriesOf(bytes: Buffer, pieces: readonly number[] = []): readonly TarEntry[] {
	const entries: TarEntry[] = [];
	const reader = new TarReader((entry) => entries.push(entry));
	let at = 0;
	for (const size of pieces) {
		reader.push(bytes.subarray(at, at + size));
		at += size;
	}
	reader.push(bytes.subarray(at));
	reader.end();
	return entries;
}

function storeOf(bytes: Buffer): ByteStore {
	return {
		sizeBytes: bytes.length,
		read: (into, offset, length, position) => void bytes.copy(into, offset, position, position + length),
		close: () => {},
	};
}

function treeOf(bytes: Buffer): RootfsTree {
	const layer = new Layer(new Budget(DEFAULT_LIMITS), "plain-names");
	const store = storeOf(bytes);
	for (const entry of entriesOf(bytes)) layer.add(entry, store);
	layer.finish();
	const tree = { root: directoryNode() };
	applyLayer(tree, layer);
	return tree;
}

/** A tree as entries; what is too long for a header goes into an extended one. */
function samplesOf(tree: RootfsTree): readonly SampleEntry[] {
	const firsts = new Map<RootfsNode, string>();
	const types = { file: "0", symlink: "2", "character-device": "3", "block-device": "4", directory: "5", fifo: "6" };
	return [...walk(tree)].map(({ path, node }): SampleEntry => {
		const name = Buffer.from(path === "" ? "./" : path, "latin1");
		const first = firsts.get(node);
		if (first === undefined) firsts.set(node, path);
		const link = Buffer.from(first ?? (node.kind === "symlink" ? node.target : ""), "latin1");
		const { mode, uid, gid, xattrs } = node.meta;
		const attached = xattrs.map(({ name: key, value }) => [`SCHILY.xattr.${key}`, Buffer.from(value)] as const);
		return {
			name,
			type: first === undefined ? types[node.kind] : "1",
			link,
			mode: `${mode.toString(8).padStart(7, "0")}\0`,
			...(node.kind === "file" && first === undefined ? { body: bodyOf(node.content) } : {}),
			...("major" in node ? { device: [node.major, node.minor] as const } : {}),
			pax: {
				path: name,
				uid: String(uid),
				gid: String(gid),
				...(link.length > 0 ? { linkpath: link } : {}),
				...Object.fromEntries(attached),
			},
		};
	});
}

function bodyOf(content: Content): Buffer {
	const bytes = Buffer.alloc(content.sizeBytes);
	content.open().read(bytes, 0, bytes.length);
	return bytes;
}

test("any tree comes out of an archive as it went in", () => {
	fc.assert(
		fc.property(randomTrees, (tree) => {
			// Most devices are refused: flatten.test.ts.
			fc.pre(linesOf(tree).every((line) => !/ (?:block|character)-device /.test(line)));
			assert.deepEqual(linesOf(treeOf(sampleTar(samplesOf(tree)))), linesOf(tree));
		}),
		{ numRuns: 100 },
	);
});

test("it does not matter in which pieces an archive comes", () => {
	const bytes = sampleTar([
		{ name: "a", body: "x".repeat(700) },
		{
			name: "b",
			pax: { path: `${"long/".repeat(60)}b`, "SCHILY.xattr.user.x": Buffer.from([0, 255, 10]) },
			body: "y",
		},
		{ name: "c/" },
	]);
	const whole = entriesOf(bytes);
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 1, max: 1500 }), { maxLength: 20 }), (pieces) => {
			assert.deepEqual(entriesOf(bytes, pieces), whole);
		}),
		{ numRuns: 200 },
	);
});

test("what tar-stream writes is read", async () => {
	const archive = pack();
	archive.entry({ name: `long/${"n".repeat(200)}`, uid: 7, gid: 8, mode: 0o4755 }, "contents");
	archive.entry({ name: "link", type: "symlink", linkname: "t".repeat(150) });
	archive.finalize();
	const [file, link] = entriesOf(await buffer(archive));
	assert.deepEqual(
		[file?.path, file?.uid, file?.gid, file?.mode, file?.sizeBytes],
		[`long/${"n".repeat(200)}`, 7, 8, 0o4755, 8],
	);
	assert.equal(link?.link, "t".repeat(150));
});

test("xattrs are bytes, in either spelling, and that of star wins", () => {
	const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
	const value = Buffer.from([0, 10, 61, 255]);
	const [entry] = entriesOf(
		sampleTar([
			{
				name: "ping",
				pax: {
					"LIBARCHIVE.xattr.user.other%3Dname": value.toString("base64").replace(/=+$/, ""),
					"LIBARCHIVE.xattr.security.capability": "AAAA",
					"SCHILY.xattr.security.capability": capability,
				},
			},
		]),
	);
	assert.deepEqual(
		new Map(entry?.xattrs.map(({ name, value: bytes }) => [name, Buffer.from(bytes).toString("hex")])),
		new Map([
			["security.capability", capability.toString("hex")],
			["user.other=name", value.toString("hex")],
		]),
	);
});

test("what older programs write: GNU's long names, numbers in base 256, version 7 folders", () => {
	const long = `${"deep/".repeat(40)}file`;
	const [gnu, big, folder] = entriesOf(
		Buffer.concat([
			sampleEntry({ name: "././@LongLink", type: "L", body: `${long}\0`, magic: "ustar  \0" }),
			sampleEntry({ name: long, magic: "ustar  \0", body: "x" }),
			sampleEntry({ name: "big", uid: Buffer.from("8000000000200000", "hex"), magic: "ustar  \0" }),
			sampleEntry({ name: "old/", type: "\0", magic: "" }),
		]),
	);
	assert.equal(gnu?.path, long);
	assert.equal(big?.uid, 0x200000);
	assert.equal(folder?.kind, "directory");
});

const GLOBAL = sampleEntry({ name: "g", type: "g", body: paxRecord("comment", Buffer.from("made by")) });

test("a global header that only comments changes nothing", () => {
	assert.equal(entriesOf(Buffer.concat([GLOBAL, sampleTar([{ name: "a" }])])).length, 1);
});

const body = (pax: Record<string, string | Buffer>): SampleEntry => ({ name: "f", body: "x", pax });
const extended = (type: string, contents: string | Buffer): SampleEntry => ({ name: "ext", type, body: contents });
const pathRecord = paxRecord("path", Buffer.from("a"));

const REFUSED: readonly (readonly [string, Buffer, RegExp])[] = [
	["no tar at all", Buffer.alloc(1024, "text"), /checksum/],
	["a wrong checksum", sampleTar([{ name: "a", checksum: "000001\0 " }]), /checksum/],
	["an end in the middle of a header", sampleTar([{ name: "a" }]).subarray(0, 300), /ends in the middle/],
	[
		"an end in the middle of contents",
		sampleTar([{ name: "a", body: "x".repeat(2000) }]).subarray(0, 1500),
		/ends in the middle/,
	],
	["a size beyond the end", sampleTar([{ name: "a", size: "00000100000\0" }]), /ends in the middle/],
	["a size that is negative", sampleTar([{ name: "a", size: Buffer.alloc(12, 0xff) }]), /its size is not a number/],
	["a size that is no number", sampleTar([{ name: "a", size: "-0000000001\0" }]), /its size is not a number/],
	[
		"a size past 2^53",
		sampleTar([{ name: "a", size: Buffer.from("80ffffffffffffffffffffff", "hex") }]),
		/its size is not a number/,
	],
	["a size of an extended header that is no number", sampleTar([body({ size: "-1" })]), /impossible size/],
	["an owner that is no number", sampleTar([body({ uid: "1e3" })]), /impossible uid/],
	["a link with contents", sampleTar([{ name: "a", type: "2", link: "b", body: "hidden" }]), /claims 6 bytes/],
	["a folder with contents", sampleTar([{ name: "a/", body: "hidden" }]), /claims 6 bytes/],
	["a sparse file of GNU", sampleTar([{ name: "a", type: "S" }]), /sparse/],
	["a sparse file in extended headers", sampleTar([body({ "GNU.sparse.major": "1" })]), /sparse/],
	["a type that nobody knows", sampleTar([{ name: "a", type: "Z" }]), /type that is not known/],
	["a volume that goes on elsewhere", sampleTar([{ name: "a", type: "M" }]), /type that is not known/],
	["a NUL in an extended name", sampleTar([body({ path: "a\0b" })]), /impossible path/],
	["an extended header for nothing", sampleEntry(extended("x", pathRecord)), /to come/],
	["an extended header before the end", sampleTar([extended("x", pathRecord)]), /to come/],
	[
		"two extended headers",
		Buffer.concat([sampleEntry(extended("x", pathRecord)), sampleTar([body({ path: "b" })])]),
		/two extended/,
	],
	["two long names", sampleTar([extended("L", "a\0"), extended("L", "b\0")]), /two long names/],
	["an extended header that is damaged", sampleTar([extended("x", "99 path=a\n")]), /damaged/],
	["an extended header without a length", sampleTar([extended("x", " path=a\n")]), /damaged/],
	[
		"an extended header that is endless",
		sampleTar([{ name: "x", type: "x", size: "00010000000\0" }]),
		/its extended header has 2097152 bytes/,
	],
	[
		"a global header that renames",
		Buffer.concat([sampleEntry(extended("g", pathRecord)), sampleTar([{ name: "b" }])]),
		/global header/,
	],
	[
		"an archive after the archive",
		Buffer.concat([sampleTar([{ name: "a" }]), sampleTar([{ name: "b" }])]),
		/follows the end/,
	],
];

for (const [what, bytes, reason] of REFUSED) {
	test(`refused: ${what}`, () => {
		assert.throws(
			() => entriesOf(bytes),
			(error) => error instanceof Refusal && reason.test(error.message),
		);
	});
}

test("mutated archives are read or refused, whatever they hold", () => {
	const honest = sampleTar([
		{ name: "a", body: "x".repeat(600), pax: { "SCHILY.xattr.user.x": "value", size: "600" } },
		{ name: "././@LongLink", type: "K", body: `${"t".repeat(120)}\0` },
		{ name: "l", type: "2", link: "t" },
		{ name: "d/" },
		{ name: "h", type: "1", link: "a" },
	]);
	const mutation = fc.record({ at: fc.nat(honest.length - 1), value: fc.integer({ min: 0, max: 255 }) });
	const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
	fc.assert(
		fc.property(mutations, fc.nat(honest.length), fc.boolean(), (changes, cut, mends) => {
			const bytes = Buffer.from(honest.subarray(0, cut === 0 ? honest.length : cut));
			for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
			if (mends) for (let at = 0; at + 512 <= bytes.length; at += 512) mendChecksum(bytes.subarray(at, at + 512));
			try {
				treeOf(bytes);
			} catch (error) {
				assert.ok(error instanceof Refusal, String(error));
			}
		}),
		{ numRuns: 1500 },
	);
});

/** Without it nearly every mutation ends at a checksum. */
function mendChecksum(header: Buffer): void {
	if (header.toString("latin1", 257, 262) !== "ustar") return;
	header.fill(" ", 148, 156);
	const sum = header.reduce((total, byte) => total + byte, 0);
	header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}
