import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { SupervisionSpec } from "./host.ts";
import { realHost } from "./real-host.ts";
import { bash, eventually, processesWith, specOf, textOf } from "./supervision-fixture.ts";

/** Runs a spec to its end; what it printed and how it ended. */
async function run(spec: SupervisionSpec, go?: Promise<unknown>, host = realHost()) {
	const supervised = await host.supervise(spec, go);
	supervised.stdin.end();
	supervised.stderr.resume();
	const [stdout, ending] = await Promise.all([textOf(supervised.stdout), supervised.ended]);
	return { stdout, ...ending };
}

describe("a program that waits by itself", () => {
	it("gets one byte on its start descriptor, and no end of it", async () => {
		const take = "dd bs=1 count=1 status=none <&9";
		const { stdout, cause } = await run(
			specOf(bash(`${take} | wc -c; timeout 0.3 ${take}; echo $?`), { startDescriptor: 9 }),
		);
		// 124 is timeout's own: the descriptor is its own writer.
		assert.deepEqual([stdout, cause], ["1\n124\n", "program"]);
	});

	it("has not been started when it ends before it took that byte", async () => {
		const ended = await run(specOf(bash("exit 3"), { startDescriptor: 9 }));
		assert.equal(ended.cause, "failed-to-start");
		assert.match(ended.message ?? "", /ended before the command ran/);
	});
});

describe("a run that is held", () => {
	it("runs nothing before it may go", async () => {
		const { promise: go, resolve } = Promise.withResolvers<void>();
		const mark = `vouch-${randomBytes(6).toString("hex")}`;
		const running = run(specOf(bash(`: ${mark}; date +%s%N`)), go);
		await sleep(300);
		assert.deepEqual(await processesWith(mark), []);
		const letGoMs = Date.now();
		resolve();
		const { stdout, exitCode } = await running;
		assert.equal(exitCode, 0);
		assert.ok(Number(stdout) / 1e6 >= letGoMs);
	});

	it("never runs when what it waits for fails, and leaves nothing", async () => {
		const mark = `vouch-${randomBytes(6).toString("hex")}`;
		const go = sleep(50).then(() => Promise.reject(new Error("no receipt could be kept")));
		const held = run(specOf(bash(`echo ran; sleep 300; : ${mark}`), { startDescriptor: 9 }), go);
		await assert.rejects(held, /no receipt could be kept/);
		assert.ok(await eventually(async () => (await processesWith(mark)).length === 0));
	});
});

it("a supervisor that was started early serves the first run; the next starts its own", async () => {
	const host = realHost();
	host.expectRun();
	await sleep(200);
	for (const word of ["one", "two"]) {
		const { stdout } = await run(specOf(["/bin/echo", word]), undefined, host);
		assert.equal(stdout, `${word}\n`);
	}
});

it("a process that ends or is killed right after it started one leaves neither it nor where they were to meet", async () => {
	for (const end of ["process.exit()", "process.kill(process.pid, 'SIGKILL')", "setTimeout(process.abort, 100)"]) {
		const folder = await mkdtemp(join(tmpdir(), "vouch-early-"));
		const host = join(import.meta.dirname, "real-host.ts");
		const script = `const { realHost } = await import(${JSON.stringify(host)}); realHost().expectRun(); ${end};`;
		spawnSync(process.execPath, ["--input-type=module", "-e", script], { env: { XDG_RUNTIME_DIR: folder } });
		assert.ok(await eventually(async () => (await readdir(folder)).length === 0), end);
		await rm(folder, { recursive: true });
	}
});
