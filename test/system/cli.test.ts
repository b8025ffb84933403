import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after } from "node:test";
import { FrontDoor, filesBelow, program } from "./front-door.ts";

const door = new FrontDoor();
after(() => door.close());

interface ErrorDocument {
	readonly error: { readonly code: string; readonly sentence: string; readonly details: Record<string, string> };
}

test("version and help go to stdout and make nothing", async () => {
	const manifest: { version: string } = JSON.parse(readFileSync(join(program, "../../package.json"), "utf8"));
	for (const flag of ["--version", "-V"]) {
		const { code, stdout } = await door.run([flag]);
		assert.equal(code, 0);
		assert.equal(stdout.toString(), `${manifest.version}\n`);
	}
	for (const words of [[], ["--help"], ["help"], ["run", "--help"], ["help", "run"]]) {
		const { code, stdout, stderr } = await door.run(words);
		assert.equal(code, 0);
		assert.equal(stderr, "");
		assert.match(stdout.toString(), /^Usage: vouch/);
	}
	assert.equal(existsSync(door.data), false);
});

const MISTAKES: readonly (readonly [line: readonly string[], words: RegExp])[] = [
	[["run", "--alow", "x", "--", "true"], /^vouch: Unknown option '--alow'\. Did you mean --allow\?.*\[cli\.usage\]\n$/],
	[["rnu"], /^vouch: Unknown command 'rnu'\. Did you mean run\?/],
	[["run"], /Missing required argument 'command'/],
	[["run", "--timeout", "soon", "--", "true"], /--timeout soon: write a time such as/],
	[["run", "--secret", "NOT_SET", "--", "true"], /NOT_SET.*it is not set.*\[cli\.secret-unset\]/],
	[["run", "--workspace", "/nowhere", "--", "true"], /there is nothing at that path.*\[cli\.workspace-unusable\]/],
	[["show", "0190"], /no run has that id.*\[cli\.run-not-found\]/],
	[["logs", "last"], /\[cli\.run-not-found\]/],
	[["runs", "--limit", "many"], /--limit takes a whole number above 0/],
	[["completion", "powershell"], /bash, zsh, fish/],
	[["key", "trust", "nonsense"], /Reading nonsense: .*\[cli\.file-unreadable\]/],
	[["key", "trust", "vouch-ed25519:AAAA"], /\[cli\.key-unusable\]/],
];

for (const [line, words] of MISTAKES) {
	test(`vouch ${line.join(" ")}: exits 125 with one sentence`, async () => {
		const { code, stdout, stderr } = await door.run(line);
		assert.equal(code, 125);
		assert.equal(stdout.toString(), "");
		assert.match(stderr, words);
		assert.equal(stderr.split("\n").length, 2);
	});
}

test("a folder that can't be used is said to be one, and is no fault of Vouch's", async () => {
	const { code, stderr } = await door.run(["run", "--", "true"], { environment: { XDG_DATA_HOME: "/dev/null" } });
	assert.equal(code, 125);
	assert.match(
		stderr,
		/Working with \/dev\/null\/vouch.*: what stands for a folder in it is none\..*\[cli\.files-unusable\]\n$/,
	);
});

test("with --json a failure is one document on stdout", async () => {
	const { code, stdout, stderr } = await door.run(["show", "0190", "--json"]);
	assert.equal(code, 125);
	assert.equal(stderr, "");
	const { error }: ErrorDocument = JSON.parse(stdout.toString());
	assert.equal(error.code, "cli.run-not-found");
	assert.deepEqual(error.details, { run: "0190" });
	assert.match(error.sentence, /no run has that id/);
});

test("--json after -- is the command's and not ours", async () => {
	const { stdout, stderr } = await door.run(["run", "--timeout", "soon", "--", "true", "--json"]);
	assert.equal(stdout.toString(), "");
	assert.match(stderr, /^vouch: /);
});

test("verify exits 2 for what it can't read as a receipt", async () => {
	const file = join(door.workspace, "not-a-receipt.json");
	for (const text of ["", "no json", "{}", '{"mediaType":"application/vnd.vouch.receipt.v1+json"}', "\0\xff"]) {
		writeFileSync(file, text);
		assert.equal((await door.run(["verify", file])).code, 2, JSON.stringify(text));
	}
	assert.equal((await door.run(["verify", "/nowhere.json"])).code, 2);
	assert.equal((await door.run(["verify", door.workspace])).code, 2);
	assert.equal((await door.run(["verify"])).code, 2);
});

