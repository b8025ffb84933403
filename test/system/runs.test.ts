import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after, beforeEach } from "node:test";
import { FrontDoor, filesBelow, processesWith, program, until } from "./front-door.ts";

const door = new FrontDoor();
after(() => door.close());
beforeEach(() => {
	rmSync(door.workspace, { recursive: true, force: true });
	mkdirSync(door.workspace);
});

const doctor = await door.run(["doctor", "--json"]);
/** Not one of these tests is about which driver it is: the conformance suite is. */
const skip = doctor.code === 0 ? false : "no isolating driver works on this machine: vouch doctor says why";
const options = { skip, timeout: 120_000 };
/** Seconds to sleep that nobody else's process sleeps. */
const longTime = (count: number): string => `6${count}.${process.pid}`;

interface Report {
	readonly runId: string;
	readonly driver: string;
	readonly result: {
		readonly exitCode: number | null;
		readonly signal: string | null;
		readonly reason: string;
		readonly durationMs: number;
		readonly stdoutBytes: number;
		readonly outputTruncated: boolean;
	};
	readonly changes: { readonly paths: readonly { path: string; change: string; flags: string[] }[]; omitted: number };
	readonly receipt: string;
	readonly stdout: string;
	readonly stderr: string;
	readonly diff: string | null;
}

const shell = (script: string): readonly string[] => ["--", "sh", "-c", script];

/** A run with --json: its exit code and report; what the command printed comes on stderr then. */
async function reported(flags: readonly string[], script: string): Promise<Report & { code: number; printed: string }> {
	const { code, stdout, stderr } = await door.run(["run", "--json", ...flags, ...shell(script)]);
	const report: Report = JSON.parse(stdout.toString());
	return { ...report, code, printed: stderr };
}

/** The statement that a receipt file signs. */
function statementOf(path: string): { predicate: Record<string, unknown>; text: string } {
	const file: { envelope: { payload: string } } = JSON.parse(readFileSync(path, "utf8"));
	const text = Buffer.from(file.envelope.payload, "base64").toString();
	return { ...JSON.parse(text), text };
}

function nothingLeft(): void {
	assert.deepEqual(door.liveFolders(), []);
	assert.deepEqual(processesWith(door.directory), []);
}

for (const [script, code] of [
	["exit 0", 0],
	["exit 7", 7],
	["exit 127", 127],
	["exit 255", 255],
	["kill -TERM $$", 143],
	["kill -KILL $$", 137],
] as const) {
	test(`${script} exits ${code}`, options, async () => {
		assert.equal((await door.run(["run", "-q", ...shell(script)])).code, code);
	});
}

test("a program that isn't there is a failure of the command, and is named", options, async () => {
	const { code, stderr } = await door.run(["run", "-q", "--", "no-such-program"]);
	assert.ok(code !== 0 && code !== 125, `exit code ${code}`);
	assert.match(stderr, /no-such-program/);
});

test("output is passed on byte for byte, each stream on its own, and kept", options, async () => {
	const script = "head -c 3000000 /dev/urandom | tee copy; printf 'err\\377\\000' >&2";
	const { code, stdout, stderr } = await door.run(["run", "-q", ...shell(script)]);
	assert.equal(code, 0);
	assert.equal(stdout.length, 3_000_000);
	assert.ok(stdout.equals(readFileSync(join(door.workspace, "copy"))));
	assert.match(stderr, /^err.\0$/);
	const kept = await door.run(["logs", "last"]);
	assert.ok(kept.stdout.equals(stdout));
	assert.equal(kept.stderr, stderr);
	assert.equal((await door.run(["logs", "last", "--only", "stderr"])).stdout.toString(), stderr);
	const lines = (await door.run(["logs", "last", "--json"])).stdout.toString().trim().split("\n");
	const chunks = lines.map((line) => JSON.parse(line));
	const ofStdout = chunks.filter((chunk) => chunk.stream === "stdout");
	assert.deepEqual(
		ofStdout.map(({ seq }) => seq),
		ofStdout.map((_, at) => at),
	);
	const bytes = ofStdout.map(({ text, base64 }) =>
		text === undefined ? Buffer.from(base64, "base64") : Buffer.from(text),
	);
	assert.ok(Buffer.concat(bytes).equals(stdout));
	const errors = Buffer.from("err\xff\0", "latin1").toString("base64");
	assert.deepEqual(chunks.at(-1), { stream: "stderr", seq: 0, base64: errors, truncated: false });
	for (const also of [[], ["--json"]]) {
		const going = door.start(["logs", "last", "--only", "stdout", ...also]);
		going.process.stdout.destroy();
		const left = await going.ended;
		assert.deepEqual([left.code, left.stderr], [0, ""], "a reader that goes away is no failure");
	}
});

