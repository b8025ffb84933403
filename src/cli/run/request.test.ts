import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { VouchError } from "../../core/index.ts";
import { networkRulesSchema } from "../../egress/schema.ts";
import { limitsSchema, NO_LIMITS } from "../../runtime/schema.ts";
import type { Invocation } from "../command.ts";
import { runRow } from "../commands/run.row.ts";
import { buildProgram, runProgram } from "../program.ts";
import { type RunRequest, readRequest } from "./request.ts";

const SHELL = { API_TOKEN: "hunter22", EMPTY: "", SHORT: "abc", LANG: "C.UTF-8" };

/** The words after `vouch run`, parsed by the real command table and then read. */
async function requestOf(...words: readonly string[]): Promise<RunRequest> {
	let invocation: Invocation | undefined;
	const row = {
		...runRow,
		load: async () => async (given: Invocation) => {
			invocation = given;
			return 0;
		},
	};
	await runProgram(
		buildProgram([row], "0.0.0", () => {}),
		["run", ...words],
	);
	return readRequest(invocation ?? assert.fail("the action did not run"), SHELL);
}

/** The request of flags alone, for the command `ls`. */
const withFlags = (...flags: readonly string[]): Promise<RunRequest> => requestOf(...flags, "--", "ls");

async function refusalOf(...flags: readonly string[]): Promise<VouchError> {
	try {
		await withFlags(...flags);
	} catch (error) {
		if (error instanceof VouchError) return error;
		throw error;
	}
	return assert.fail(`not refused: ${flags.join(" ")}`);
}

function folder(context: TestContext): string {
	const directory = realpathSync(mkdtempSync(join(tmpdir(), "vouch-request-")));
	context.after(() => rmSync(directory, { recursive: true }));
	return directory;
}

test("with no flags: this folder, read-write, no network, no variables, no limits of its own", async () => {
	const request = await withFlags();
	assert.deepEqual(request, {
		argv: ["ls"],
		driver: null,
		machine: null,
		acceptNoIsolation: "not-accepted",
		image: null,
		demands: [],
		policyFiles: [],
		network: { mode: "none", allow: [], deny: [], http: [] },
		workspace: { source: realpathSync("."), access: "read-write" },
		workingDirectory: "/workspace",
		exposed: [],
		artifacts: [],
		environment: {},
		secrets: [],
		limits: NO_LIMITS,
		stdin: "passed",
		tty: "not-asked",
		receiptCopy: null,
		show: "report",
	});
});

test("the command and what follows it come through untouched", async () => {
	assert.deepEqual((await requestOf("--", "ls", "--json", "-la", "--", "x")).argv, ["ls", "--json", "-la", "--", "x"]);
	assert.deepEqual((await requestOf("ls", "--help", "--allow", "a")).argv, ["ls", "--help", "--allow", "a"]);
	assert.deepEqual((await requestOf("--", "sh", "-c", "")).argv, ["sh", "-c", ""]);
	await assert.rejects(requestOf("--", ""), /Give the command to run, after --/);
});

/** Flags, and the part of the request they make. */
const GOOD: readonly (readonly [flags: readonly string[], part: Partial<RunRequest>])[] = [
	[["--isolation", "strongest"], { driver: null }],
	[["--isolation", "bwrap"], { driver: "bwrap" }],
	[["--isolation", "container"], { driver: "container" }],
	[["--isolation", "host", "--accept-no-isolation"], { driver: "host", acceptNoIsolation: "accepted" }],
	[["--isolation", "vm"], { driver: "vm" }],
	[["--interactive", "--tty"], { tty: "asked", stdin: "passed", environment: { TERM: "xterm" } }],
	[["--tty", "--env", "TERM=dumb"], { tty: "asked", environment: { TERM: "dumb" } }],
	[["--machine", "q35"], { machine: "q35" }],
	[["--image", "./rootfs"], { image: "./rootfs" }],
	[["--demand", "separate-kernel", "--demand", "readonly-root"], { demands: ["separate-kernel", "readonly-root"] }],
	[["--policy", "a.yaml", "--policy", "b.yaml"], { policyFiles: ["a.yaml", "b.yaml"] }],
	[
		["--allow", "a.example:443", "--allow", "*.b.example", "--allow", "a.example:443"],
		{ network: { mode: "allowlist", allow: ["a.example:443", "*.b.example"], deny: [], http: [] } },
	],
	[["--deny", "a.example"], { network: { mode: "none", allow: [], deny: ["a.example"], http: [] } }],
	[["--net", "allowlist"], { network: { mode: "allowlist", allow: [], deny: [], http: [] } }],
	[
		["--net", "unrestricted", "--allow", "127.0.0.1:8080"],
		{ network: { mode: "unrestricted", allow: ["127.0.0.1:8080"], deny: [], http: [] } },
	],
	[
		["--allow-method", "a.example=get,HEAD", "--allow-path", "a.example=/v1", "--allow-path", "[fd00::1]:80=/"],
		{
			network: {
				mode: "allowlist",
				allow: ["a.example", "[fd00::1]:80"],
				deny: [],
				http: [
					{ destination: "a.example", methods: ["GET", "HEAD"], paths: ["/v1"] },
					{ destination: "[fd00::1]:80", methods: [], paths: ["/"] },
				],
			},
		},
	],
	[["--workspace", "none"], { workspace: null, workingDirectory: "/" }],
	[["--read-only"], { workspace: { source: realpathSync("."), access: "read-only" } }],
	[["--artifact", "out/", "--artifact", "a?.log", "--artifact", "out/"], { artifacts: ["a?.log", "out/"] }],
	[["--expose", "/usr/bin/env"], { exposed: [realpathSync("/usr/bin/env")] }],
	[["--cwd", "/workspace/src"], { workingDirectory: "/workspace/src" }],
	[
		["--env", "A=1", "--env", "B=x=y", "--env", "LANG", "--env", "EMPTY"],
		{ environment: { A: "1", B: "x=y", LANG: "C.UTF-8", EMPTY: "" } },
	],
	[["--env", "A=1", "--env", "A=2"], { environment: { A: "2" } }],
	[["--no-stdin"], { stdin: "closed" }],
	[["--secret", "API_TOKEN"], { environment: { API_TOKEN: "hunter22" }, secrets: ["API_TOKEN"] }],
	[["--receipt", "r.json"], { receiptCopy: "r.json" }],
	[["--quiet"], { show: "quiet" }],
	[["-q"], { show: "quiet" }],
	[["--json"], { show: "json" }],
];

