import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { posix } from "node:path";
import test from "node:test";
import { files, linesOf, root, textOf } from "./tree.ts";

const README_LINES = 150;
const ARCHITECTURE_LINES = 300;
const REQUIRED = [
	"README.md",
	"ARCHITECTURE.md",
	"SPECIFICATION.md",
	"LIMITATIONS.md",
	"SECURITY.md",
	"CONTRIBUTING.md",
	"LICENSE",
	"docs/dependencies.md",
];
const markdown = files.filter((path) => path.endsWith(".md"));

/** Markdown without fenced code, in which a bracket is no link. */
function prose(path: string): string {
	return textOf(path).replace(/^(```|~~~)[\s\S]*?^\1\s*$/gm, "");
}

/** GitHub's anchor of a heading. */
function anchorsOf(path: string): ReadonlySet<string> {
	const headings = [...prose(path).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map((match) => match[1] ?? "");
	return new Set(
		headings.map((heading) =>
			heading
				.toLowerCase()
				.replace(/[^\p{L}\p{N}\s_-]/gu, "")
				.replace(/\s/g, "-"),
		),
	);
}

for (const path of REQUIRED) {
	test(`${path} is there`, () => {
		assert.ok(existsSync(posix.join(root, path)), `${path} is missing`);
	});
}

test("README and ARCHITECTURE are short enough to be read", { skip: absent("README.md", "ARCHITECTURE.md") }, () => {
	assert.ok(linesOf("README.md").length <= README_LINES, `README.md has ${linesOf("README.md").length} lines`);
	const lines = linesOf("ARCHITECTURE.md").length;
	assert.ok(lines <= ARCHITECTURE_LINES, `ARCHITECTURE.md has ${lines} lines`);
});

test("links lead somewhere", () => {
	const broken = markdown.flatMap((path) => {
		const links = [...prose(path).matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)].map((match) => match[1] ?? "");
		return links
			.filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(path, link))
			.map((link) => `${path}: ${link}`);
	});
	assert.deepEqual(broken, []);
});

function leadsSomewhere(from: string, link: string): boolean {
	const [target = "", anchor] = link.split("#");
	const path = target === "" ? from : posix.normalize(posix.join(posix.dirname(from), decodeURIComponent(target)));
	if (!existsSync(posix.join(root, path))) return false;
	return anchor === undefined || !path.endsWith(".md") || anchorsOf(path).has(anchor);
}

test("every dependency has its line and its reason in docs/dependencies.md", () => {
	const manifest: Record<string, Record<string, string> | undefined> = JSON.parse(textOf("package.json"));
	const names = ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
		Object.keys(manifest[kind] ?? {}),
	);
	const listed = [...textOf("docs/dependencies.md").matchAll(/^\| `([^`]+)` \|[^|]*\| \S[^|]* \|$/gm)].map(
		(match) => match[1] ?? "",
	);
	assert.deepEqual(
		names.filter((name) => !listed.includes(name)),
		[],
		"without a line",
	);
	assert.deepEqual(
		listed.filter((name) => !name.includes(" ") && !names.includes(name) && !/^[a-z0-9.+-]+$/.test(name)),
		[],
		"without a dependency",
	);
});

test("versions of dependencies are exact", () => {
	const manifest: Record<string, Record<string, string> | undefined> = JSON.parse(textOf("package.json"));
	const versions = ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
		Object.values(manifest[kind] ?? {}),
	);
	assert.deepEqual(
		versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version)),
		[],
	);
});

/**
 * A promise is a table row whose last cell names its tests: a path in backticks, then, when the file holds several, the
 * title of the one meant: `` `src/core/ids.test.ts` "sorts by creation time" ``. Several are separated by `<br>`.
 */
test("every promise in SPECIFICATION.md names a test that exists", { skip: absent("SPECIFICATION.md") }, () => {
	const rows = linesOf("SPECIFICATION.md").filter((line) => /^\|.*\|$/.test(line) && !/^\|[\s:|-]+\|$/.test(line));
	const promises = rows.filter((row, index) => index > 0 && !isHeader(row));
	assert.ok(promises.length > 0, "SPECIFICATION.md has no table of promises");
	assert.deepEqual(promises.flatMap(faultsOfPromise), []);
});

function isHeader(row: string): boolean {
	const lines = linesOf("SPECIFICATION.md");
	return /^\|[\s:|-]+\|$/.test(lines[lines.indexOf(row) + 1] ?? "");
}

function faultsOfPromise(row: string): readonly string[] {
	const cell = row.split("|").at(-2) ?? "";
	const named = cell.split("<br>").map((part) => /^\s*`([^`]+)`(?:\s*"(.+)")?\s*$/.exec(part));
	return named.flatMap((match) => {
		if (match === null) return [`names no test: ${row}`];
		const [, path = "", title] = match;
		if (!/\.test\.ts$/.test(path) || !files.includes(path)) return [`no such test file: ${path}`];
		return title !== undefined && !textOf(path).includes(title) ? [`no such title in ${path}: ${title}`] : [];
	});
}

function absent(...paths: readonly string[]): string | false {
	const missing = paths.filter((path) => !files.includes(path));
	return missing.length === 0 ? false : `${missing.join(" and ")} not written yet: its own test fails`;
}