test("stdin goes in whole, or not at all; one who doesn't read it is no failure", options, async () => {
	const input = Buffer.alloc(2_000_000, "0123456789abcdef");
	const echoed = await door.run(["run", "-q", "--", "cat"], { input });
	assert.ok(echoed.stdout.equals(input));
	assert.equal((await door.run(["run", "-q", "--no-stdin", "--", "cat"], { input })).stdout.length, 0);
	assert.equal((await door.run(["run", "-q", "--", "true"], { input })).code, 0);
});

test("two lines before and a short report after go to stderr; --quiet leaves them out", options, async () => {
	const { stdout, stderr } = await door.run(["run", ...shell("echo out; echo err >&2")]);
	assert.equal(stdout.toString(), "out\n");
	const [isolation = "", against = "", ...rest] = stderr.split("\n");
	assert.match(isolation, /^vouch: (bwrap|container): /);
	assert.match(against, /^vouch: it does not protect against /);
	assert.match(rest.join("\n"), /^err\n\nvouch: exited with 0 after .*\nnetwork .*\nchanged .*\nreceipt .*\n/);
	const quiet = await door.run(["run", "--quiet", ...shell("echo out; echo err >&2")]);
	assert.equal(quiet.stdout.toString(), "out\n");
	assert.equal(quiet.stderr, "err\n");
});

test("--json: one document on stdout, the command's own output on stderr", options, async () => {
	const { printed, code, ...report } = await reported([], "echo out; echo err >&2; exit 3");
	assert.equal(code, 3);
	assert.deepEqual(printed.split("\n").sort(), ["", "err", "out"]);
	assert.deepEqual(Object.keys(report), [
		"runId",
		"driver",
		"guarantees",
		"result",
		"network",
		"changes",
		"artifacts",
		"receipt",
		"stdout",
		"stderr",
		"diff",
	]);
	assert.equal(report.result.exitCode, 3);
	assert.equal(report.result.reason, "exited");
	assert.equal(readFileSync(report.stdout, "utf8"), "out\n");
	assert.equal(readFileSync(report.stderr, "utf8"), "err\n");
	assert.equal(report.result.stdoutBytes, 4);
});

test("a timeout exits 124 in its time; what ignores SIGTERM is killed after its grace", options, async () => {
	const [gentle, stubborn] = await Promise.all([
		reported(["--timeout", "1s"], `sleep ${longTime(1)}`),
		reported(["--timeout", "1s"], `trap '' TERM; while :; do sleep ${longTime(1)}; done`),
	]);
	assert.equal(gentle.code, 124);
	assert.equal(gentle.result.reason, "timeout");
	assert.ok(gentle.result.durationMs >= 1000, `${gentle.result.durationMs} ms`);
	assert.equal(stubborn.code, 124);
	assert.ok(stubborn.result.durationMs >= 6000, `${stubborn.result.durationMs} ms`);
	assert.deepEqual(processesWith(longTime(1)), []);
	nothingLeft();
});

test("output past --output ends the run; exactly that much is kept", options, async () => {
	const { result, code, stdout, stderr } = await reported(["--output", "10000"], `yes; sleep ${longTime(2)}`);
	assert.equal(result.reason, "output-limit");
	assert.equal(result.outputTruncated, true);
	assert.ok(code > 128, `exit code ${code}`);
	assert.equal(readFileSync(stdout).length + readFileSync(stderr).length, 10_000);
	assert.deepEqual(processesWith(longTime(2)), []);
});

