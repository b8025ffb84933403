import assert from "node:assert/strict";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startProgram } from "./program-run.ts";

test("a started program has its input and output as streams, and its end as a result", async () => {
	const bytes = Buffer.alloc(3 << 20, "some text ");
	const program = startProgram(["cat"]);
	program.stdin.end(bytes);
	assert.ok((await buffer(program.stdout)).equals(bytes));
	assert.deepEqual(await program.ended, { exitCode: 0, stdout: "", stderr: "" });
});

test("its exit code, its signal, what it says, and that it isn't there", async () => {
	const failing = startProgram(["sh", "-c", "echo wrong >&2; exit 3"]);
	failing.stdout.resume();
	assert.deepEqual(await failing.ended, { exitCode: 3, stdout: "", stderr: "wrong\n" });
	const missing = startProgram(["/nonexistent/program"]);
	missing.stdin.write("lost");
	assert.equal((await missing.ended).exitCode, 127);
});

test("interrupted, it ends with all that it started", async () => {
	const stop = new AbortController();
	const program = startProgram(["sh", "-c", "sleep 300 & echo $!; wait"], { signal: stop.signal });
	const [first] = await program.stdout.take(1).toArray();
	const inner = Number(String(first));
	stop.abort();
	assert.equal((await program.ended).exitCode, 137);
	for (let left = 100; left > 0 && isRunning(inner); left -= 1) await sleep(20);
	assert.ok(!isRunning(inner));
});

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}
