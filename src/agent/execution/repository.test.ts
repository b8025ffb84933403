import assert from "node:assert/strict";
import test from "node:test";
import { readRepository } from "./repository.ts";

test("the gate is told host and port of what git would dial", () => {
	const cases: Readonly<Record<string, string>> = {
		"https://github.com/a/b.git": "github.com:443",
		"http://example.com/a": "example.com:80",
		"https://example.com:8443/a": "example.com:8443",
		"git://example.com/a": "example.com:9418",
		"ssh://git@example.com/a": "example.com:22",
		"ssh://git@example.com:2222/a": "example.com:2222",
		"git@example.com:a/b.git": "example.com:22",
		"git@localhost:a": "localhost:22",
	};
	for (const [url, destination] of Object.entries(cases))
		assert.equal(readRepository(url)?.destination, destination, url);
});

test("what git could take for more than a place is refused", () => {
	const refused = [
		"",
		" https://example.com/a",
		"https://example.com/a b",
		"-oProxyCommand=x",
		"--upload-pack=x",
		"ext::sh -c true",
		"ext::sh",
		"file:///etc",
		"ftp://example.com/a",
		"/etc",
		"../up",
		"git@nodot:a",
		"-u@example.com:a",
		"git@-x.example.com:a",
		"git@example.com:-a",
		"https://",
		"https:///a",
		"https:example.com/a",
		"https:\\\\example.com/a",
	];
	for (const url of refused) assert.equal(readRepository(url), undefined, url);
});

test("what logs show holds no password", () => {
	assert.equal(readRepository("https://me:secret@example.com/a.git?token=x")?.shown, "https://example.com/a.git");
	assert.equal(readRepository("deploy@example.com:a.git")?.shown, "example.com:a.git");
});