test("with no runs there are none", async () => {
	assert.match((await door.run(["runs"])).stdout.toString(), /^No runs yet\. Start one: vouch run/);
	assert.deepEqual(await door.json("runs"), []);
	assert.equal((await door.run(["runs", "--ids"])).stdout.toString(), "");
});

test("the empty journal holds", async () => {
	const { code, stdout } = await door.run(["journal", "verify"]);
	assert.equal(code, 0);
	assert.match(stdout.toString(), /^holds\s+0 entries/);
});

test("the key is made once, private, and can be handed on", async () => {
	type Listed = { role: string; keyId: string; publicKey: string; label: string };
	const [first] = await door.json<Listed[]>("key", "show");
	const [again] = await door.json<Listed[]>("key", "show");
	assert.equal(first?.role, "signs");
	assert.deepEqual(again, first);
	const keys = join(door.data, "keys");
	assert.equal(statSync(keys).mode & 0o777, 0o700);
	for (const path of filesBelow(keys)) assert.equal(statSync(path).mode & 0o077, 0, `${path} is not private`);
	const { stdout } = await door.run(["key", "show", "--public"]);
	assert.equal(stdout.toString(), `${first.publicKey}\n`);

	const other = new FrontDoor();
	after(() => other.close());
	const foreign = (await other.run(["key", "show", "--public"])).stdout.toString().trim();
	assert.equal((await door.run(["key", "trust", foreign, "--label", "the other one"])).code, 0);
	const [, trusted] = await door.json<Listed[]>("key", "show");
	assert.equal(trusted?.publicKey, foreign);
	assert.equal(trusted?.label, "the other one");
});

test("policy check says what is wrong, and exits 1 when something is", async () => {
	const directory = join(door.directory, "with-policy");
	mkdirSync(join(directory, "below"), { recursive: true });
	const policy = join(directory, "vouch.policy.yaml");
	writeFileSync(policy, "version: 1\ncommands:\n  deny: [curl]\n");
	const good = await door.run(["policy", "check"], { directory: join(directory, "below") });
	assert.equal(good.code, 0, good.stderr);
	assert.match(good.stdout.toString(), /^valid .*with-policy\/vouch\.policy\.yaml\n$/);
	writeFileSync(policy, "version: 1\ncomands:\n  deny: [curl]\nisolation:\n  allow: [magic]\n");
	const bad = await door.run(["policy", "check", policy]);
	assert.equal(bad.code, 1);
	assert.match(bad.stdout.toString(), /comands/);
	assert.match(bad.stdout.toString(), /magic/);
	const missing = await door.run(["policy", "check", "/nowhere.yaml"]);
	assert.equal(missing.code, 125);
	assert.match(missing.stderr, /\[cli\.policy-unreadable\]/);
});

test("completion can be sourced from the program itself", async () => {
	for (const shell of ["bash", "zsh", "fish"]) {
		const { code, stdout } = await door.run(["completion", shell]);
		assert.equal(code, 0);
		assert.match(stdout.toString(), /vouch/);
	}
	const line = 'source <("$0" completion bash); COMP_WORDS=(vouch ver); COMP_CWORD=1; _vouch; echo "$COMPREPLY"';
	const { stdout, stderr } = spawnSync("bash", ["-c", line, program], { encoding: "utf8" });
	assert.equal(stdout, "verify\n", stderr);
});

test("doctor says of each driver what works, and its exit code whether one does", async () => {
	const { code, stdout } = await door.run(["doctor", "--json"]);
	const report: { works: boolean; sections: { title: string; checks: { status: string }[] }[] } = JSON.parse(
		stdout.toString(),
	);
	assert.equal(code, report.works ? 0 : 1);
	assert.deepEqual(
		report.sections.map(({ title }) => title),
		["machine", "firecracker", "qemu", "bwrap", "container", "host"],
	);
	for (const { checks } of report.sections) assert.ok(checks.length > 0);
});

test("a reader that went away is no failure that a person sees", async () => {
	const child = spawn(program, ["--help"], { stdio: ["ignore", "pipe", "pipe"] });
	child.stdout.destroy();
	let errors = "";
	child.stderr.on("data", (chunk: Buffer) => {
		errors += chunk.toString();
	});
	await new Promise((resolve) => child.once("close", resolve));
	assert.equal(errors, "");
});
