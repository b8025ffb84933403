import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import { rows } from "../commands/index.ts";
import { completionScript, type Shell, shells } from "./index.ts";

const RUN = "0190a000-0000-7000-8000-000000000001";
const DIRECTIVE = "0190b000-0000-7000-8000-000000000001";
const FACILITY = "0190f000-0000-7000-8000-000000000001";
let directory = "";

/** A folder with the three scripts, a `vouch` that knows one run, a file and a sub-folder to complete. */
before(() => {
	directory = mkdtempSync(join(tmpdir(), "vouch-completion-"));
	for (const shell of shells) writeFileSync(join(directory, `vouch.${shell}`), completionScript(shell, rows));
	mkdirSync(join(directory, "bin"));
	writeFileSync(
		join(directory, "bin/vouch"),
		`#!/bin/sh
case "$*" in "runs --ids") echo ${RUN} ;; "directives --ids") echo ${DIRECTIVE} ;; "facility ls --ids") echo ${FACILITY} ;; "image ls --names") printf 'app\\ntools\\n' ;; *) exit 1 ;; esac
`,
	);
	chmodSync(join(directory, "bin/vouch"), 0o755);
	mkdirSync(join(directory, "here"));
	mkdirSync(join(directory, "here/results"));
	writeFileSync(join(directory, "here/receipt.json"), "");
});
after(() => rmSync(directory, { recursive: true }));

function runShell(shell: Shell, args: readonly string[], input = ""): string {
	const { stdout, stderr, status } = spawnSync(shell, args, {
		cwd: join(directory, "here"),
		env: {
			PATH: `${join(directory, "bin")}${delimiter}${process.env.PATH}`,
			HOME: directory,
			TERM: "dumb",
			LC_ALL: "C.UTF-8",
		},
		input,
		encoding: "utf8",
		timeout: 20_000,
	});
	assert.equal(status, 0, `${shell}: ${stderr}\n${stdout}`);
	return stdout;
}

const absent = (shell: Shell): string | false =>
	spawnSync(shell, ["--version"]).error === undefined ? false : `${shell} is not installed`;

test("bash: the script is good syntax", { skip: absent("bash") }, () => {
	runShell("bash", ["-n", join(directory, "vouch.bash")]);
});
test("zsh: the script is good syntax", { skip: absent("zsh") }, () => {
	runShell("zsh", ["-n", join(directory, "vouch.zsh")]);
});
test("fish: the script is good syntax", { skip: absent("fish") }, () => {
	runShell("fish", ["--no-execute", join(directory, "vouch.fish")]);
});

/** What bash offers for a line, split as readline splits it; files and folders as `compopt` asked for them. */
function bashOffers(line: string): readonly string[] {
	const words = line.split(/ |(=)/).filter((word) => word !== undefined && word !== "");
	if (line.endsWith(" ")) words.push("");
	const script = `
compopt() { printf '%s\\n' "<$2>"; }
source ${join(directory, "vouch.bash")}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vouch
printf '%s\\n' "\${COMPREPLY[@]}"
`;
	return runShell("bash", ["-c", script, "bash", ...words])
		.split("\n")
		.filter((word) => word !== "");
}

/** What fish offers for a line, without the descriptions. */
function fishOffers(line: string): readonly string[] {
	const script = `source ${join(directory, "vouch.fish")}; complete -C ${JSON.stringify(line)}`;
	return runShell("fish", ["--no-config", "-c", script])
		.split("\n")
		.map((offer) => offer.split("\t")[0] ?? "")
		.filter((offer) => offer !== "");
}

/**
 * What zsh offers for a line: its completion in a terminal of its own. Tab twice lists what fits, or puts it in the line, which a
 * key of ours then writes down. Descriptions are words too.
 */