test("a secret reaches the command and the screen, no argv, no kept output and no receipt", options, async () => {
	const token = "hunter22-Zx91-secret";
	const going = door.start(["run", "--secret", "TOKEN", ...shell('echo "key=$TOKEN"; sleep 1; echo done')], {
		environment: { TOKEN: token },
	});
	await going.shows(token);
	assert.deepEqual(processesWith(token), []);
	const { code, stdout } = await going.ended;
	assert.equal(code, 0);
	assert.equal(stdout.toString(), `key=${token}\ndone\n`);
	assert.equal((await door.run(["logs", "last"])).stdout.toString(), "key=[secret]\ndone\n");
	const { receipt, runId } = await lastRun();
	const kept = join(door.data, "runs", runId, "stdout");
	assert.equal((await door.run(["verify", receipt, "--stdout", kept])).code, 0, "what is kept is what is signed");
	const { text, predicate } = statementOf(receipt);
	assert.equal(text.includes(token), false);
	assert.deepEqual((predicate.workload as { secrets: string[] }).secrets, ["TOKEN"]);
	for (const path of filesBelow(door.directory)) {
		assert.equal(readFileSync(path).includes(token), false, `${path} holds the secret`);
	}
});

async function lastRun(): Promise<{ runId: string; receipt: string }> {
	const [newest] = await door.json<{ runId: string }[]>("runs");
	const runId = newest?.runId ?? assert.fail("there is no run");
	return { runId, receipt: join(door.data, "runs", runId, `run-${runId}.receipt.json`) };
}

function policy(text: string): void {
	writeFileSync(join(door.workspace, "vouch.policy.yaml"), `version: 1\n${text}`);
}

test("what the policy denies exits 125, and nothing ran or is remembered", options, async () => {
	policy("commands:\n  deny: ['touch *']\n");
	const before = await door.json<unknown[]>("runs", "--limit", "1000");
	const { code, stderr } = await door.run(["run", "--", "touch", "marker"]);
	assert.equal(code, 125);
	assert.match(stderr, /^vouch: The policy refuses this run: .*touch.*Nothing was run\. \[cli\.denied\]\n$/);
	assert.equal(existsSync(join(door.workspace, "marker")), false);
	assert.deepEqual(await door.json<unknown[]>("runs", "--limit", "1000"), before);
	nothingLeft();
});

test("a policy that can't be read is not no policy", options, async () => {
	policy("commands: {denny: [x]}\n");
	const { code, stderr } = await door.run(["run", "--", "true"]);
	assert.equal(code, 125);
	assert.match(stderr, /denny.*Nothing was run.*\[cli\.policy-unreadable\]/);
});

test("without a usable key or journal nothing runs: there would be no receipt", options, async () => {
	await door.run(["run", "-q", "--", "true"]);
	const key = join(door.data, "keys/node.key");
	const checkpoint = join(door.data, "journal/checkpoint");
	const kept = readFileSync(checkpoint);
	const spoilings: readonly (readonly [spoil: () => void, mend: () => void])[] = [
		[() => chmodSync(key, 0o644), () => chmodSync(key, 0o600)],
		[() => writeFileSync(checkpoint, "no checkpoint\n"), () => writeFileSync(checkpoint, kept)],
	];
	for (const [spoil, mend] of spoilings) {
		spoil();
		const { code } = await door.run(["run", "--", "touch", "marker"]);
		mend();
		assert.equal(code, 125);
		assert.equal(existsSync(join(door.workspace, "marker")), false);
		nothingLeft();
	}
	assert.equal((await door.run(["run", "-q", "--", "true"])).code, 0);
});

test("what needs approval is refused where there is no terminal", options, async () => {
	policy("commands:\n  approve: ['touch *']\n");
	const { code, stderr } = await door.run(["run", "--", "touch", "marker"]);
	assert.equal(code, 125);
	assert.match(stderr, /\[cli\.approval-needed\]/);
	assert.equal(existsSync(join(door.workspace, "marker")), false);
	nothingLeft();
});

/** Runs `touch marker` on a terminal and types an answer when asked. */
async function answered(answer: string): Promise<number> {
	policy("commands:\n  approve: ['touch *']\n");
	const going = door.start(["run", "--", "touch", "marker"], { input: null, screen: "terminal" });
	await going.shows("Run exactly this?");
	going.process.stdin.write(answer);
	const { code, stdout } = await going.ended;
	assert.match(stdout.toString(), /This run needs approval:[\s\S]*command\s+touch marker[\s\S]*digest\s+sha256:/);
	return code;
}

