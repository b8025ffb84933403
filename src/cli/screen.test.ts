import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import test from "node:test";
import fc from "fast-check";
import { paint, printable, table } from "./screen.ts";

test("printable leaves ordinary text as it is", () => {
	for (const text of ["", "npm test", "naïve façade", "日本語", "🦊 fox", "a\\x00b", "path/to: [x] {y}"]) {
		assert.equal(printable(text), text);
	}
});

const HOSTILE: readonly (readonly [what: string, text: string, shown: string])[] = [
	["clearing the screen", "\u001b[2J", "\\x1b[2J"],
	["setting the title", "\u001b]0;x\u0007", "\\x1b]0;x\\x07"],
	["C1 control sequence introducer", "\u009b31m", "\\x9b31m"],
	["writing over a line", "safe\rrm -rf", "safe\\x0drm -rf"],
	["a second line", "one\ntwo", "one\\x0atwo"],
	["a tab", "a\tb", "a\\x09b"],
	["a backspace", "ab\bc", "ab\\x08c"],
	["NUL and DEL", "\0\u007f", "\\x00\\x7f"],
	["right-to-left override", "txt.\u202eexe", "txt.\\u{202e}exe"],
	["isolates", "\u2066x\u2069", "\\u{2066}x\\u{2069}"],
	["zero-width space and joiner", "a\u200bb\u200dc", "a\\u{200b}b\\u{200d}c"],
	["byte order mark", "\ufeffx", "\\u{feff}x"],
	["line and paragraph separators", "a\u2028b\u2029c", "a\\u{2028}b\\u{2029}c"],
	["tag characters", "x\u{e0041}", "x\\u{e0041}"],
	["half a surrogate pair", "x\ud800y", "x\\u{d800}y"],
];

for (const [what, text, shown] of HOSTILE) {
	test(`printable shows ${what} as an escape`, () => {
		assert.equal(printable(text), shown);
	});
}

test("whatever goes in, nothing invisible and no control comes out", () => {
	fc.assert(
		fc.property(fc.string({ unit: "binary" }), (text) => {
			assert.doesNotMatch(printable(text), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
		}),
		{ numRuns: 1000 },
	);
});

test("columns line up, and no line ends in blanks", () => {
	const rows = [["RUN", "ENDING", "COMMAND"], ["0190", "exit 0", "ls"], ["0191ab", "timeout", ""], ["short"]];
	assert.equal(table(rows), ["RUN     ENDING   COMMAND", "0190    exit 0   ls", "0191ab  timeout", "short"].join("\n"));
	assert.equal(table([]), "");
});

test("colour has no width", () => {
	assert.equal(
		table([
			["\u001b[31mred\u001b[0m", "x"],
			["green", "y"],
		]),
		"\u001b[31mred\u001b[0m    x\ngreen  y",
	);
});

test("no line is wider than asked for, coloured or not, and no character is cut in two", () => {
	const cell = fc.oneof(
		fc.string({ maxLength: 30 }),
		fc.string({ unit: fc.constantFrom("🦊", "é", "x"), maxLength: 30 }),
		fc.constantFrom("\u001b[31mrefused\u001b[0m", "\u001b[32mallowed\u001b[0m"),
	);
	const rows = fc.array(
		fc.array(
			cell.map((text) => text.replaceAll("\n", " ")),
			{ maxLength: 4 },
		),
		{ maxLength: 5 },
	);
	fc.assert(
		fc.property(rows, fc.integer({ min: 1, max: 60 }), (cells, width) => {
			for (const line of table(cells, width).split("\n")) {
				// biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are what is taken out here
				const bare = line.replace(/\u001b\[\d+m/g, "");
				assert.ok([...bare].length <= width, JSON.stringify(line));
				assert.doesNotMatch(bare, /\p{Cs}/u);
			}
		}),
	);
});

test("a coloured line that is cut does not colour what follows", () => {
	const line = table([["\u001b[31mrefused\u001b[0m", "x".repeat(50), "\u001b[32mgreen\u001b[0m"]], 20);
	assert.equal(line, `\u001b[31mrefused\u001b[0m  ${"x".repeat(10)}…`);
	assert.equal(table([[`\u001b[31m${"r".repeat(30)}\u001b[0m`]], 10), `\u001b[31m${"r".repeat(9)}…\u001b[0m`);
});

test("colour is for terminals alone, and NO_COLOR is heeded", (context) => {
	const pipe = new PassThrough() as unknown as NodeJS.WriteStream;
	assert.equal(paint("red", "x", pipe), "x");
	const before = { NO_COLOR: process.env.NO_COLOR, TERM: process.env.TERM };
	context.after(() => {
		for (const [name, value] of Object.entries(before)) {
			if (value === undefined) delete process.env[name];
			else process.env[name] = value;
		}
	});
	delete process.env.NO_COLOR;
	process.env.TERM = "xterm";
	const terminal = Object.assign(new PassThrough(), { isTTY: true }) as unknown as NodeJS.WriteStream;
	assert.equal(paint("red", "x", terminal), "\u001b[31mx\u001b[0m");
	process.env.TERM = "dumb";
	assert.equal(paint("red", "x", terminal), "x");
	process.env.TERM = "xterm";
	process.env.NO_COLOR = "1";
	assert.equal(paint("red", "x", terminal), "x");
});
