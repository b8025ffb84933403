import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { fakeHost } from "../../../host/index.ts";
import { mirrorsOf, parseLines, parseStanzas } from "./apt-sources.ts";

const stanzas = `# a comment
Types: deb deb-src
URIs: http://mirror.test/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://mirror.test/security
Suites: bookworm-security
Components:
 main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: trixie
Components: main
`;

test("mirrors are those of the machine's own sources, in either style", async () => {
	const files = { "/etc/apt/sources.list.d/debian.sources": "f", "/etc/apt/sources.list.d/other.list": "f" };
	const other = "deb https://other.test/apt stable main\ndeb [arch=amd64] http://late.test/debian trixie main\n";
	const one = fakeHost({
		entries: files,
		texts: { "/etc/apt/sources.list.d/debian.sources": stanzas, "/etc/apt/sources.list.d/other.list": other },
	});
	assert.deepEqual(await mirrorsOf(one, undefined), {
		debian: "http://mirror.test/debian",
		"debian-security": "https://mirror.test/security",
	});
	const lines = "deb http://a.test/debian bookworm main\ndeb http://a.test/sec bookworm-security main # why\n";
	assert.deepEqual(await mirrorsOf(fakeHost({ texts: { "/etc/apt/sources.list": lines } }), undefined), {
		debian: "http://a.test/debian",
		"debian-security": "http://a.test/sec",
	});
});

test("a machine that names none, or another distribution's, takes Debian's own", async () => {
	const none = await mirrorsOf(fakeHost(), undefined);
	assert.match(none.debian, /^http:\/\/deb\.debian\.org\/debian$/);
	const ubuntu = "deb http://u.test/ubuntu noble main\ndeb http://u.test/ubuntu noble-security main\n";
	assert.deepEqual(await mirrorsOf(fakeHost({ texts: { "/etc/apt/sources.list": ubuntu } }), undefined), none);
});

test("a snapshot is Debian's own", async () => {
	const { debian } = await mirrorsOf(fakeHost(), "20250520T000000Z");
	assert.match(debian, /\/archive\/debian\/20250520T000000Z$/);
});

test("no text becomes an address that would be more than one word of a source list", () => {
	const words = fc.string({
		unit: fc.constantFrom("deb ", "http://", "[", "]", "\n", "URIs: ", "Types: deb", " ", "a", '"', "\\", "\t"),
	});
	fc.assert(
		fc.property(fc.oneof(fc.string(), words), (text) => {
			for (const { address } of [...parseLines(text), ...parseStanzas(text)])
				assert.doesNotMatch(address, /[\s"\\[\]]/);
		}),
		{ numRuns: 2000 },
	);
});