test("a person at a terminal who says yes is in the receipt, with the digest of what was shown", options, async () => {
	assert.equal(await answered("y"), 0);
	assert.equal(existsSync(join(door.workspace, "marker")), true);
	const { predicate } = statementOf((await lastRun()).receipt);
	const [approval] = predicate.approvals as { verdict: string; workloadDigest: string; approver: string }[];
	assert.equal(approval?.verdict, "approved");
	assert.equal(approval?.workloadDigest, predicate.workloadDigest);
});

test("a person who says no, or only presses Enter, has run nothing", options, async () => {
	for (const answer of ["n", "\r", "\u0003"]) {
		assert.equal(await answered(answer), 125);
		assert.equal(existsSync(join(door.workspace, "marker")), false);
	}
	nothingLeft();
});

test("Ctrl-C once: the command hears of it and its exit code counts", options, async () => {
	const script = "trap 'echo bye; exit 9' INT; echo ready; while :; do sleep 0.1; done";
	const going = door.start(["run", ...shell(script)]);
	await going.shows("ready");
	going.process.kill("SIGINT");
	const { code, stdout } = await going.ended;
	assert.equal(stdout.toString(), "ready\nbye\n");
	assert.equal(code, 9);
	const { predicate } = statementOf((await lastRun()).receipt);
	assert.equal((predicate.result as Report["result"]).reason, "cancelled");
	nothingLeft();
});

test("Ctrl-C twice: it ends at once, whatever the command makes of it", options, async () => {
	const going = door.start(["run", ...shell(`trap '' INT TERM; echo ready; while :; do sleep ${longTime(3)}; done`)]);
	await going.shows("ready");
	going.process.kill("SIGINT");
	await going.shows("once more");
	going.process.kill("SIGINT");
	const { code } = await going.ended;
	assert.ok(code > 128, `exit code ${code}`);
	assert.deepEqual(processesWith(longTime(3)), []);
	nothingLeft();
});

test("kill -9 of Vouch leaves nothing running; the next start clears up and tells", options, async () => {
	const script = `(setsid sleep ${longTime(4)} &) ; echo ready; sleep ${longTime(4)}`;
	const going = door.start(["run", "-q", ...shell(script)]);
	await going.shows("ready");
	assert.ok(processesWith(longTime(4)).length > 0);
	going.process.kill("SIGKILL");
	await until("its processes are gone", () => processesWith(longTime(4)).length === 0);
	await going.ended;
	assert.equal(door.liveFolders().length, 1);
	const [killed] = await door.json<{ runId: string; status: string }[]>("runs");
	assert.equal(killed?.status, "interrupted");
	assert.equal((await door.run(["run", "-q", "--", "true"])).code, 0);
	nothingLeft();
	assert.equal((await door.run(["journal", "verify"])).code, 0);
});

test("two runs at the same time do not meet, and both are in the journal", options, async () => {
	const [one, two] = await Promise.all([
		reported([], "echo one > /tmp/x; sleep 0.5; cat /tmp/x; ls /proc | grep -c '^[0-9]'"),
		reported([], "echo two > /tmp/x; sleep 0.5; cat /tmp/x"),
	]);
	assert.match(one.printed, /^one\n\d\n$/);
	assert.equal(two.printed, "two\n");
	assert.notEqual(one.runId, two.runId);
	assert.equal((await door.run(["journal", "verify"])).code, 0);
	for (const { receipt } of [one, two]) assert.equal((await door.run(["verify", receipt])).code, 0);
	nothingLeft();
});

test("a receipt verifies; with one byte changed, a foreign key or other output it does not", options, async () => {
	const copy = join(door.directory, "copy.receipt.json");
	const { receipt, stdout } = await reported(["--receipt", copy], "echo out");
	assert.deepEqual(readFileSync(copy), readFileSync(receipt));
	const good = await door.run(["verify", copy, "--stdout", stdout]);
	assert.equal(good.code, 0, good.stdout.toString());
	assert.match(good.stdout.toString(), /L0/);
	assert.equal((await door.run(["verify", copy, "--stdout", program])).code, 1);

	const other = new FrontDoor();
	after(() => other.close());
	const foreign = (await other.run(["key", "show", "--public"])).stdout.toString().trim();
	assert.equal((await door.run(["verify", copy, "--key", foreign])).code, 1);
	assert.equal((await other.run(["verify", copy])).code, 1);

	const bytes = readFileSync(copy);
	const tampered = join(door.directory, "tampered.receipt.json");
	const envelope = bytes.indexOf('"sig":"') + 20;
	writeFileSync(tampered, changedAt(bytes, envelope));
	const bad = await door.run(["verify", tampered]);
	assert.equal(bad.code, 1);
	assert.match(bad.stdout.toString(), /does not hold/i);
	for (let at = 5; at < bytes.length; at += Math.ceil(bytes.length / 12)) {
		writeFileSync(tampered, changedAt(bytes, at));
		assert.notEqual((await door.run(["verify", tampered])).code, 0, `byte ${at} of the receipt changed`);
	}
});

