import assert from "node:assert/strict";
import { basename } from "node:path";
import test from "node:test";
import { code, codeOnly, files, findLines, linesOf, source, textOf, typescript } from "./tree.ts";

const MEDIAN_LINES = 120;
const P90_LINES = 300;
const MOST_LINES = 500;
const FUNCTION_LINES = 70;
const DOOR_LINES = 20;

/** Names that say nothing of what is inside. */
const EMPTY_NAMES = /^(?:utils?|helpers?|common|misc|managers?|stuff|lib)$/i;

function quantile(sorted: readonly number[], share: number): number {
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

test("files of code are at most 500 lines", () => {
	const long = code.map((path) => ({ path, lines: linesOf(path).length })).filter(({ lines }) => lines > MOST_LINES);
	assert.deepEqual(long, []);
});

test("half of the source files are at most 120 lines, nine in ten at most 300", () => {
	const counts = source.map((path) => linesOf(path).length).sort((a, b) => a - b);
	assert.ok(quantile(counts, 0.5) <= MEDIAN_LINES, `median ${quantile(counts, 0.5)}`);
	assert.ok(quantile(counts, 0.9) <= P90_LINES, `p90 ${quantile(counts, 0.9)}`);
});

test("C functions are at most 70 lines", () => {
	const long = code
		.filter((path) => path.endsWith(".c"))
		.flatMap((path) => {
			let start: number | undefined;
			return linesOf(path).flatMap((line, index) => {
				if (/^(?:\{|[A-Za-z_].*\)\s*\{)\s*$/.test(line)) start = index;
				if (!/^\}\s*$/.test(line) || start === undefined) return [];
				const lines = index - start + 1;
				const at = `${path}:${start + 1}: ${lines} lines`;
				start = undefined;
				return lines > FUNCTION_LINES ? [at] : [];
			});
		});
	assert.deepEqual(long, []);
});

test("names of files and folders are kebab-case and say something", () => {
	const kebab = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/;
	const inFolders = code.filter((path) => /^(?:src|test|bench|guest|web)\//.test(path));
	const bad = inFolders.filter((path) =>
		path.split("/").some((part) => !kebab.test(part) || EMPTY_NAMES.test(part.replace(/\..*$/, ""))),
	);
	assert.deepEqual(bad, []);
});

test("classes, types and functions say something too", () => {
	const empty = /\b(?:class|interface|type|function)\s+\w*(?:Utils?|Helpers?|Misc|Manager)\b/;
	assert.deepEqual(findLines(typescript, empty, codeOnly), []);
});

test("no any, no non-null assertion, no default export, no enum, no namespace", () => {
	assert.deepEqual(findLines(typescript, /(?::|<|\bas)\s*any\b/, codeOnly), []);
	assert.deepEqual(findLines(typescript, /[\w)\]]!(?:[.;,)\]]|$)/, codeOnly), []);
	assert.deepEqual(findLines(typescript, /^export default\b/, codeOnly), []);
	assert.deepEqual(findLines(typescript, /^\s*(?:export\s+)?(?:const\s+)?(?:enum|namespace)\s/, codeOnly), []);
});

test("no check is switched off without a reason", () => {
	assert.deepEqual(findLines(typescript, /@ts-(?:ignore|nocheck)/), []);
	assert.deepEqual(findLines(typescript, /@ts-expect-error\s*$/), []);
	assert.deepEqual(findLines(typescript, /biome-ignore\s+[\w/]+:?\s*$/), []);
});

test("no boolean parameters", () => {
	assert.deepEqual(findLines(source, /(?:[(,]\s*|^\s+)\w+\??:\s*boolean(?:\s*=[^>].*)?\s*[,)]/, codeOnly), []);
});

test("durations have their unit last", () => {
	assert.deepEqual(findLines(source, /\b\w*(?:timeout|duration|delay|interval|elapsed)\??:\s*number\b/i, codeOnly), []);
});

test("every folder's door says what it hides, promises and never does", () => {
	const doors = source.filter((path) => basename(path) === "index.ts");
	assert.ok(doors.length > 0);
	for (const door of doors) {
		const comment = /^\/\*\*[\s\S]*?\*\//.exec(textOf(door))?.[0] ?? "";
		assert.notEqual(comment, "", `${door}: opens with no comment`);
		assert.ok(comment.split("\n").length <= DOOR_LINES, `${door}: its comment is over ${DOOR_LINES} lines`);
		// Folders inside a folder say what they are; the door to others says all four.
		const words = door.split("/").length === 3 ? ["Hides", "Promises", "Never", "Start at"] : [];
		for (const word of words) {
			assert.match(comment, new RegExp(`^ \\* ${word}\\b`, "m"), `${door}: its comment lacks "${word}"`);
		}
	}
});

test("every folder of src has a door", () => {
	const folders = new Set(source.map((path) => path.split("/").slice(0, 2).join("/")));
	assert.deepEqual(
		[...folders].filter((folder) => !files.includes(`${folder}/index.ts`) && folder !== "src/cli"),
		[],
	);
});

test("nothing is left open", () => {
	const open = /\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b|not impl[e]mented|unimpl[e]mented|\bplace[h]older text\b/;
	const written = files.filter((path) => /^(?:src|bin|scripts|bench|test|docs|examples|guest|web)\//.test(path));
	assert.deepEqual(findLines(written, open), []);
});
