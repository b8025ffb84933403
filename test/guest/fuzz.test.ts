import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import test, { before, describe } from "node:test";
import fc from "fast-check";
import { frame, hello, TYPE, word } from "./peer.ts";
import { limits, listenerAt, record, setup, u8, u32, u64 } from "./records.ts";

const ROOT = dirname(dirname(import.meta.dirname));
const PARSERS = ["command-line.c", "frame.c", "record.c"].map((name) => join(ROOT, "guest", name));
const HARNESS = join(import.meta.dirname, "fuzz.c");
const PROGRAM = join(ROOT, "build", "test-cache", "guest-fuzz");
const PARSER = { frames: 0, commandLine: 1, records: 2, listeners: 3 } as const;
const SEED = 20_261_121;
const ROOT_HASH = "0123456789abcdef".repeat(4);
const COMMAND_LINE = `console=ttyS0 quiet vouch.rootfs=erofs vouch.verity=1:sha256:4096:490:491:-:${ROOT_HASH}`;

const skip = spawnSync("gcc", ["--version"]).status === 0 ? false : "not installed: gcc";

function build(): void {
	const sources = [...PARSERS, HARNESS, join(ROOT, "guest", "guest.h")];
	const made = statSync(PROGRAM, { throwIfNoEntry: false })?.mtimeMs ?? 0;
	if (sources.every((path) => statSync(path).mtimeMs < made)) return;
	mkdirSync(dirname(PROGRAM), { recursive: true });
	const checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
	const args = [
		"-std=gnu11",
		"-g",
		"-O1",
		"-Wall",
		"-Wextra",
		"-Werror",
		...checks,
		...PARSERS,
		HARNESS,
		"-o",
		PROGRAM,
	];
	const { status, stderr } = spawnSync("gcc", args, { encoding: "utf8" });
	assert.equal(status, 0, stderr);
}

/** One line for each case. A sanitizer's finding ends the program, and its words are the failure. */
function parse(parser: keyof typeof PARSER, cases: readonly Uint8Array[]): readonly string[] {
	const input = cases.flatMap((bytes) => [Buffer.concat([u8(PARSER[parser]), u32(bytes.length)]), bytes]);
	const { status, stdout, stderr } = spawnSync(PROGRAM, {
		input: Buffer.concat(input),
		maxBuffer: 2 ** 28,
		env: { ...process.env, ASAN_OPTIONS: "detect_leaks=1" },
	});
	assert.equal(status, 0, stderr.toString());
	const lines = stdout.toString("latin1").slice(0, -1).split("\n");
	assert.equal(lines.length, cases.length);
	return lines;
}

/** Seeded and therefore the same on every machine. */
function sample(arbitrary: fc.Arbitrary<Uint8Array>, count: number): readonly Uint8Array[] {
	return fc.sample(arbitrary, { numRuns: count, seed: SEED });
}

/** Something valid with a few bytes changed, taken out or put in. */
function mutated(valid: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
	const edit = fc.record({
		at: fc.nat(),
		how: fc.constantFrom("set", "remove", "insert", "cut"),
		bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 6 }), fc.constantFrom(...EXTREMES)),
	});
	return fc.tuple(fc.constantFrom(...valid), fc.array(edit, { minLength: 1, maxLength: 4 })).map(([start, edits]) =>
		edits.reduce<Uint8Array>((now, { at, how, bytes }) => {
			const place = now.length === 0 ? 0 : at % now.length;
			if (how === "cut") return now.subarray(0, place);
			const [skipped, added] = how === "insert" ? [0, bytes] : [bytes.length, how === "set" ? bytes : Buffer.alloc(0)];
			return Buffer.concat([now.subarray(0, place), added, now.subarray(place + skipped)]);
		}, start),
	);
}

const EXTREMES = [0, 1, 0x7fffffff, 0xffffffff, 65536, 65537, 1 << 20, (1 << 20) + 1].map((value) => u32(value));
const VALID_FRAMES = [
	hello(),
	frame(TYPE.data, 4, Buffer.from("some bytes")),
	frame(TYPE.credit, 2, word(4096)),
	Buffer.concat([frame(TYPE.end, 1), frame(TYPE.reset, 16, word(2)), frame(TYPE.ping, 0, Buffer.alloc(64))]),
];
const VALID_RECORDS = [
	setup({ arguments: ["sh", "-c", "exit"] }),
	record("w", u8(1), "/workspace", "serial:vouch-work", "erofs", "index:3", ".git", "protected"),
	record("n", listenerAt("127.0.0.1", 5432), listenerAt("::1", 80)),
	Buffer.concat([record("t", u32(0o1777), u64(1 << 20), "/tmp"), limits(5, 4096, 9, 1)]),
];

