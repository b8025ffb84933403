import assert from "node:assert/strict";
import test, { mock, type TestContext } from "node:test";
import { VouchError } from "../core/index.ts";
import type { CommandRow, Invocation } from "./command.ts";
import { rows } from "./commands/index.ts";
import { buildProgram, helpShown, runProgram } from "./program.ts";

interface Ran {
	readonly command: string;
	readonly operands: readonly string[];
	readonly flags: Readonly<Record<string, readonly string[]>>;
}

/** Parses a line with the real table, whose actions only note what they were given. */
async function parse(...argv: readonly string[]): Promise<Ran | undefined> {
	let ran: Ran | undefined;
	const noting = rows.map(
		(row): CommandRow => ({
			...row,
			load: async () => async (invocation) => {
				ran = { command: row.path.join(" "), operands: invocation.operands, flags: flagsOf(row, invocation) };
				return 7;
			},
		}),
	);
	const codes: number[] = [];
	const ended = await runProgram(
		buildProgram(noting, "1.2.3", (code) => codes.push(code)),
		argv,
	);
	assert.deepEqual(codes, ended === helpShown ? [] : [7], "the action's exit code is handed on");
	return ran;
}

function flagsOf(row: CommandRow, { flags }: Invocation): Ran["flags"] {
	const given = row.flags.filter(({ name }) => flags.has(name));
	return Object.fromEntries(given.map(({ name }) => [name, flags.all(name)]));
}

async function usageOf(...argv: readonly string[]): Promise<string> {
	try {
		await parse(...argv);
	} catch (error) {
		if (error instanceof VouchError && error.code === "cli.usage") return error.message;
		throw error;
	}
	return assert.fail(`not refused: ${argv.join(" ")}`);
}

/** What a line prints, for those that print and run nothing. */
async function printedBy(context: TestContext, ...argv: readonly string[]): Promise<string> {
	let printed = "";
	const write = context.mock.method(process.stdout, "write", (text: string) => {
		printed += text;
		return true;
	});
	try {
		assert.equal(await parse(...argv), undefined);
	} finally {
		write.mock.restore();
	}
	return printed;
}

const LINES: readonly (readonly [line: readonly string[], ran: Ran])[] = [
	[["run", "ls", "--help"], { command: "run", operands: ["ls", "--help"], flags: {} }],
	[["run", "ls", "-V"], { command: "run", operands: ["ls", "-V"], flags: {} }],
	[["run", "--", "ls", "--json"], { command: "run", operands: ["ls", "--json"], flags: {} }],
	[["run", "--", "--weird"], { command: "run", operands: ["--weird"], flags: {} }],
	[
		["run", "--json", "--", "ls", "--", "-x"],
		{ command: "run", operands: ["ls", "--", "-x"], flags: { "--json": [""] } },
	],
	[["run", "-q", "ls", "-q"], { command: "run", operands: ["ls", "-q"], flags: { "--quiet": [""] } }],
	[
		["run", "--allow", "a", "--allow=b", "--net", "allowlist", "ls", "--allow", "c"],
		{ command: "run", operands: ["ls", "--allow", "c"], flags: { "--allow": ["a", "b"], "--net": ["allowlist"] } },
	],
	[["run", "--no-stdin", "--", "cat"], { command: "run", operands: ["cat"], flags: { "--no-stdin": [""] } }],
	[
		["run", "--net", "none", "--net", "allowlist", "ls"],
		{ command: "run", operands: ["ls"], flags: { "--net": ["allowlist"] } },
	],
	[["runs"], { command: "runs", operands: [], flags: {} }],
	[["show", "last", "--diff"], { command: "show", operands: ["last"], flags: { "--diff": [""] } }],
	[["show", "--diff", "last"], { command: "show", operands: ["last"], flags: { "--diff": [""] } }],
	[["journal", "verify", "--key", "k"], { command: "journal verify", operands: [], flags: { "--key": ["k"] } }],
	[["policy", "check"], { command: "policy check", operands: [], flags: {} }],
	[
		["verify", "r.json", "--key", "a", "--key", "b"],
		{ command: "verify", operands: ["r.json"], flags: { "--key": ["a", "b"] } },
	],
];

for (const [line, ran] of LINES) {
	test(`vouch ${line.join(" ")}`, async () => {
		assert.deepEqual(await parse(...line), ran);
	});
}

