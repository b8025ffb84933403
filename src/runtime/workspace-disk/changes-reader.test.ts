import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VouchError } from "../../core/index.ts";
import {
	END,
	file,
	folder,
	link,
	opaque,
	recordBytes,
	removed,
	type SentRecord,
	streamBytes,
} from "./changes-fixture.ts";
import { ChangesReader, DEFAULT_CHANGE_LIMITS } from "./changes-reader.ts";

const LIMITS = { ...DEFAULT_CHANGE_LIMITS, maxEntries: 1000, maxTotalBytes: 1 << 20, maxPathBytes: 1 << 16 };

function read(bytes: Buffer, pieceBytes = bytes.length): { reader: ChangesReader; contents: Buffer } {
	const pieces: Buffer[] = [];
	const reader = new ChangesReader(LIMITS, (part) => pieces.push(Buffer.from(part)));
	for (let offset = 0; offset < bytes.length; offset += pieceBytes)
		reader.push(bytes.subarray(offset, offset + pieceBytes));
	reader.finish();
	return { reader, contents: Buffer.concat(pieces) };
}

function codeOf(bytes: Buffer): string {
	try {
		read(bytes);
		return "read";
	} catch (error) {
		if (error instanceof VouchError) return error.code;
		throw error;
	}
}

test("the same records come out however the stream is cut", () => {
	const sent = [
		folder("a"),
		file("a/one", "1"),
		opaque("a/b"),
		file("a/b/two", "22"),
		link("a/l", "../x"),
		file("empty", ""),
		removed("gone"),
	];
	for (const pieceBytes of [1, 3, 24, 25, 1000]) {
		const { reader, contents } = read(streamBytes(sent), pieceBytes);
		assert.deepEqual(
			reader.records.map(({ kind, name, depth, offset, sizeBytes, target }) => [
				kind,
				name,
				depth,
				offset,
				sizeBytes,
				target,
			]),
			[
				["folder", "a", 0, 0, 0, ""],
				["file", "one", 1, 0, 1, ""],
				["opaque-folder", "b", 1, 1, 0, ""],
				["file", "two", 2, 1, 2, ""],
				["link", "l", 1, 3, 0, "../x"],
				["file", "empty", 0, 3, 0, ""],
				["removed", "gone", 0, 3, 0, ""],
			],
		);
		assert.equal(contents.toString(), "122");
	}
});

/** Each is a whole stream, and each must be refused before anything is done. */
const MALFORMED: readonly (readonly [string, readonly SentRecord[]])[] = [
	["a path that climbs", [file("../outside")]],
	["a path that climbs in the middle", [folder("a"), file("a/../../outside")]],
	["an absolute path", [file("/etc/passwd")]],
	["a zero byte in a path", [file("a\0b")]],
	["an empty path", [file("")]],
	["a whiteout of .", [removed(".")]],
	["a whiteout of ..", [removed("..")]],
	["the root made opaque", [opaque("")]],
	["the root made opaque as .", [opaque(".")]],
	["a doubled slash", [folder("a"), file("a//b")]],
	["a slash at the end", [folder("a/")]],
	["a name of 256 bytes", [file("n".repeat(256))]],
	["a path below no folder", [file("a/b")]],
	["a path below a link", [link("a", "/etc"), file("a/passwd")]],
	["a path below a file", [file("a"), file("a/b")]],
	["a path below a removed entry", [removed("a"), file("a/b")]],
	["a path below a folder that was left", [folder("a"), file("b"), file("a/c")]],
	["a path below another folder with the same name", [folder("a"), folder("a/x"), folder("b"), file("b/x/c")]],
	["one path twice", [file("a"), file("a")]],
	["one folder twice", [folder("a"), file("b"), folder("a")]],
	["a file, then a link of that name", [file("a"), link("a", "/etc")]],
	["an unknown kind", [{ kind: "B", path: "dev" }]],
	["a reserved byte", [{ ...file("a"), reserved: 1 }]],
	["a folder with contents", [{ ...folder("a"), size: 1n }]],
	["a whiteout with contents", [{ ...removed("a"), size: 2n ** 40n }]],
	["a size beyond all numbers", [{ ...file("a"), size: 2n ** 64n - 1n }]],
	["a link to nothing", [link("a", "")]],
	["a link of 4096 bytes", [link("a", "l".repeat(4096))]],
	["a link with a zero byte", [link("a", "b\0c")]],
];