for (const [flags, part] of GOOD) {
	test(flags.join(" "), async () => {
		const request = await withFlags(...flags);
		const picked = Object.fromEntries(Object.keys(part).map((key) => [key, request[key as keyof RunRequest]]));
		assert.deepEqual(picked, part);
	});
}

const LIMITS: readonly (readonly [flag: string, value: string, limits: Partial<RunRequest["limits"]>])[] = [
	["--timeout", "90s", { timeoutMs: 90_000 }],
	["--timeout", "90", { timeoutMs: 90_000 }],
	["--timeout", "30d", { timeoutMs: 2_592_000_000 }],
	["--memory", "2G", { memoryMiB: 2048 }],
	["--memory", "512", { memoryMiB: 1 }],
	["--cpus", "0.5", { cpuMillicores: 500 }],
	["--cpus", "2", { cpuMillicores: 2000 }],
	["--processes", "200", { processes: 200 }],
	["--open-files", "1024", { openFiles: 1024 }],
	["--disk-write", "5G", { diskWriteMiB: 5120 }],
	["--output", "64K", { outputBytes: 65_536 }],
];

for (const [flag, value, limits] of LIMITS) {
	test(`${flag} ${value}`, async () => {
		const set = Object.entries((await withFlags(flag, value)).limits).filter(([, limit]) => limit !== null);
		assert.deepEqual(Object.fromEntries(set), limits);
	});
}