const MISTAKES: readonly (readonly [line: readonly string[], words: RegExp])[] = [
	[["rnu", "--", "ls"], /Unknown command 'rnu'\. Did you mean run\?/],
	[["verfiy", "x"], /Unknown command 'verfiy'\. Did you mean verify\?/],
	[["journal", "verfy"], /Unknown command 'verfy'\. Did you mean verify\?/],
	[["run", "--alow", "x", "--", "ls"], /Unknown option '--alow'\. Did you mean --allow\?/],
	[["run", "--isolaton", "bwrap", "ls"], /'--isolaton'\. Did you mean --isolation\?/],
	[["runs", "--jsno"], /'--jsno'\. Did you mean --json\?/],
	[["--verison"], /'--verison'\. Did you mean --version\?/],
	[["run", "--allow"], /'--allow <HOST\[:PORT\]>' argument missing/],
	[["run"], /Missing required argument 'command'/],
	[["verify"], /Missing required argument 'file'/],
	[["runs", "extra"], /Too many arguments/],
	[["run", "--net", "open", "ls"], /'open' is invalid\. Allowed choices are none, allowlist, unrestricted/],
	[["completion", "powershell"], /'powershell' is invalid.*Allowed choices are bash, zsh, fish/],
	[["xyzzy"], /Unknown command 'xyzzy'\. `vouch --help` lists what there is/],
];

for (const [line, words] of MISTAKES) {
	test(`vouch ${line.join(" ")}: a mistake, in one sentence`, async (context) => {
		const write = context.mock.method(process.stderr, "write", () => true);
		const sentence = await usageOf(...line);
		assert.match(sentence, words);
		assert.match(sentence, /^[A-Z'`].*\.$/);
		assert.doesNotMatch(sentence, /\n|error:/);
		assert.equal(write.mock.callCount(), 0, "commander printed nothing of its own");
	});
}

test("version and help print on stdout and run nothing", async (context) => {
	assert.equal(await printedBy(context, "--version"), "1.2.3\n");
	assert.equal(await printedBy(context, "-V"), "1.2.3\n");
	assert.match(await printedBy(context, "--help"), /^Usage: vouch/);
	assert.match(await printedBy(context, "help", "run"), /^Usage: vouch run/);
	assert.match(await printedBy(context, "run", "--help"), /Examples:/);
	assert.match(await printedBy(context, "journal", "verify", "--help"), /^Usage: vouch journal verify/);
});

test("what an action throws comes out as it is", async () => {
	const [first] = rows;
	const broken = {
		...(first ?? assert.fail()),
		load: async () => mock.fn(async () => Promise.reject(new RangeError("x"))),
	};
	await assert.rejects(
		runProgram(
			buildProgram([broken], "1", () => {}),
			["run", "ls"],
		),
		RangeError,
	);
});

for (const row of rows) {
	test(`the row of ${row.path.join(" ")} is fit for help, completion and reference`, () => {
		assert.match(row.summary, /^[a-z].*[^.]$/);
		assert.match(row.description, /^[A-Z][\s\S]*\.$/);
		const names = row.flags.map(({ name }) => name);
		assert.deepEqual(names, [...new Set(names)]);
		for (const flag of row.flags) {
			assert.match(flag.name, /^--[a-z]+(-[a-z]+)*$/);
			assert.match(flag.summary, /^\S.*[^.]$/);
			assert.ok(flag.choices === undefined || flag.value !== undefined, `${flag.name} has choices and no value`);
			assert.ok(flag.repeats === undefined || flag.value !== undefined, `${flag.name} repeats and has no value`);
		}
		const many = row.operands.findIndex(({ presence }) => presence !== "required");
		assert.ok(many === -1 || many === row.operands.length - 1, "only the last operand may be left out or repeat");
		for (const { command } of row.examples) assert.match(command, /\bvouch\b/);
	});
}

test("every example in the table is a line that its command accepts", async () => {
	for (const row of rows) {
		for (const { command } of row.examples) {
			const [, words = ""] = /vouch ([^<>|)]*)/.exec(command) ?? [];
			const line = words.match(/(?:'[^']*'|\S)+/g) ?? [];
			// Some show what comes after it, by another command.
			const used = (await parse(...line))?.command;
			assert.ok(
				rows.some(({ path }) => path.join(" ") === used),
				`${row.path.join(" ")}: ${command}`,
			);
		}
	}
});
