import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { addressesAdded, imagesNamedIn } from "./dockerfile.ts";
import { isLeftOut, rulesOf } from "./ignored-paths.ts";

const facts = { arguments: { VERSION: "3.12" }, contexts: ["base"], platform: "linux/amd64" } as const;

test("images are those that FROM, COPY --from and mounts take from elsewhere", () => {
	const text = [
		"# syntax=docker/dockerfile:1",
		"ARG VERSION=3.11",
		"ARG IMAGE=registry.example/team/tool",
		// biome-ignore lint/suspicious/noTemplateCurlyInString: Dockerfiles write it so
		"FROM --platform=$TARGETPLATFORM python:${VERSION} AS Build",
		"RUN --mount=type=cache,target=/c --mount=type=bind,from=alpine:3,target=/m \\",
		"  # a comment within",
		"  echo FROM nowhere",
		"RUN <<EOF",
		"FROM not-an-image",
		"EOF",
		"FROM $IMAGE:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
		"FROM base",
		"COPY --from=build /a /a",
		"COPY --from=0 /a /a",
		"COPY --chown=1:1 --from=busybox:1.36 /b /b",
		"FROM scratch",
	].join("\n");
	assert.deepEqual(imagesNamedIn(text, facts), [
		"alpine:3",
		"busybox:1.36",
		"python:3.12",
		"registry.example/team/tool:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
	]);
});

test("addresses that ADD would fetch are found, but for those that a checksum binds", () => {
	const text = [
		"FROM base",
		"ADD https://files.example/a.tar /a",
		'add --chown=1:1 ["HTTP://files.example/b", "/b"]',
		`ADD --checksum=sha256:${"0".repeat(64)} https://files.example/c /c`,
		"ADD local.tar git@git.example:team/app.git \\",
		"  /d",
		"RUN echo ADD https://files.example/e",
		"COPY https /https",
	].join("\n");
	assert.deepEqual(addressesAdded(text), [
		"https://files.example/a.tar",
		"HTTP://files.example/b",
		"git@git.example:team/app.git",
	]);
});

test("no text makes the reader of Dockerfiles fail or hang", () => {
	const word = fc.constantFrom(
		"FROM ",
		"ARG ",
		"RUN <<E",
		"\\\n",
		"\n",
		"--from=",
		"$",
		"${",
		"}",
		":-",
		"#escape=`",
		"`",
		'"',
		"AS ",
		"E\n",
	);
	const text = fc.array(fc.oneof(word, fc.string({ maxLength: 6 })), { maxLength: 40 }).map((words) => words.join(""));
	fc.assert(
		fc.property(text, (given) => {
			assert.ok(Array.isArray(imagesNamedIn(given, facts)));
		}),
		{ numRuns: 500 },
	);
});

test("rules of .dockerignore match as Docker's do", () => {
	const cases: readonly (readonly [string, string, boolean])[] = [
		["*.md", "README.md", true],
		["*.md", "docs/README.md", false],
		["**/*.md", "docs/a/README.md", true],
		["docs", "docs/a", true],
		["/docs/", "docs/a", true],
		["d?cs", "docs", true],
		["[a-c]x", "bx", true],
		["a**b", "a/x/b", true],
		["*\n!keep", "keep/inside", false],
		["!x\nx", "x", true],
		["a.b", "aXb", false],
	];
	for (const [text, path, out] of cases) assert.equal(isLeftOut(path, rulesOf(text)), out, `${text} ${path}`);
	fc.assert(
		fc.property(fc.string(), fc.string(), (text, path) => {
			isLeftOut(path, rulesOf(text));
		}),
	);
});
