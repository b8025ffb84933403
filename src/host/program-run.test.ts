import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { realHost } from "./real-host.ts";

const host = realHost();

describe("run()", () => {
	it("gives the exit code and both outputs", async () => {
		const result = await host.run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"]);
		assert.deepEqual(result, { exitCode: 3, stdout: "out\n", stderr: "err\n" });
	});

	it("never goes through a shell", async () => {
		assert.equal((await host.run(["/bin/echo", "$HOME; ls"])).stdout, "$HOME; ls\n");
	});

	it("feeds input, sets the environment and the folder", async () => {
		const options = { input: "in", environment: { A: "b" }, workingDirectory: "/usr" };
		assert.equal((await host.run(["/bin/sh", "-c", "cat; echo $A; pwd"], options)).stdout, "inb\n/usr\n");
	});

	it("says 127 for a program that isn't there and 128 + N for a signal", async () => {
		assert.equal((await host.run(["/nowhere/x"])).exitCode, 127);
		assert.equal((await host.run(["/bin/sh", "-c", "kill -TERM $$"])).exitCode, 143);
	});

	it("ends a program and its children at the time-out, with 124", async () => {
		const started = performance.now();
		const result = await host.run(["/bin/sh", "-c", "echo early; sleep 100 & sleep 100"], { timeoutMs: 1_500 });
		assert.deepEqual([result.exitCode, result.stdout], [124, "early\n"]);
		assert.ok(performance.now() - started < 60_000);
	});

	it("keeps the first MiB of a flood and lets the program end", async () => {
		const result = await host.run(["/bin/sh", "-c", "head -c 5000000 /dev/zero"]);
		assert.deepEqual([result.exitCode, result.stdout.length], [0, 1024 * 1024]);
	});
});

describe("the machine's files and programs", () => {
	it("are found on PATH and in the sbin folders, never in the working directory", async () => {
		assert.match((await host.findProgram("sh")) ?? "", /^\/.*\/sh$/);
		assert.equal(await host.findProgram("no-such-program-at-all"), undefined);
		assert.equal(await host.findProgram("/etc/passwd"), undefined);
		assert.equal(await host.findProgram("/etc"), undefined);
	});

	it("are read as text up to a MiB, undefined when they can't be", async () => {
		assert.match((await host.readText("/proc/self/status")) ?? "", /^Name:/);
		assert.equal(await host.readText("/nowhere"), undefined);
		assert.equal(await host.readText("/dev/zero"), undefined);
		assert.equal(await host.readText("/"), undefined);
		assert.deepEqual([await host.exists("/"), await host.exists("/nowhere")], [true, false]);
	});
});
