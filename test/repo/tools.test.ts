import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { root } from "./tree.ts";

/** Runs a program of node_modules with this very Node: the system's may be too old for it. */
function runTool(name: string, bin: string, args: readonly string[]): string | undefined {
	const entry = join(root, "node_modules", name, bin);
	const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], { cwd: root, encoding: "utf8" });
	return status === 0 ? undefined : `${stdout}${stderr}`;
}

function binOf(name: string, command: string): string {
	const manifest: { bin: Record<string, string> } = JSON.parse(
		readFileSync(join(root, "node_modules", name, "package.json"), "utf8"),
	);
	return manifest.bin[command] ?? assert.fail(`${name} has no program ${command}`);
}

test("types", () => {
	const wrong = runTool("typescript", binOf("typescript", "tsc"), ["--noEmit"]);
	if (wrong !== undefined) assert.fail(wrong);
});

test("lint and format", () => {
	const wrong = runTool("@biomejs/biome", binOf("@biomejs/biome", "biome"), ["check", "--colors=off", "."]);
	if (wrong !== undefined) assert.fail(wrong);
});
