import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyReader } from "./http-body.ts";
import { endToEndFields, parseRequestHead, parseResponseHead } from "./http-head.ts";
import { judgePath } from "./http-path.ts";
import { shapeOf } from "./sniff.ts";

const limits = { bytes: 16_384, fields: 100 };
const request = (text: string) => parseRequestHead(Buffer.from(text, "latin1"), limits);

test("a plain request head is read whole and what follows is left", () => {
	const parsed = request("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nX:\t y \r\n\r\nabc");
	assert.equal(parsed.state, "head");
	if (parsed.state !== "head") return;
	const { method, target, version, host, framing, length, fields } = parsed.head;
	assert.deepEqual([method, target, version, host, length], ["POST", "/a?b", "1.1", "h", 58]);
	assert.deepEqual(framing, { kind: "length", bytes: 3 });
	assert.equal(fields[2]?.value, "y");
});

const MALFORMED: readonly (readonly [what: string, head: string])[] = [
	["HTTP/0.9", "GET /\r\n\r\n"],
	["HTTP/2", "GET / HTTP/2.0\r\n\r\n"],
	["two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"],
	["trailing space", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"],
	["leading empty line", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"],
	["no Host", "GET / HTTP/1.1\r\n\r\n"],
	["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"],
	["space before colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n"],
	["folded line", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"],
	["no colon", "GET / HTTP/1.1\r\nHost: h\r\nbare\r\n\r\n"],
	["bare LF", "GET / HTTP/1.1\nHost: h\n\n"],
	["bare LF between fields", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n"],
	["bare CR", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n"],
	["NUL", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0\r\n\r\n"],
	["both framings", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"],
	["equal lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"],
	["negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"],
	["hexadecimal length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\n"],
	["huge length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999999999\r\n\r\n"],
	["unknown coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
	["coding twice", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"],
	["coding in 1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"],
	["101 fields", `GET / HTTP/1.1\r\nHost: h\r\n${"a: b\r\n".repeat(100)}\r\n`],
	["16 KiB", `GET / HTTP/1.1\r\nHost: h\r\na: ${"b".repeat(16_384)}`],
];
for (const [what, head] of MALFORMED) test(`malformed: ${what}`, () => assert.equal(request(head).state, "malformed"));

test("fields that Connection names do not pass, and framing is never copied", () => {
	const parsed = request(
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: Close, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\nA: 1\r\n\r\n",
	);
	assert.ok(parsed.state === "head");
	assert.deepEqual(parsed.head.fields.length && endToEndFields(parsed.head.fields).map((field) => field.name), [
		"Host",
		"A",
	]);
});

test("responses: status lines, framing, and ambiguity", () => {
	const read = (text: string) => parseResponseHead(Buffer.from(text), limits);
	const plain = read("HTTP/1.1 204 No Content\r\n\r\n");
	assert.ok(plain.state === "head" && plain.head.status === 204 && plain.head.framing.kind === "until-close");
	assert.equal(read("HTTP/1.1 200\r\n\r\n").state, "head");
	for (const text of [
		"HTTP/1.1 999 x\r\n\r\n",
		"ICY 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	]) {
		assert.equal(read(text).state, "malformed");
	}
});

for (const chunk of [
	"g\r\n",
	" 5\r\n",
	"5 \r\n",
	"0x5\r\n",
	"-1\r\n",
	"5\nhello",
	"\r\n",
	"fffffffffffffff\r\n",
	"5\r\nhelloX",
	"5;a\rb\r\n",
	`5;${"x".repeat(1100)}`,
]) {
	test(`chunk ${JSON.stringify(chunk.slice(0, 20))} is malformed`, () => {
		assert.equal(bodyReader({ kind: "chunked" }).read(Buffer.from(`${chunk}\r\n0\r\n\r\n`)).state, "malformed");
	});
}

test("trailers are read, bounded and dropped", () => {
	const reader = bodyReader({ kind: "chunked" });
	const step = reader.read(Buffer.from("1\r\na\r\n0\r\nA: b\r\n\r\nNEXT"));
	assert.ok(step.state === "done" && step.used === 17 && Buffer.concat(step.data).toString() === "a");
	assert.equal(bodyReader({ kind: "chunked" }).read(Buffer.from(`0\r\n${"a: b\r\n".repeat(2000)}`)).state, "malformed");
});

const PATHS: readonly (readonly [target: string, verdict: "below" | "outside"])[] = [
	["/v1", "below"],
	["/v1/", "below"],
	["/v1/x?../../", "below"],
	["/v1/a/../b", "below"],
	["/v1/a%20b", "below"],
	["/v1//x", "below"],
	["/v1beta", "outside"],
	["/v1/..", "outside"],
	["/v1/../v2", "outside"],
	["/v2/../v1", "outside"],
	["//v1", "outside"],
	["/%76%31", "outside"],
	["/v1/%2e%2e/x", "outside"],
	["/v1/%2E./x", "outside"],
	["/v1/..%2f", "outside"],
	["/v1/%5c..", "outside"],
	["/v1/%252e", "outside"],
	["/v1/..;a/x", "outside"],
	["/v1/%2e%2e;a/x", "outside"],
	["/v1/%00", "outside"],
	["/v1/%zz", "outside"],
	["/../../v1", "outside"],
	["*", "outside"],
];
for (const [target, verdict] of PATHS)
	test(`path ${target} is ${verdict} /v1`, () => assert.equal(judgePath(target, ["/v1"]).kind, verdict));

const SHAPES: readonly (readonly [bytes: string, kind: string])[] = [
	["", "undecided"],
	["GET", "undecided"],
	["GET /", "http"],
	["get / HTTP/1.1\r\n", "http"],
	["\r\n \tGET / HTTP/1.1\r\n", "http"],
	["FOO /x HTTP/1.1\r\n", "http"],
	["get key\r\n", "opaque"],
	["SSH-2.0-x\r\n", "opaque"],
	["*1\r\n$4\r\nPING\r\n", "opaque"],
	["\x16", "undecided"],
	["\x16\x04x", "undecided"],
	["\x16\x04\x01\x00\x04\x02abc", "opaque"],
	["\x16\x10", "opaque"],
	["\x16\x04\x01\x00\x04\x01abc", "broken-tls"],
	["\x15\x03\x01\x00\x02\x01\x64", "broken-tls"],
	["\x15\x03\x00\x00\x01\x00\x00\x00", "opaque"],
	["FOO\v/x\fHTTP/1.1\r\n", "http"],
	["FOO\r/x\rHTTP/1.1\r\n", "http"],
	["CONNECT\r", "undecided"],
	["CONNECT\r\naccept-version:1.2", "opaque"],
	["A method of over twenty characters".replaceAll(" ", "-"), "undecided"],
	[`LOOK /${"a".repeat(9000)}`, "http"],
	["\x16\x03\x01\x00\x04\x02abc", "broken-tls"],
	["\0\0\0\x08\x04\xd2\x16\x2f", "preamble"],
	["\0\0\0\x08", "undecided"],
	["\0\0\0\x09", "opaque"],
	["\x80\x2e\x01\x03\x01", "broken-tls"],
	["\xff\xfe\0\0\0", "opaque"],
];
for (const [text, kind] of SHAPES) {
	test(`first bytes ${JSON.stringify(text.slice(0, 40))} are ${kind}`, () =>
		assert.equal(shapeOf(Buffer.from(text, "latin1")).kind, kind));
}