for (const [what, records] of MALFORMED) {
	test(`refused: ${what}`, () => assert.equal(codeOf(streamBytes(records)), "changes-malformed"));
}

test("bytes after the end and an end with contents are refused", () => {
	assert.equal(codeOf(Buffer.concat([streamBytes([file("a")]), Buffer.from([0])])), "changes-malformed");
	assert.equal(codeOf(recordBytes({ ...END, size: 1n })), "changes-malformed");
	assert.equal(codeOf(recordBytes({ ...END, path: "a" })), "changes-malformed");
	assert.equal(codeOf(recordBytes({ ...END, mode: 1 })), "changes-malformed");
});

test("a stream that claims more than it brings is one that was cut short", () => {
	assert.equal(codeOf(recordBytes({ ...file("a", "abc"), size: 100n })), "changes-cut-short");
	assert.equal(codeOf(recordBytes(file("a"))), "changes-cut-short");
	assert.equal(codeOf(Buffer.alloc(0)), "changes-cut-short");
	const whole = streamBytes([folder("a"), file("a/b", "contents"), link("a/c", "target")]);
	for (let bytes = 0; bytes < whole.length; bytes += 1)
		assert.equal(codeOf(whole.subarray(0, bytes)), "changes-cut-short", `${bytes} bytes`);
});

test("entries, bytes and paths are bounded", () => {
	const many = Array.from({ length: 1001 }, (_, index) => file(`f${index}`, ""));
	assert.equal(codeOf(streamBytes(many)), "changes-too-large");
	assert.equal(codeOf(streamBytes([{ ...file("a", ""), size: 2n ** 21n }])), "changes-too-large");
	assert.equal(codeOf(streamBytes([file("a", Buffer.alloc(2 ** 20)), file("b", "1")])), "changes-too-large");
	const long = Array.from({ length: 300 }, (_, index) => file(`${index}${"x".repeat(250)}`, ""));
	assert.equal(codeOf(streamBytes(long)), "changes-too-large");
});

test("names that are not text keep their bytes", () => {
	const { reader } = read(streamBytes([file("\xff\xfe\x80"), link("l\xe9", "\xff/\x01")]));
	assert.deepEqual(
		reader.records.map(({ name, target }) => [name, target]),
		[
			["\xff\xfe\x80", ""],
			["l\xe9", "\xff/\x01"],
		],
	);
});

const anyRecord: fc.Arbitrary<SentRecord> = fc.record(
	{
		kind: fc.constantFrom("F", "D", "O", "L", "X", "S", "E", "\0", "f"),
		path: fc.oneof(
			fc
				.array(fc.constantFrom("a", "b", "..", ".", "", "\0", "\xff"), { maxLength: 4 })
				.map((parts) => parts.join("/")),
			fc.string({ maxLength: 20 }),
		),
		contents: fc.string({ maxLength: 30 }),
		mode: fc.nat({ max: 0xffffffff }),
		size: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
		modifiedNs: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
		reserved: fc.constantFrom(0, 0, 0, 255),
	},
	{ requiredKeys: ["kind"] },
);

test("whatever comes, it is read or refused for a reason, and a path that was read is a plain one", () => {
	const bytes = fc.oneof(
		fc.array(anyRecord, { maxLength: 12 }).map((records) => streamBytes(records)),
		fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
	);
	fc.assert(
		fc.property(bytes, fc.integer({ min: 1, max: 40 }), (stream, pieceBytes) => {
			const reader = new ChangesReader(LIMITS, () => {});
			try {
				for (let offset = 0; offset < stream.length; offset += pieceBytes)
					reader.push(stream.subarray(offset, offset + pieceBytes));
				reader.finish();
			} catch (error) {
				assert.ok(error instanceof VouchError, String(error));
			}
			for (const { name, mode } of reader.records) {
				assert.ok(name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name));
				assert.ok(mode <= 0o7777);
			}
		}),
		{ numRuns: 2000 },
	);
});