function zshOffers(line: string): readonly string[] {
	const [written, screen] = [join(directory, "zsh.line"), join(directory, "zsh.screen")];
	writeFileSync(
		join(directory, ".zshrc"),
		`PROMPT= COLUMNS=400 LINES=200 LISTMAX=1000
autoload -Uz compinit; compinit -u -D; source ${join(directory, "vouch.zsh")}
write-line() { print -r -- $BUFFER > ${written} }; zle -N write-line; bindkey '^Xw' write-line; : > ${written}.ready`,
	);
	for (const file of [written, `${written}.ready`, screen]) rmSync(file, { force: true });
	const script = `
zmodload zsh/zpty
zpty -b z "ZDOTDIR=${directory} zsh -i"
wait_for() { local i; for i in {1..200}; do [[ -e $1 ]] && return; sleep 0.02; done; print -r "no $1"; exit 1 }
wait_for ${written}.ready
zpty -w -n z "$1"$'\\t\\t\\x18w'
wait_for ${written}
while zpty -r -t z part; do print -rn -- "$part"; done > ${screen}
zpty -d z
cat ${screen} ${written}
`;
	// biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal is told is taken out of what it shows
	return runShell("zsh", ["-f", "-c", script, "zsh", line]).split(/(?:\u001b\[[\d;?]*[A-Za-z]|[\s\u0007])+/);
}

interface Expected {
	readonly line: string;
	/** All of these are offered. */
	readonly has: readonly string[];
	/** None of these are. */
	readonly hasNot?: readonly string[];
}

const COMMON: readonly Expected[] = [
	{ line: "vouch ", has: ["run", "verify", "runs", "show", "logs", "journal", "key", "doctor", "completion"] },
	{ line: "vouch ru", has: ["run", "runs"], hasNot: ["verify"] },
	{ line: "vouch journal ", has: ["verify"], hasNot: ["run", "check"] },
	{ line: "vouch key ", has: ["show", "rotate", "trust"], hasNot: ["logs"] },
	{ line: "vouch run --allow", has: ["--allow", "--allow-method", "--allow-path"], hasNot: ["--net", "--diff"] },
	{ line: "vouch run --net ", has: ["none", "allowlist", "unrestricted"], hasNot: ["--allow", "bwrap"] },
	{ line: "vouch logs --only ", has: ["stdout", "stderr"] },
	{ line: "vouch key show --", has: ["--public", "--json"], hasNot: ["--allow", "--diff"] },
	{ line: "vouch show --", has: ["--diff", "--json"], hasNot: ["--public"] },
	{ line: "vouch show ", has: [RUN, DIRECTIVE] },
	{ line: "vouch cancel ", has: [DIRECTIVE], hasNot: [RUN] },
	{ line: "vouch directives --facility ", has: [FACILITY], hasNot: [DIRECTIVE] },
	{ line: "vouch territories show ", has: [], hasNot: [FACILITY] },
	{ line: "vouch logs 01", has: [RUN] },
	{ line: "vouch completion ", has: ["bash", "zsh", "fish"] },
	{ line: "vouch image ", has: ["build", "ls", "push", "pull", "verify"], hasNot: ["run", "app"] },
	{ line: "vouch image inspect ", has: ["app", "tools"], hasNot: ["build"] },
	{ line: "vouch image build --format ", has: ["erofs", "squashfs"], hasNot: ["app"] },
	{ line: "vouch create hello --template ", has: ["python", "node", "go", "rust", "c"] },
];

function check(offers: readonly string[], { line, has, hasNot = [] }: Expected): void {
	const said = `"${line}" offers ${offers.join(" ") || "nothing"}`;
	for (const word of has) assert.ok(offers.includes(word), `${said}, not ${word}`);
	for (const word of hasNot) assert.ok(!offers.includes(word), said);
}

for (const expected of [
	...COMMON,
	{ line: "vouch run --net=al", has: ["allowlist"], hasNot: ["none"] },
	{ line: "vouch run --net=", has: ["allowlist", "none"] },
	{ line: "vouch run --policy ", has: ["<default>"] },
	{ line: "vouch run --workspace ", has: ["<dirnames>"] },
	{ line: "vouch verify ", has: ["<default>"] },
	{ line: "vouch run -- ls ", has: ["<default>"], hasNot: ["--allow"] },
	{ line: "vouch run ls -", has: ["<default>"], hasNot: ["--allow"] },
	{ line: "vouch run --allow x --net none ls -", has: ["<default>"], hasNot: ["--allow"] },
	{ line: "vouch run --allow x -", has: ["--net"] },
	{ line: "vouch run --timeout ", has: [], hasNot: ["--allow", "<default>"] },
	{ line: "vouch image diff app t", has: ["tools"], hasNot: ["app"] },
	{ line: "vouch image export app ./", has: ["<default>"], hasNot: ["app"] },
]) {
	test(`bash: ${expected.line}`, { skip: absent("bash") }, () => check(bashOffers(expected.line), expected));
}

for (const expected of [
	...COMMON,
	{ line: "vouch run --net=al", has: ["--net=allowlist"] },
	{ line: "vouch verify r", has: ["receipt.json"] },
	{ line: "vouch run --workspace r", has: ["results/"] },
]) {
	test(`fish: ${expected.line}`, { skip: absent("fish") }, () => check(fishOffers(expected.line), expected));
}

for (const expected of [
	...COMMON,
	{ line: "vouch verify r", has: ["receipt.json"] },
	{ line: "vouch run --workspace r", has: ["results/"], hasNot: ["receipt.json"] },
]) {
	test(`zsh: ${expected.line}`, { skip: absent("zsh") }, () => check(zshOffers(expected.line), expected));
}
