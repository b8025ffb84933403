import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { commandRows } from "../../src/cli/index.ts";

const directory = join(import.meta.dirname, "help");
const program = join(import.meta.dirname, "../../bin/vouch");
/** Set to 1, the files are written instead of compared: look at what `git diff` then says. */
const UPDATE = "VOUCH_UPDATE_GOLDEN";

/** Words of everything that has help: vouch itself, groups, commands. */
const subjects = [
	...new Set(commandRows.flatMap(({ path }) => ["", ...path.map((_, at) => path.slice(0, at + 1).join(" "))])),
].sort();

const fileOf = (subject: string): string => `${["vouch", ...subject.split(" ")].filter(Boolean).join("-")}.txt`;

function helpOf(subject: string): string {
	const { status, stdout, stderr } = spawnSync(program, [...subject.split(" ").filter(Boolean), "--help"], {
		encoding: "utf8",
	});
	assert.equal(stderr, "");
	assert.equal(status, 0);
	return stdout;
}

for (const subject of subjects) {
	test(`vouch ${subject === "" ? "" : `${subject} `}--help`, () => {
		const help = helpOf(subject);
		const path = join(directory, fileOf(subject));
		if (process.env[UPDATE] === "1") writeFileSync(path, help);
		const known = readFile(path);
		const mend = `If this is meant: ${UPDATE}=1 npm test -- test/golden/help`;
		assert.equal(help, known, `the help is not what ${fileOf(subject)} says. ${mend}`);
	});
}

function readFile(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return "";
	}
}

test("help fits a terminal of 80 columns and ends no line in blanks", () => {
	for (const subject of subjects) {
		const wide = helpOf(subject)
			.split("\n")
			.filter((line) => !/^ {4}\$ /.test(line) && (line.length > 80 || / $/.test(line)));
		assert.deepEqual(wide, [], subject);
	}
});

test("no help is kept of commands that are gone", () => {
	const expected = subjects.map(fileOf);
	const stale = readdirSync(directory).filter((name) => !expected.includes(name));
	if (process.env[UPDATE] === "1") for (const name of stale) rmSync(join(directory, name));
	else assert.deepEqual(stale, []);
});
