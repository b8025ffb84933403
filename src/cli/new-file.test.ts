import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { digestOf } from "../core/index.ts";
import { writeNewFile } from "./new-file.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-new-file-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const WHOLE = Buffer.from("all of it");
const EXPECTED = { digest: digestOf(WHOLE), bytes: WHOLE.length };
const path = join(directory, "file");

async function* from(...parts: readonly (string | Error | (() => void))[]): AsyncGenerator<Uint8Array> {
	for (const part of parts) {
		if (part instanceof Error) throw part;
		if (typeof part === "string") yield Buffer.from(part);
		else part();
	}
}

test("a file has its name when all of it is there, and is whole then", async () => {
	const nothingYet = () => assert.ok(!existsSync(path));
	await writeNewFile(path, from("all ", nothingYet, "of it", nothingYet), EXPECTED);
	assert.deepEqual(readFileSync(path), WHOLE);
	assert.deepEqual(readdirSync(directory), ["file"]);
	rmSync(path);
	const long = join(directory, "\u{4e2d}".repeat(85));
	await writeNewFile(long, from("all of it"), EXPECTED);
	rmSync(long);
});

test("what is cut off, too much or something else leaves nothing", async () => {
	const asked = { more: "not asked for" };
	const endless = from("all of it", "and more", () => {
		asked.more = "asked for";
	});
	for (const [source, why] of [
		[from("all of"), /not what its digest names/],
		[from("all of us"), /not what its digest names/],
		[from("all ", new Error("the line was cut")), /the line was cut/],
		[endless, /not what its digest names/],
	] as const) {
		await assert.rejects(writeNewFile(path, source, EXPECTED), why);
		assert.deepEqual(readdirSync(directory), []);
	}
	assert.equal(asked.more, "not asked for");
});

test("what is there already stays, also what comes meanwhile, and no link is followed", async () => {
	const target = join(directory, "target");
	symlinkSync(target, path);
	await assert.rejects(writeNewFile(path, from("all of it"), EXPECTED), /is there already/);
	assert.ok(!existsSync(target));
	rmSync(path);
	const meanwhile = () => writeFileSync(path, "mine");
	await assert.rejects(writeNewFile(path, from("all ", meanwhile, "of it"), EXPECTED), /is there already/);
	assert.equal(readFileSync(path, "utf8"), "mine");
	assert.deepEqual(readdirSync(directory), ["file"]);
});
