import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { RunId } from "../../src/core/index.ts";
import { realHost } from "../../src/host/index.ts";
import { type Driver, prepareRoot } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "./context.ts";
import { removeTrialFolder, type Trial, type TrialResult, tryOut } from "./sandbox.ts";

/** What every driver that isolates must do, whichever way it does it. */
export function testDriver(driver: Driver): void {
	describe(`driver ${driver.name}`, () => {
		let workspace = "";
		before(() => {
			workspace = mkdtempSync(join(tmpdir(), "vouch-workspace-"));
			chmodSync(workspace, 0o755);
			writeFileSync(join(workspace, "given"), "from the host\n");
		});
		after(() => rmSync(workspace, { recursive: true, force: true }));
		const shell = (script: string, rest: Omit<Trial, "argv"> = {}): Promise<TrialResult> =>
			tryOut(driver, {
				argv: ["sh", "-c", script],
				workspace: { source: workspace, access: "read-write" },
				...rest,
			});

		test("the exit code is the command's own", async () => {
			for (const code of [0, 7, 124, 125, 255]) assert.equal((await shell(`exit ${code}`)).ending.exitCode, code);
		});

		test("a signal that ends the command is 128 + N", async () => {
			assert.equal((await shell("kill -TERM $$; sleep 5")).ending.exitCode, 128 + 15);
		});

		test("a command that isn't there fails and says which", async () => {
			const { ending, stderr } = await tryOut(driver, { argv: ["no-such-command"] });
			assert.notEqual(ending.exitCode, 0);
			assert.match(stderr, /no-such-command|No such file/);
		});

		test("arguments arrive as they are", async () => {
			const odd = ["", " ", "--", "-n", "$HOME", "a\nb", "'\"\\", "é", "*"];
			const { stdout } = await tryOut(driver, { argv: ["printf", "%s\\0", ...odd] });
			assert.deepEqual(stdout.toString().split("\0").slice(0, -1), odd);
		});

		test("input and output are passed on byte for byte, and kept apart", async () => {
			// Ctrl-P Ctrl-Q is what podman would take as "detach".
			const bytes = Buffer.alloc(3 * 2 ** 20, Buffer.from([0, 255, 16, 17, 10, 13, 27, 128, 3]));
			const { stdout, stderr, ending } = await shell("cat; printf err >&2", { input: bytes });
			assert.equal(ending.exitCode, 0);
			assert.equal(Buffer.compare(stdout, bytes), 0);
			assert.equal(stderr, "err");
		});

		test("a terminal: its own, of the right size, which follows; keys are bytes; its end is typed", async () => {
			const script = `
				[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && tty && stty size; trap 'echo interrupted' INT; trap 'echo resized' WINCH
				while [ "$(stty size)" = "31 97" ]; do sleep 0.05; done; stty size; stty -echo; printf 'over\n' >&2
				read line; echo "read $line"; echo waiting; sleep 60; cat >/dev/tty; exit 7`;
			const { stdout, stderr, ending } = await shell(script, {
				windowSize: { rows: 31, columns: 97 },
				input: "from-during",
				during: async (run, _plan, _folder, printed) => {
					const until = async (mark: string): Promise<void> => {
						for (let waited = 0; !printed().includes(mark) && waited < 30_000; waited += 20) await delay(20);
						assert.ok(printed().includes(mark), `${mark} in ${JSON.stringify(printed())}`);
					};
					await until("31 97");
					run.resize({ rows: 40, columns: 120 });
					await until("over");
					run.stdin.write("a line\n");
					await until("waiting");
					run.stdin.write("\x03");
					await until("interrupted");
					run.stdin.end("the last, without an end of line");
				},
			});
			const lines = stdout.toString().replaceAll("\r\n", "\n").replaceAll("^C", "");
			const last = "the last, without an end of line";
			assert.match(lines, /^\/dev\/pts\/0\n31 97\n(resized\n)?40 120\nover\nread a line\nwaiting\ninterrupted\n/);
			assert.equal(lines.slice(-last.length), last);
			assert.deepEqual([stderr, ending.exitCode], ["", 7]);
		});

		test("all that is written to a terminal last is kept, and nothing of the one outside is there", async () => {
			const script = "seq 20000; ls -1 /dev/pts; ls -1 /proc/$$/fd; stty -echo raw; (sleep 300 &)";
			const { stdout, ending } = await shell(script, { windowSize: { rows: 24, columns: 80 } });
			assert.equal(
				stdout.toString(),
				`${[...Array(20000).keys(), 20000].slice(1).join("\r\n")}\r\n0\r\nptmx\r\n0\r\n1\r\n2\r\n`,
			);
			assert.equal(ending.exitCode, 0);
		});

		test("closed input is an end of file", async () => {
			assert.equal((await shell("cat | wc -c")).stdout.toString().trim(), "0");
		});

		test("variables: the given ones, the basic ones, and none of Vouch's own", async () => {
			process.env.VOUCH_TEST_LEAK = "leaked";
			const given = { GREETING: "a b=c ' \"", LD_PRELOAD: "/nowhere.so", PATH: "/usr/bin:/bin" };
			const { stdout, ending } = await shell("env", { environment: given });
			delete process.env.VOUCH_TEST_LEAK;
			const lines = stdout.toString().split("\n");
			assert.equal(ending.exitCode, 0);
			for (const [name, value] of Object.entries(given)) assert.ok(lines.includes(`${name}=${value}`), name);
			assert.ok(lines.includes("HOME=/home/vouch"));
			assert.ok(!stdout.includes("leaked"));
			assert.ok(!lines.some((line) => line.startsWith("CONTAINERS_CONF=") || line.startsWith("TERM=")));
		});

		test("values of variables stand neither in the plan nor in any argument list", async () => {
			const seen: string[] = [];
			const { plan } = await shell("sleep 0.3", {
				environment: { TOKEN: "hunter2-hunter2" },
				during: async (run) => {
					await delay(100);
					seen.push(...commandLines());
					await run.ended;
				},
			});
			assert.ok(seen.length > 0);
			assert.ok(!seen.some((line) => line.includes("hunter2-hunter2")));
			assert.ok(!JSON.stringify(plan).includes("hunter2"));
		});

		test("secrets are files below /run/secrets, and stand in no plan", {
			skip: driver.secretFiles !== "shown" && "it takes none",
		}, async () => {
			const script =
				"cd /run/secrets && ls && cat key; touch /run/secrets/x 2>/dev/null || echo fixed; cat /.secrets/* 2>&1";
			const { stdout, plan } = await shell(script, { secrets: { key: "hunter2-hunter2\n", other: "" } });
			assert.match(stdout.toString(), /^key\nother\nhunter2-hunter2\nfixed\ncat: [^\n]*\n$/);
			assert.ok(!JSON.stringify(plan).includes("hunter2"));
		});

		test("what starts held runs nothing until it may, and never when it may not", {
			skip: driver.starts !== "held" && "it starts afterwards",
		}, async () => {
			const mark = join(workspace, "has-run");
			const seen: boolean[] = [];
			const go = delay(300).then(() => seen.push(existsSync(mark)));
			await shell("echo > has-run", { go });
			assert.deepEqual([...seen, existsSync(mark)], [false, true]);
			rmSync(mark);
			const never = Promise.reject(new Error("not today"));
			never.catch(() => {});
			await assert.rejects(shell("echo > has-run", { go: never }), /not today/);
			assert.equal(existsSync(mark), false);
		});

		test("the working directory", async () => {
			mkdirSync(join(workspace, "sub"), { recursive: true });
			assert.equal((await shell("pwd", { workingDirectory: "/workspace/sub" })).stdout.toString(), "/workspace/sub\n");
		});

		test("the workspace is read and written, and what is written belongs to who runs Vouch", async () => {
			const { stdout } = await shell("cat given; echo made > made; mkdir -p d; ls -ld given | cut -d' ' -f3");
			assert.match(stdout.toString(), /^from the host\n/);
			assert.equal(readFileSync(join(workspace, "made"), "utf8"), "made\n");
			assert.match(stdout.toString(), /vouch\n$/);
			rmSync(join(workspace, "made"));
		});

		test("a read-only workspace can't be written", async () => {
			const { ending } = await shell("cat given >/dev/null && ! touch x && ! rm given && ! sh -c '> given'", {
				workspace: { source: workspace, access: "read-only" },
			});
			assert.equal(ending.exitCode, 0);
			assert.deepEqual(existsSync(join(workspace, "x")), false);
			assert.equal(readFileSync(join(workspace, "given"), "utf8"), "from the host\n");
		});

		test("a protected path of the workspace can be neither changed nor moved away", async () => {
			writeFileSync(join(workspace, "kept"), "kept\n");
			const script =
				"cat kept; ! sh -c 'echo x > kept' && ! rm -f kept && ! mv kept other && ! ln -f given kept && touch free";
			const { ending, stdout } = await shell(script, { protected: ["kept"] });
			assert.deepEqual([ending.exitCode, stdout.toString()], [0, "kept\n"]);
			assert.equal(readFileSync(join(workspace, "kept"), "utf8"), "kept\n");
		});

		test("without a workspace there is an empty one, gone with the run", async () => {
			const { stdout, ending } = await shell("ls -A /workspace; touch /workspace/x", { workspace: null });
			assert.deepEqual([stdout.toString(), ending.exitCode], ["", 0]);
		});

		test("a workspace whose name has commas, colons, quotes and spaces", async () => {
			const odd = join(workspace, `a,b:c "d" e'f\\g`);
			mkdirSync(odd, { recursive: true });
			const { ending } = await shell("touch here", { workspace: { source: odd, access: "read-write" } });
			assert.equal(ending.exitCode, 0);
			assert.ok(existsSync(join(odd, "here")));
		});

		test("the root is read-only; home, /tmp, /run and /dev/shm are writable, private and fresh", async () => {
			const script = `
				for d in / /usr /usr/bin /etc /bin /var /proc/sys/kernel; do touch $d/vouch-x 2>/dev/null && echo "wrote $d"; done
				for d in /tmp /run /home/vouch /dev/shm; do
					[ -z "$(ls -A $d | grep -vx podman-init)" ] || echo "$d is not empty"; echo x > $d/x || echo "can't write $d"; done; exit 0`;
			for (const _ of [1, 2]) assert.equal((await shell(script)).stdout.toString(), "");
		});

		test("a memory bomb ends and the host says why", async () => {
			const { ending } = await shell("head -c 400m /dev/zero | tail -c 390m | wc -c >/dev/null; exit 0", {
				limits: { memoryMiB: 64 },
			});
			// tail dies, the shell may go on: what counts is that 390 MiB were never held.
			const peak = await shell("head -c 400m /dev/zero | tail -c 390m | wc -c", { limits: { memoryMiB: 64 } });
			assert.notEqual(peak.stdout.toString().trim(), String(390 * 2 ** 20));
			assert.ok(ending.exitCode !== null || ending.signal !== null);
		});

		test("processes are limited", async () => {
			const script =
				"i=0; while [ $i -lt 60 ]; do sleep 2 & i=$((i+1)); done 2>/dev/null; jobs -p | wc -l; kill $(jobs -p)";
			const { stdout, stderr } = await shell(script, { limits: { processes: 16 } });
			const started = Number(stdout.toString().trim().split("\n")[0] || "0");
			assert.ok(started < 16, `${started} started ${stderr}`);
		});

		test("open files are limited", async () => {
			assert.equal((await shell("ulimit -Hn", { limits: { openFiles: 77 } })).stdout.toString(), "77\n");
		});

		test("one file, and each scratch folder, is limited by the disk limit", async () => {
			const script = `
				head -c 30m /dev/zero > /workspace/big 2>/dev/null; wc -c < /workspace/big
				head -c 30m /dev/zero > /tmp/a 2>/dev/null; rm -f /tmp/a
				for i in 1 2 3 4 5 6 7 8; do head -c 6m /dev/zero > /tmp/$i 2>/dev/null; done; cat /tmp/[1-8] | wc -c`;
			const { stdout } = await shell(script, { limits: { diskWriteMiB: 8 } });
			const [file, scratch] = stdout.toString().trim().split("\n").map(Number);
			assert.ok((file ?? 0) <= 8 * 2 ** 20, `file ${file}`);
			// The run may be ended by the disk watch before it has counted; then there is nothing to compare.
			assert.ok((scratch ?? 0) <= 8 * 2 ** 20, `scratch ${scratch}`);
			rmSync(join(workspace, "big"), { force: true });
		});

		test("many files past the disk limit end the run", async () => {
			const script =
				"i=0; while [ $i -lt 400 ]; do head -c 1m /dev/zero > f$i; sync f$i; i=$((i+1)); done; echo finished";
			const { stdout, ending } = await shell(script, { limits: { diskWriteMiB: 16 } });
			assert.equal(stdout.toString(), "");
			assert.equal(ending.cause, "disk-write-limit");
			for (const name of readdirSync(workspace)) if (/^f\d+$/.test(name)) rmSync(join(workspace, name));
		});

		test("CPU time is limited", async () => {
			const uptime = "cut -d' ' -f1 /proc/uptime";
			const spin = `${uptime}; timeout 1 sh -c 'while :; do :; done'; times | tail -1; ${uptime}`;
			const { stdout } = await shell(spin, { limits: { cpuMillicores: 200 } });
			const [, from, minutes, seconds, to] = /^(\S+)\n(\d+)m([\d.]+)s.*\n(\S+)\n$/.exec(stdout.toString()) ?? [];
			assert.ok(Number(minutes) * 60 + Number(seconds) < 0.6 * (Number(to) - Number(from)), stdout.toString());
		});

		test("a kill ends everything at once, orphans and those who ignore signals too", async () => {
			const started = performance.now();
			const { ending } = await shell("trap '' TERM INT HUP; (setsid sleep 300 &) ; sleep 300 & echo up; wait", {
				during: async (run, _plan, _folder, printed) => {
					while (!printed().includes("up")) await delay(20);
					run.kill();
				},
			});
			assert.equal(ending.cause, "killed");
			assert.ok(performance.now() - started < 60_000);
		});

		test("orphans end with the command", async () => {
			const started = performance.now();
			await shell("(setsid sh -c 'sleep 300' </dev/null >/dev/null 2>&1 &); exit 0");
			assert.ok(performance.now() - started < 60_000);
		});

		test("a signal reaches a command that handles it", async () => {
			const { stdout } = await shell("trap 'echo caught; exit 9' TERM; echo up; while :; do sleep 0.05; done", {
				during: async (run, _plan, _folder, printed) => {
					while (!printed().includes("up")) await delay(20);
					run.signal("SIGTERM");
				},
			});
			assert.equal(stdout.toString(), "up\ncaught\n");
		});

		test("an image is the whole root: its files, read-only, and nothing of the host's", async () => {
			const image = join(workspace, "image");
			makeImage(image);
			const options = { cacheDirectory: join(workspace, "cache"), host: realHost() };
			const root = driver.roots.includes("folder")
				? await prepareRoot(image, options)
				: await (await import("./machine-image.ts")).imageOf(image, "smallest");
			const script = "cat /etc/image-file; ls /; touch /data/x /etc/x /bin/x; id -un; touch /tmp/x ~/x && echo ok";
			const { stdout, stderr } = await shell(script, { root, workspace: null });
			const lines = stdout.toString().trim().split("\n");
			assert.equal(lines[0], "from the image", stderr);
			assert.deepEqual(
				lines.slice(1, -2).filter((name) => name !== "sys" && !name.startsWith("lib")),
				["bin", "data", "dev", "etc", "home", "proc", "run", "tmp", "workspace"],
			);
			assert.deepEqual(lines.slice(-2), ["vouch", "ok"]);
			if (root.kind === "image") return;
			assert.equal((await prepareRoot(image, options)).digest, root.digest, "the run left it as it was");
		});

		test("exposed folders are seen read-only at their own path", async () => {
			const exposed = mkdtempSync(join(tmpdir(), "vouch-exposed-"));
			writeFileSync(join(exposed, "tool"), "tool\n");
			chmodSync(exposed, 0o755);
			const { stdout } = await shell(`cat ${exposed}/tool; touch ${exposed}/x; ls ${exposed}`, { exposed: [exposed] });
			assert.equal(stdout.toString(), "tool\ntool\n");
			rmSync(exposed, { recursive: true });
		});

		for (const [what, victims] of [
			["Vouch", "vouch"],
			["Vouch and its supervisor", "both"],
		] as const) {
			test(`kill -9 of ${what} leaves nothing running, and recovery removes the rest`, async () => {
				const mark = String(100_000 + Math.floor(Math.random() * 900_000));
				const { child, started } = await abandon(driver, mark);
				if (victims === "both") process.kill(started.supervisorPid, "SIGKILL");
				child.kill("SIGKILL");
				const running = () => commandLines().filter((line) => line.includes(`sleep ${mark}`));
				// Without its supervisor a container's own monitor lives on: that is what recovery is for.
				if (victims === "both") await driver.recover(started.runId, realHost(), TEST_CONTEXT);
				for (let waited = 0; running().length > 0 && waited < 60_000; waited += 50) await delay(50);
				assert.deepEqual(running(), []);
				for (let waited = 0; started.groups.some(existsSync) && waited < 60_000; waited += 50) await delay(50);
				await driver.recover(started.runId, realHost(), TEST_CONTEXT);
				assert.deepEqual(started.groups.filter(existsSync), []);
				assert.equal(
					await driver.recover(started.runId, realHost(), TEST_CONTEXT),
					false,
					"nothing is left to recover",
				);
				removeTrialFolder(started.runDirectory);
			});
		}

		test("nothing is left: processes, mounts, control groups", async () => {
			const mountsBefore = readFileSync("/proc/self/mounts", "utf8");
			const { plan } = await shell("(setsid sleep 300 &); sleep 0.1", {
				limits: { memoryMiB: 64, processes: 32, cpuMillicores: 1000 },
			});
			assert.deepEqual(
				plan.supervision.controlGroups.filter(({ path }) => existsSync(path)),
				[],
			);
			assert.equal(readFileSync("/proc/self/mounts", "utf8"), mountsBefore);
			assert.deepEqual(
				commandLines().filter((line) => line.includes(plan.runId)),
				[],
			);
		});
	});
}