/** Flags that are refused as usage; every sentence must name the flag and hold these words. */
const BAD: readonly (readonly [flags: readonly string[], words: RegExp])[] = [
	[["--isolation", "docker"], /--isolation.*docker.*strongest, vm, bwrap, container, qemu, firecracker, host/],
	[["--demand", "magic"], /--demand magic: there is no such guarantee\. There is filesystem-isolation/],
	[["--net", "some"], /--net.*some.*none, allowlist, unrestricted/],
	[["--net", "none", "--allow", "a.example"], /--net none and --allow contradict each other: leave one out/],
	[["--net", "none", "--allow-method", "a.example=GET"], /--net none and --allow-method .*contradict/],
	[["--allow-method", "a.example"], /--allow-method a\.example: write it as HOST\[:PORT\]=VALUE/],
	[["--allow-method", "=GET"], /--allow-method =GET: write it as/],
	[["--allow-method", "a.example=GE T"], /--allow-method a\.example=GE T: methods are words such as GET,HEAD/],
	[["--allow-path", "a.example=v1"], /--allow-path a\.example=v1: the path must begin with \//],
	[["--artifact", "../x"], /--artifact \.\.\/x: it must be a path below the workspace, with/],
	[["--expose", "/no/such/path"], /--expose \/no\/such\/path: there is nothing at that path\. Give an existing/],
	[["--expose", "/"], /--expose \/: that is the whole machine\. Name the folder/],
	[["--cwd", "src"], /--cwd src: write an absolute path/],
	[["--cwd", "/workspace/../etc"], /--cwd \/workspace\/\.\.\/etc: write an absolute path/],
	[["--env", "1A=x"], /--env 1A=x: "1A" is not a name for a variable\. Write/],
	[["--env", "=x"], /--env =x: "" is not a name/],
	[["--secret", "a-b"], /--secret a-b: "a-b" is not a name/],
	[["--secret", "API_TOKEN=x"], /--secret takes a name alone/],
	[["--secret", "SHORT"], /--secret SHORT: a value under 4 bytes can't be masked\. Pass it with --env SHORT/],
	[["--secret", "EMPTY"], /--secret EMPTY: a value under 4 bytes/],
	[["--timeout", "soon"], /--timeout soon: write a time such as 90s, 10m or 2h/],
	[["--timeout", "0"], /--timeout 0: write a time/],
	[["--timeout", "-5s"], /--timeout -5s: write a time/],
	[["--memory", "lots"], /--memory lots: write a size such as/],
	[["--memory", "0"], /--memory 0: write a size/],
	[["--memory", "8000T"], /--memory 8000T: that is more than Vouch can count/],
	[["--cpus", "1.5.2"], /--cpus 1\.5\.2: write a number of cores/],
	[["--cpus", "0"], /--cpus 0: write a number/],
	[["--cpus", "9999"], /--cpus 9999: that is more/],
	[["--processes", "1.5"], /--processes 1\.5: write a whole number above 0/],
	[["--processes", "999999999"], /--processes 999999999: that is more/],
	[["--open-files", "0"], /--open-files 0: write a whole number/],
	[["--open-files", "99999999"], /--open-files 99999999: that is more/],
	[["--disk-write", "x"], /--disk-write x: write a size/],
	[["--output", "1e3"], /--output 1e3: write a size/],
];

for (const [flags, words] of BAD) {
	test(`${flags.join(" ")} is refused`, async () => {
		const refusal = await refusalOf(...flags);
		assert.equal(refusal.code, "cli.usage");
		assert.match(refusal.message, words);
	});
}

test("every flag of the table is tried above", () => {
	const tried = new Set([...GOOD.flatMap(([flags]) => flags), ...LIMITS.map(([flag]) => flag)]);
	assert.deepEqual(
		runRow.flags.map(({ name }) => name).filter((name) => !tried.has(name)),
		[],
	);
});

test("a variable that is not set is refused, not passed empty", async () => {
	for (const flag of ["--env", "--secret"]) {
		const refusal = await refusalOf(flag, "NOT_SET");
		assert.equal(refusal.code, "cli.secret-unset");
		assert.match(refusal.message, /NOT_SET.*Export it first, or give --env NOT_SET=VALUE/);
	}
});

test("what is no folder, or would hide nothing, is no workspace", async (context) => {
	const directory = folder(context);
	writeFileSync(join(directory, "file"), "");
	symlinkSync("/", join(directory, "everything"));
	const wrong: readonly (readonly [string, RegExp])[] = [
		[join(directory, "nowhere"), /there is nothing at that path\. Give an existing folder with --workspace/],
		[join(directory, "file"), /it is not a folder/],
		["", /it is empty/],
		["/", /it is the root of the file system, so nothing would be hidden/],
		[join(directory, "everything"), /it is the root of the file system/],
	];
	for (const [path, words] of wrong) {
		const refusal = await refusalOf("--workspace", path);
		assert.equal(refusal.code, "cli.workspace-unusable");
		assert.match(refusal.message, words);
	}
});

test("a receipt that could not be copied where it is asked for is noticed before anything runs", async (context) => {
	const directory = folder(context);
	for (const [path, words] of [
		[directory, /no name of a file/],
		["", /no name of a file/],
		[join(directory, "nowhere", "r.json"), /there is nothing at that path/],
	] as const) {
		const refusal = await refusalOf("--receipt", path);
		assert.equal(refusal.code, "cli.usage");
		assert.match(refusal.message, words);
	}
});

test("a workspace behind a link is named by what it is", async (context) => {
	const directory = folder(context);
	mkdirSync(join(directory, "real"));
	symlinkSync("real", join(directory, "link"));
	const request = await withFlags("--workspace", join(directory, "link"));
	assert.equal(request.workspace?.source, join(directory, "real"));
});

test("whatever is written, limits and rules either are refused or fit their schemas", async () => {
	const text = fc.oneof(
		fc.string({ maxLength: 12 }),
		fc.stringMatching(/^\d{0,16}(\.\d{0,3})?[kmgtKMGTsdh]?$/),
		fc.stringMatching(/^[a-z.*:[\]]{0,8}=[A-Za-z/,]{0,8}$/),
	);
	const values = ["--timeout", "--memory", "--cpus", "--processes", "--open-files", "--disk-write", "--output"];
	const flag = fc.constantFrom(...values, "--allow-method", "--allow-path", "--cwd", "--env");
	await fc.assert(
		fc.asyncProperty(flag, text, async (name, value) => {
			try {
				const request = await withFlags(`${name}=${value}`);
				assert.deepEqual(limitsSchema.parse(request.limits), request.limits);
				assert.deepEqual(networkRulesSchema.parse(request.network), request.network);
			} catch (error) {
				if (!(error instanceof VouchError)) throw error;
				assert.ok(error.message.includes(name) || error.code === "cli.secret-unset", error.message);
			}
		}),
		{ numRuns: 500 },
	);
});
