import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { realHost } from "./real-host.ts";
import { bash, eventually, processesWith, runToEnd, specOf } from "./supervision-fixture.ts";

const mark = () => `vouch-${randomBytes(6).toString("hex")}`;

describe("a supervised program", () => {
	it("ends with its own exit code", async () => {
		for (const code of [0, 1, 3, 126, 255]) {
			const run = await runToEnd(specOf(bash(`exit ${code}`)));
			assert.deepEqual([run.exitCode, run.signal, run.cause, run.message], [code, null, "program", null]);
		}
	});

	it("ends with the signal that ended it", async () => {
		const run = await runToEnd(specOf(bash("kill -SEGV $$")));
		assert.deepEqual([run.exitCode, run.signal, run.cause], [null, "SIGSEGV", "program"]);
	});

	it("gets exactly the environment, folder and words it was given", async () => {
		const run = await runToEnd(specOf(["/usr/bin/printf", "%s|", "", " a b ", "ü\n"]));
		assert.equal(run.stdout, "| a b |ü\n|");
		const env = await runToEnd(specOf(["/usr/bin/env", "-0"], { environment: { EMPTY: "", LINES: "a\nb" } }));
		assert.equal(env.stdout, "EMPTY=\0LINES=a\nb\0");
		assert.equal((await runToEnd(specOf(["/bin/pwd"], { workingDirectory: "/usr" }))).stdout, "/usr\n");
	});

	it("is found on the PATH that it will see itself", async () => {
		assert.equal((await runToEnd(specOf(["echo", "x"], { environment: { PATH: "/usr/bin" } }))).stdout, "x\n");
		const missing = await runToEnd(specOf(["echo"], { environment: { PATH: "/nowhere" } }));
		assert.equal(missing.cause, "failed-to-start");
	});

	it("has real pipes, which it can open again by name, and no other descriptor", async () => {
		const run = await runToEnd(
			specOf(bash("echo out > /dev/stdout; echo err > /dev/stderr; ls /proc/self/fd | tr '\\n' ' '")),
		);
		assert.equal(run.stderr, "err\n");
		// 3 is the folder that ls itself reads.
		assert.equal(run.stdout, "out\n0 1 2 3 ");
	});

	it("says why it could not be started, and does not start", async () => {
		const cases = [
			[specOf(["/nowhere/program"]), "/nowhere/program could not be started: No such file or directory."],
			[specOf(["/bin/true"], { workingDirectory: "/nowhere" }), "The working directory /nowhere could not be entered"],
			[specOf(["/etc/passwd"]), "/etc/passwd could not be started: Permission denied."],
			[specOf(["/bin/true"], { resourceLimits: [{ name: "NONSENSE", value: 1 }] }), "malformed"],
		] as const;
		for (const [spec, sentence] of cases) {
			const run = await runToEnd(spec);
			assert.equal(run.cause, "failed-to-start");
			assert.equal(run.exitCode, null);
			assert.ok(run.message?.includes(sentence), `${run.message}`);
		}
	});

	it("is refused when a word holds a NUL, instead of getting half of it", async () => {
		await assert.rejects(realHost().supervise(specOf(["/bin/echo", "a\0b"])), /NUL/);
	});

	it("reads its input to the end and writes all its output, however slowly that is read", async () => {
		const bytes = randomBytes(8 << 20);
		const run = await realHost().supervise(specOf(["/bin/cat"]));
		run.stdin.end(bytes);
		const hash = createHash("sha256");
		let size = 0;
		for await (const part of run.stdout) {
			hash.update(part);
			size += part.length;
			if (size % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
		}
		assert.equal(size, bytes.length);
		assert.equal(hash.digest("hex"), createHash("sha256").update(bytes).digest("hex"));
		assert.equal((await run.ended).exitCode, 0);
	});

	it("waits when nobody reads its output", async () => {
		const folder = await mkdtemp(join(tmpdir(), "vouch-test-"));
		const run = await realHost().supervise(specOf(bash(`head -c 8388608 /dev/zero; echo done > ${folder}/done`)));
		await new Promise((resolve) => setTimeout(resolve, 200));
		await assert.rejects(readFile(`${folder}/done`));
		run.stdout.resume();
		assert.equal((await run.ended).exitCode, 0);
		assert.equal(await readFile(`${folder}/done`, "utf8"), "done\n");
		await rm(folder, { recursive: true });
	});

	it("does not break its caller by not reading its input", async () => {
		const run = await runToEnd(specOf(["/bin/true"]), (started) => started.stdin.end(Buffer.alloc(4 << 20)));
		assert.equal(run.exitCode, 0);
	});

	it("reads the bytes of its descriptors from their start, and cannot write them", async () => {
		const bytes = randomBytes(300_000);
		const run = await runToEnd(
			specOf(bash("sha256sum <&9; cat <&200; (echo x >&9) 2>/dev/null || echo read-only; ls /proc/self/fd | wc -l"), {
				descriptors: [
					{ fd: 9, bytes },
					{ fd: 200, bytes: Buffer.from("two\n") },
				],
			}),
		);
		const digest = createHash("sha256").update(bytes).digest("hex");
		assert.equal(run.stdout, `${digest}  -\ntwo\nread-only\n6\n`);
	});

	it("runs under the limits it was given, hard and soft", async () => {
		const run = await runToEnd(
			specOf(bash("ulimit -Sn; ulimit -Hn; ulimit -Hf; ulimit -Hc"), {
				resourceLimits: [
					{ name: "NOFILE", value: 77 },
					{ name: "FSIZE", value: 1024 * 5 },
					{ name: "CORE", value: 0 },
				],
			}),
		);
		assert.equal(run.stdout, "77\n77\n5\n0\n");
	});

	it("takes everything that it started with it", async () => {
		const name = mark();
		// A child, a grandchild in a session of its own, and one that was orphaned twice.
		const sleeper = `bash -c 'exec -a ${name} sleep 1000'`;
		const script = `${sleeper} & setsid ${sleeper} & (setsid bash -c "${sleeper} & (${sleeper} &)" &); until [ "$(pgrep -fc '^${name}')" = 4 ]; do sleep 0.05; done; exit 4`;
		const run = await runToEnd(specOf(bash(script)));
		assert.equal(run.exitCode, 4);
		assert.deepEqual(await processesWith(name), []);
		assert.ok(await eventually(async () => !(await realHost().exists(`/proc/${run.supervisorPid}`))));
	});

	it("dies at once by kill(), with all that ignores signals", async () => {
		const name = mark();
		const started = performance.now();
		const run = await runToEnd(
			specOf(bash(`trap '' TERM INT HUP; (exec -a ${name} sleep 1000)& sleep 1000`)),
			(live) => {
				setTimeout(() => live.kill(), 100);
			},
		);
		assert.deepEqual([run.cause, run.signal], ["killed", "SIGKILL"]);
		assert.ok(performance.now() - started < 60_000);
		assert.deepEqual(await processesWith(name), []);
	});

	it("gets signals itself, or what runs inside it does", async () => {
		const own = await runToEnd(
			specOf(bash("trap 'echo got; exit 7' USR1; echo ready; while :; do sleep 0.05; done")),
			(live) => {
				live.stdout.once("data", () => live.signal("SIGUSR1"));
			},
		);
		assert.deepEqual([own.exitCode, own.stdout], [7, "ready\ngot\n"]);
		const inner = "trap 'echo inside; exit 9' USR1; echo ready; while :; do sleep 0.05; done";
		const outer = `trap 'echo outside' USR1; bash -c "${inner}"; echo $?`;
		const descendants = await runToEnd(specOf(bash(outer), { signalTarget: "descendants" }), (live) => {
			live.stdout.once("data", () => live.signal("SIGUSR1"));
		});
		assert.match(descendants.stdout, /inside\n9\n$/);
		assert.doesNotMatch(descendants.stdout, /outside/);
	});

	it("gets a signal that came before there was anybody inside to take it", async () => {
		// The builtin waits without a process of its own; only then comes somebody that the signal is for.
		const script = "read -t 0.3; bash -c 'sleep 30'; echo $?";
		const run = await runToEnd(specOf(bash(script), { signalTarget: "descendants" }), (live) => live.signal("SIGTERM"));
		assert.equal(run.stdout, "143\n");
	});

	it("gets signals inside bwrap's process-id namespace, and bwrap itself does not", async (test) => {
		const bwrap = await realHost().findProgram("bwrap");
		if (bwrap === undefined) return test.skip("bubblewrap is not installed");
		const inner = "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
		const argv = [bwrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc"] as const;
		const spec = specOf([...argv, "--", ...bash(inner)], { signalTarget: "descendants" });
		const run = await runToEnd(spec, (live) => {
			live.stdout.once("data", () => live.signal("SIGTERM"));
		});
		assert.deepEqual([run.exitCode, run.stdout], [7, "ready\ngot\n"], run.stderr);
	});

	it("is ended for writing too much to a disk", async () => {
		const folder = await mkdtemp(join(process.cwd(), "build", "disk-"));
		try {
			const writer = `dd if=/dev/zero of=${folder}/x bs=1M count=64 conv=fsync 2>/dev/null; sleep 30`;
			const run = await runToEnd(specOf(bash(`bash -c '${writer}'; exit 0`), { diskWriteBytes: 16 << 20 }));
			if (run.cause !== "disk-write-limit") assert.fail(`ended for ${run.cause}`);
			const below = await runToEnd(specOf(bash(`echo x > ${folder}/y; sleep 0.3`), { diskWriteBytes: 16 << 20 }));
			assert.equal(below.cause, "program");
		} finally {
			await rm(folder, { recursive: true });
		}
	});

	it("is followed by its afterwards commands, however it ended", async () => {
		const folder = await mkdtemp(join(tmpdir(), "vouch-test-"));
		const afterwards = [["/usr/bin/touch", join(folder, "after")]] as const;
		for (const argv of [bash("exit 1"), ["/nowhere"] as const]) {
			await runToEnd(specOf(argv, { afterwards }));
			assert.equal(await realHost().exists(join(folder, "after")), true);
			await rm(join(folder, "after"));
		}
		await rm(folder, { recursive: true });
	});

	it("runs below a wrapper, and names one that is missing", async () => {
		const run = await runToEnd(specOf(bash("echo $WRAPPED; exit 5"), { wrapper: ["/usr/bin/env", "A=b"] }));
		assert.equal(run.exitCode, 5);
		await assert.rejects(realHost().supervise(specOf(["/bin/true"], { wrapper: ["/nowhere/wrapper"] })), /nowhere/);
	});
});
