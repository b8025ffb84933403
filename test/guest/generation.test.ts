import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

const repository = join(import.meta.dirname, "../..");
const source = (name: string): string => readFileSync(join(repository, "guest", name), "utf8");
const [, generation = ""] = /\bGENERATION = (\d+),/.exec(source("guest.h")) ?? [];

/** What is between the two, without comments, each run of blanks as one. */
function between(text: string, start: string, end: string): string {
	const from = text.indexOf(start);
	const until = text.indexOf(end, from);
	assert.ok(from >= 0 && until > from, `${start} … ${end}`);
	return text
		.slice(from, until)
		.replace(/\/\*[\s\S]*?\*\//g, "")
		.replace(/\s+/g, " ")
		.trim();
}

/** Everything that a host may say to this guest, as its tables have it. */
function tables(): string {
	const [header, frames, records] = ["guest.h", "frame.c", "record.c"].map(source) as [string, string, string];
	return `${[
		between(header, "enum frame_type", "struct frame {"),
		between(frames, "shapes[FRAME_TYPES] = {", "};"),
		between(records, "static const char *const layouts", "};"),
	].join("\n")}\n`;
}

test("the guest, the host and images mean the same generation", () => {
	for (const path of ["src/runtime/guest/protocol.ts", "src/image/guest.ts"]) {
		assert.match(readFileSync(join(repository, path), "utf8"), new RegExp(`GENERATION = ${generation};`), path);
	}
});

test("what a generation has does not change: another table is another generation, with a file of its own", () => {
	const known = readFileSync(join(import.meta.dirname, `generations/${generation}.txt`), "utf8");
	const mend = `Images hold guests that understand generation ${generation} as it was: give this one the next number.`;
	assert.equal(tables(), known, mend);
});
