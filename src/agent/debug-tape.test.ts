import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import type { Lease } from "../api/conduits/schema.ts";
import { DebugTape } from "./debug-tape.ts";

const lease = {
	directive_id: "d1",
	spec: { facility: { id: "f1" }, sandbox_profile: "untrusted" },
} as Pick<Lease, "directive_id" | "spec">;

test("one line for each event; a full file becomes the one before, and no more are kept", (context) => {
	const folder = mkdtempSync(join(tmpdir(), "vouch-tape-"));
	context.after(() => rmSync(folder, { recursive: true }));
	const path = join(folder, "tape.jsonl");
	const tape = new DebugTape(path, 400, () => 0);
	const linesOf = (file: string) =>
		readFileSync(file, "utf8")
			.trimEnd()
			.split("\n")
			.map((line) => JSON.parse(line));
	tape.note("driver_selected", lease, { driver: "bwrap" });
	assert.deepEqual(linesOf(path), [
		{
			ts: "1970-01-01T00:00:00.000Z",
			directive_id: "d1",
			facility_id: "f1",
			profile: "untrusted",
			driver: "bwrap",
			event: "driver_selected",
		},
	]);
	assert.equal(statSync(path).mode & 0o777, 0o600);
	for (let at = 0; at < 20; at++) tape.note("heartbeat_error", lease, { detail: String(at) });
	for (const file of [path, `${path}.1`]) assert.ok(statSync(file).size <= 400, file);
	assert.deepEqual([...linesOf(`${path}.1`), ...linesOf(path)].map(({ detail }) => detail).at(-1), "19");
});