describe("the guest's parsers", { skip }, () => {
	before(build);

	test("what is valid is accepted", () => {
		assert.deepEqual(parse("frames", VALID_FRAMES), ["0 1 ", "0 1 ", "0 1 ", "0 3 "]);
		for (const line of parse("records", VALID_RECORDS)) assert.match(line, /^0 [1-9]\d* $/);
		const [accepted] = parse("commandLine", [Buffer.from(COMMAND_LINE)]);
		assert.equal(accepted, `accepted erofs 490 491 - ${ROOT_HASH}`);
		assert.deepEqual(parse("listeners", [listenerAt("127.1.2.3", 65_535), listenerAt("::1", 1)]), ["1", "1"]);
	});

	test("each of these is refused", () => {
		const zeros = "0".repeat(64);
		const lines = [
			"vouch.rootfs=erofs",
			`${COMMAND_LINE} vouch.rootfs=erofs`,
			`${COMMAND_LINE} vouch.verity=`,
			`${COMMAND_LINE} vouch.anything`,
			`"${COMMAND_LINE}"`,
			COMMAND_LINE.replace("erofs", "ext4"),
			COMMAND_LINE.replace("sha256", "sha1"),
			COMMAND_LINE.replace(":491:", ":490:"),
			COMMAND_LINE.replace(":490:", ":0490:"),
			COMMAND_LINE.replace(":491:", ":1099511627777:"),
			COMMAND_LINE.replace(":-:", ":abc:"),
			COMMAND_LINE.replace(":-:", ":a-:"),
			COMMAND_LINE.replace(":-:", `:${zeros}${zeros}00:`),
			COMMAND_LINE.replace(ROOT_HASH, ROOT_HASH.slice(1)),
			COMMAND_LINE.replace(ROOT_HASH, ROOT_HASH.toUpperCase()),
			`${COMMAND_LINE}00`,
		];
		for (const [index, line] of parse(
			"commandLine",
			lines.map((one) => Buffer.from(one)),
		).entries())
			assert.match(line, /^refused /, lines[index] ?? "");
		const paths = [
			"tmp",
			"/tmp/",
			"//tmp",
			"/./tmp",
			"/../tmp",
			"/tmp/..",
			"",
			`/${"a".repeat(256)}`,
			`${"/aaaa".repeat(900)}`,
		];
		const records = [
			...paths.map((path) => record("d", u32(0o755), path)),
			record("d", u32(0o10755), "/tmp"),
			record("k", "/mnt", "serial:", "erofs"),
			record("k", "/mnt", "index:10", "erofs"),
			record("k", "/mnt", "/dev/vda", "erofs"),
			record("k", "/mnt", "index:1", "proc"),
			record("r", u8(0)),
			record("m", u64(1)),
			record("u", u32(1)),
			record("x", u8(0)),
		];
		for (const [index, line] of parse("records", records).entries()) assert.match(line, /^-1 0 /, `record ${index}`);
		const elsewhere = ["10.0.0.1", "0.0.0.0", "::2", "::"].map((address) => listenerAt(address, 80));
		const listeners = [...elsewhere, listenerAt("127.0.0.1", 0), listenerAt("127.0.0.1", 80).subarray(0, -1)];
		for (const [index, line] of parse("listeners", listeners).entries()) assert.equal(line, "0", `listener ${index}`);
	});

	test("random and mutated frames are read without a fault", () => {
		parse("frames", [...sample(fc.uint8Array({ maxLength: 200 }), 20_000), ...sample(mutated(VALID_FRAMES), 40_000)]);
	});

	test("random and mutated setup records are read without a fault", () => {
		parse("records", [...sample(fc.uint8Array({ maxLength: 200 }), 20_000), ...sample(mutated(VALID_RECORDS), 40_000)]);
	});

	test("a command line that was changed is accepted only when it says something sound", () => {
		const cases = sample(mutated([Buffer.from(COMMAND_LINE)]), 40_000);
		const sound = /^accepted (?:erofs|squashfs) [1-9]\d* [1-9]\d* (?:-|(?:[0-9a-f]{2}){1,64}) [0-9a-f]{64}$/;
		for (const line of parse("commandLine", cases)) assert.ok(line.startsWith("refused ") || sound.test(line), line);
	});
});