/** The smallest root that runs a shell script: a few programs of this machine with the libraries they name. */
function makeImage(image: string): void {
	for (const name of ["bin", "etc", "data", "home/someone"]) mkdirSync(join(image, name), { recursive: true });
	for (const name of ["sh", "cat", "ls", "touch", "id"]) {
		copyFileSync(join("/bin", name), join(image, "bin", name));
		const libraries = execFileSync("ldd", [join("/bin", name)], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
		for (const library of libraries) {
			mkdirSync(join(image, dirname(library)), { recursive: true });
			copyFileSync(library, join(image, library));
		}
	}
	writeFileSync(join(image, "etc", "image-file"), "from the image\n");
	writeFileSync(join(image, "etc", "passwd"), "root:x:0:0::/:/bin/sh\n");
}

interface Started {
	readonly runId: RunId;
	readonly supervisorPid: number;
	readonly groups: readonly string[];
	readonly runDirectory: string;
}

/** A run of another process, which the test may kill. */
async function abandon(driver: Driver, mark: string): Promise<{ child: ChildProcess; started: Started }> {
	const script = fileURLToPath(new URL("abandoned-run.ts", import.meta.url));
	const child = spawn(process.execPath, [script, driver.name, mark], { stdio: ["ignore", "pipe", "inherit"] });
	for await (const chunk of child.stdout) return { child, started: JSON.parse(String(chunk)) as Started };
	throw new Error("the run did not start");
}

/** The command lines of every process on the machine. */
export function commandLines(): readonly string[] {
	return readdirSync("/proc")
		.filter((name) => /^\d+$/.test(name))
		.flatMap((name) => {
			try {
				return [readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ")];
			} catch {
				return [];
			}
		});
}
