import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import fc from "fast-check";
import { VouchError } from "../../core/index.ts";
import { fakeHost } from "../../host/index.ts";
import { nameFrom, type RecipeRequest, readRecipeText, recipeFor } from "./index.ts";
import { recipeSchema } from "./schema.ts";

const folder = mkdtempSync(join(tmpdir(), "vouch-recipe-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const host = fakeHost({});

function made(name: string, files: Readonly<Record<string, string>>): string {
	const path = join(folder, name);
	mkdirSync(path, { recursive: true });
	for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
	return path;
}

const recipe = (request: RecipeRequest) =>
	recipeFor({ workingDirectory: folder, platform: "linux/amd64", ...request }, { host });

async function problemsOf(request: RecipeRequest): Promise<string> {
	try {
		await recipe(request);
	} catch (error) {
		if (error instanceof VouchError && error.code === "recipe-invalid") return error.message;
		throw error;
	}
	throw new Error("the recipe is good");
}

test("the kind of a source is told by what is there", async () => {
	made("root", { hostname: "x" });
	made("app", { Dockerfile: "FROM scratch\n" });
	made("layout", { "oci-layout": "{}" });
	const kinds: Readonly<Record<string, string>> = {
		root: "folder",
		"./app": "dockerfile",
		layout: "oci-layout",
		"oci:layout:latest": "oci-layout",
		"debian:bookworm?packages=git": "debian",
		"registry.example/team/app:1": "registry",
	};
	for (const [source, kind] of Object.entries(kinds))
		assert.equal((await recipe({ source })).source.kind, kind, source);
	assert.equal((await recipe({ source: "app", kind: "folder" })).source.kind, "folder");
	const { name, lockFile, rootfsFormat } = await recipe({ source: "app" });
	assert.deepEqual([name, lockFile, rootfsFormat], ["app", join(folder, "app", "vouch-image.lock"), "erofs"]);
});

test("a recipe file is read strictly, and flags go before it", async () => {
	const text = [
		"name: tools",
		"rootfs: squashfs",
		"dockerfile:",
		"  network: host",
		"  arguments: { VERSION: '1.10' }",
		"  contexts:",
		"    base: debian:bookworm?packages=git,make",
		"kernel: { suite: trixie }",
	];
	made("full", { Dockerfile: "FROM base\n", "vouch-image.yaml": text.join("\n") });
	const { source, ...rest } = await recipe({ source: "full", rootfs: "erofs", arguments: { EXTRA: "x" } });
	assert.deepEqual([rest.name, rest.rootfsFormat, rest.kernel.suite], ["tools", "erofs", "trixie"]);
	assert.ok(source.kind === "dockerfile");
	assert.deepEqual(source.arguments, { VERSION: "1.10", EXTRA: "x" });
	const base = source.contexts.base;
	assert.deepEqual(base?.kind === "debian" && base.packages, ["git", "make"]);
});

test("every problem is told at once, in sentences", async () => {
	const text =
		"nam: x\nplatform: linux/mips\nepoch: -1\ndockerfile: { network: some, contexts: { base: 7 } }\ndebian: []\n";
	made("bad", { Dockerfile: "FROM scratch\n", "vouch-image.yaml": text });
	const said = await problemsOf({ source: "bad" });
	for (const word of ["nam is no key", "platform must be", "epoch", "dockerfile.network", "base", "debian must be"]) {
		assert.ok(said.includes(word), `${word}: ${said}`);
	}
	made("twice", { "vouch-image.yaml": "name: a\nname: b\n" });
	assert.match(await problemsOf({ source: "twice" }), /Line 2/);
	made("alias", { "vouch-image.yaml": "name: &a x\nsource: *a\n" });
	assert.match(await problemsOf({ source: "alias" }), /aliases/);
	const flags = await problemsOf({ source: "root", packages: ["NOT_ONE", "git"], snapshot: "yesterday", uuid: "x" });
	for (const word of ["debian.packages.0", "debian.snapshot", "verity.uuid"]) assert.ok(flags.includes(word), flags);
	assert.match(await problemsOf({ source: "nowhere" }), /There is no nowhere/);
	assert.match(await problemsOf({ source: "root", target: "x" }), /dockerfile is given, and means nothing/);
});

test("no text makes the reader of recipes fail in another way than by listing problems", async () => {
	const word = fc.oneof(
		fc.constantFrom(
			"name",
			"source",
			"dockerfile",
			"contexts",
			"debian",
			"packages",
			"kernel",
			"verity",
			"__proto__",
			"<<",
		),
		fc.string({ maxLength: 12, unit: "binary" }),
	);
	const value = fc.letrec((tie) => ({
		value: fc.oneof({ depthSize: "small" }, word, fc.integer(), fc.constant(null), tie("list"), tie("map")),
		list: fc.array(tie("value"), { maxLength: 4 }),
		map: fc.dictionary(word, tie("value"), { maxKeys: 4 }),
	})).value;
	const punctuation = fc.constantFrom(
		": ",
		"\n",
		"- ",
		"{",
		"}",
		"[",
		"]",
		"&a ",
		"*a",
		"!!js ",
		"|\n",
		"\t",
		"%YAML 1.1\n",
		"---\n",
		'"',
		"'",
		"#",
		"? ",
	);
	const text = fc.oneof(
		value.map((one) => JSON.stringify(one)),
		fc.array(fc.oneof(word, punctuation), { maxLength: 30 }).map((words) => words.join("")),
		fc.nat({ max: 5000 }).map((depth) => "[".repeat(depth)),
	);
	await fc.assert(
		fc.asyncProperty(text, async (given) => {
			const reading = await readRecipeText(given);
			if (reading.kind === "invalid") {
				assert.ok(reading.problems.length > 0);
				for (const problem of reading.problems) assert.match(problem, /[.]$/s);
			}
		}),
		{ numRuns: 400 },
	);
});

test("whatever flags say, the answer is a whole recipe or recipe-invalid", async () => {
	made("app", { Dockerfile: "FROM scratch\n" });
	const text = fc.oneof(
		fc.string({ maxLength: 20, unit: "binary" }),
		fc.constantFrom("app", "root", "debian:bookworm", "..", "a/b:c", "oci:x:y"),
	);
	const some = fc.option(text, { nil: undefined });
	const request = fc.record({
		source: text,
		kind: some,
		name: some,
		rootfs: some,
		target: some,
		builder: some,
		snapshot: some,
		packages: fc.array(text, { maxLength: 2 }),
		contexts: fc.dictionary(text, text, { maxKeys: 2 }),
	});
	await fc.assert(
		fc.asyncProperty(request, async (given) => {
			const known = Object.fromEntries(Object.entries(given).filter(([, one]) => one !== undefined));
			try {
				recipeSchema.parse(await recipe(known as unknown as RecipeRequest));
			} catch (error) {
				assert.ok(error instanceof VouchError && error.code === "recipe-invalid", String(error));
			}
		}),
		{ numRuns: 300 },
	);
});

test("a name comes from the last word of the source", () => {
	const names: readonly (readonly [string, string | null])[] = [
		["./My_App/", "my-app"],
		["debian:bookworm?packages=git", "debian-bookworm"],
		["root.tar.gz", "root"],
		["...", null],
	];
	for (const [source, name] of names) assert.equal(nameFrom(source, "/home/me"), name, source);
});