/** Another letter, digit or sign in the place of one. */
function changedAt(bytes: Buffer, at: number): Buffer {
	const changed = Buffer.from(bytes);
	changed[at] = changed[at] === 0x41 ? 0x42 : 0x41;
	return changed;
}

test("runs, show and logs find a run by id, its beginning and last", options, async () => {
	const { runId, receipt } = await reported([], "echo shown; exit 4");
	const list = (await door.run(["runs", "--limit", "1"])).stdout.toString();
	assert.match(list, new RegExp(`^RUN .*\\n${runId} .*exit 4 .*sh -c 'echo shown; exit 4'\\n$`));
	for (const name of [runId, runId.slice(0, 30), "last"]) {
		const { code, stdout } = await door.run(["show", name]);
		assert.equal(code, 0);
		assert.ok(stdout.toString().includes(receipt));
		assert.match(stdout.toString(), /exited with 4/);
		assert.equal((await door.run(["logs", name])).stdout.toString(), "shown\n");
	}
	const shown = await door.json<object>("show", runId);
	assert.deepEqual(shown, statementOf(receipt).predicate);
});

test("what changed in the workspace is listed, with what a person should look at", options, async () => {
	writeFileSync(join(door.workspace, "old"), "old\n");
	writeFileSync(join(door.workspace, "edited"), "before\n");
	writeFileSync(join(door.workspace, "tool"), "#!/bin/sh\n");
	mkdirSync(join(door.workspace, ".git/hooks"), { recursive: true });
	const script =
		"rm old; echo after > edited; echo new > 'a\u001b[2Jb'; chmod +x tool; echo x > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit";
	const { changes } = await reported([], script);
	const listed = new Map(changes.paths.map(({ path, change, flags }) => [path, [change, ...flags]]));
	assert.deepEqual(listed.get("old"), ["removed"]);
	assert.deepEqual(listed.get("edited"), ["modified"]);
	assert.equal(listed.get("tool")?.[0], "mode");
	assert.ok(listed.get(".git/hooks/pre-commit")?.includes("git-hook"));
	const { stdout } = await door.run(["show", "last"]);
	assert.equal(stdout.includes("\u001b"), false, "a file's name reaches the screen raw");
});

test("a read-only workspace stays as it was", options, async () => {
	writeFileSync(join(door.workspace, "file"), "same\n");
	const { code, changes, printed } = await reported(["--read-only"], "cat file; echo x > file || exit 5");
	assert.equal(code, 5);
	assert.match(printed, /^same\n/);
	assert.deepEqual(changes.paths, []);
	assert.equal(readFileSync(join(door.workspace, "file"), "utf8"), "same\n");
});

test("without a workspace there is none, and this machine's files are not seen", options, async () => {
	writeFileSync(join(door.workspace, "mine"), "");
	symlinkSync(door.directory, join(door.workspace, "link"));
	chmodSync(door.directory, 0o755);
	const { printed } = await reported(
		["--workspace", "none"],
		`pwd; ls /workspace ${door.directory} 2>&1 | grep -c mine`,
	);
	assert.equal(printed, "/\n0\n");
});

test("a screen that goes away ends nothing and breaks nothing", options, async () => {
	const going = door.start(["run", ...shell("head -c 2000000 /dev/zero; exit 6")]);
	going.process.stdout.destroy();
	going.process.stderr.destroy();
	assert.equal((await going.ended).code, 6);
	const { receipt } = await lastRun();
	assert.equal((statementOf(receipt).predicate.result as Report["result"]).stdoutBytes, 2_000_000);
});
