import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { files, findLines, root, textOf } from "./tree.ts";

/** Names that many machines share: not a leak when one of them is this machine's. */
const PUBLIC_HOSTS = /^(?:localhost|registry\.npmjs\.org|(?:[a-z0-9-]+\.)*(?:debian|ubuntu)\.(?:org|com))$/;
const text = files.filter((path) => !textOf(path).includes("\0"));

function findText(needle: string): readonly string[] {
	return findLines(text, new RegExp(`(?<![\\w.-])${needle.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}(?![\\w-])`));
}

function hostsIn(content: string): readonly string[] {
	const hosts = [...content.matchAll(/\bhttps?:\/\/(?:[^/@\s]*@)?([^/:\s"']+)/g)].map((match) => match[1] ?? "");
	return hosts.filter((host) => !PUBLIC_HOSTS.test(host));
}

function readAll(directory: string): string {
	if (!existsSync(directory)) return "";
	const entries = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
	return entries.map((entry) => readFileSync(join(directory, entry.name), "utf8")).join("\n");
}

/** Hosts that this machine fetches packages from, read where they are set up and never written down here. */
function packageHosts(): readonly string[] {
	const npm = [process.env.npm_config_registry ?? ""];
	for (const file of [join(homedir(), ".npmrc"), "/etc/npmrc", "/usr/etc/npmrc", "/etc/apt/sources.list"]) {
		if (existsSync(file)) npm.push(readFileSync(file, "utf8"));
	}
	return [...new Set(hostsIn([...npm, readAll("/etc/apt/sources.list.d")].join("\n")))];
}

test("no file names the host that packages come from", () => {
	for (const host of packageHosts()) assert.deepEqual(findText(host), []);
});

test("the lock file says what, never from where", () => {
	const lock: { packages: Record<string, { resolved?: string }> } = JSON.parse(textOf("package-lock.json"));
	const elsewhere = Object.values(lock.packages).filter(
		({ resolved }) => resolved !== undefined && !resolved.startsWith("https://registry.npmjs.org/"),
	);
	assert.deepEqual(elsewhere, []);
});

test("no file names a folder or the name of the machine that it was written on", () => {
	// A path of one part, such as /root or /app, is many machines' and says nothing.
	if (root.split("/").length > 2) assert.deepEqual(findText(root), []);
	if (homedir().split("/").length > 2) assert.deepEqual(findText(homedir()), []);
	if (!/^(?:localhost|debian|ubuntu|vm|host|node|test)$/.test(hostname()) && hostname().length > 3) {
		assert.deepEqual(findText(hostname()), []);
	}
	assert.deepEqual(findLines(text, /(?<![\w.])\/wor[k]\/|bash_job[s]/), []);
});

test("text is plain: no tabs of other editors, no trailing blanks, a newline at the end", () => {
	const checked = text.filter(
		(path) => !path.startsWith("bench/results/") && !/(?:^|\/)(?:fixtures|vectors)\//.test(path),
	);
	assert.deepEqual(
		findLines(
			checked.filter((path) => !path.endsWith(".md")),
			/[ \t]+$/,
		),
		[],
	);
	assert.deepEqual(findLines(checked, /\r$/), []);
	assert.deepEqual(
		checked.filter((path) => textOf(path) !== "" && !textOf(path).endsWith("\n")),
		[],
	);
});
