import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";

const GUEST = join(dirname(dirname(import.meta.dirname)), "guest");
const MOST_LINES = 1500;

test(`the guest says what it does in at most ${MOST_LINES} lines: blank ones, comments and lone braces do not count`, () => {
	const lines = readdirSync(GUEST).flatMap((name) =>
		readFileSync(join(GUEST, name), "utf8")
			.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ""))
			.split("\n")
			.filter((line) => !/^[\s{};]*$/.test(line)),
	);
	assert.ok(lines.length > 0 && lines.length <= MOST_LINES, String(lines.length));
});
