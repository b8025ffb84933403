/** Every parser of hostile bytes: never throws, never reads past what it was given, and says the same of every cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clientHello, dnsQuery, extension } from "../../test/egress/gate-fixture.ts";
import { parseCarrierHeader } from "./carrier.ts";
import { parseClientHello } from "./client-hello.ts";
import { parseAuthority, parseHost } from "./destination.ts";
import { answerTo, parseQuestion } from "./dns-message.ts";
import { bodyReader, chunkOf, LAST_CHUNK } from "./http-body.ts";
import { parseRequestHead, parseResponseHead } from "./http-head.ts";
import { judgePath } from "./http-path.ts";
import { parseRule } from "./rules.ts";
import { shapeOf } from "./sniff.ts";
import { parseGreeting, parseSocksRequest } from "./socks5.ts";

const RUNS = { numRuns: 400 };
const bytes = fc.uint8Array({ maxLength: 600 }).map((array) => Buffer.from(array));
const wire = fc
	.array(
		fc.constantFrom(
			"GET ",
			"/ ",
			"HTTP/1.1",
			"\r\n",
			"\n",
			"\r",
			":",
			" ",
			"\t",
			"Host",
			"Content-Length",
			"Transfer-Encoding",
			"chunked",
			"5",
			"0",
			",",
			"\0",
			"a",
			"\xff",
		),
		{ maxLength: 60 },
	)
	.map((parts) => Buffer.from(parts.join(""), "latin1"));
/** A valid message with some bytes changed: reaches deeper than noise. */
const mutated = (message: Buffer) =>
	fc.array(fc.tuple(fc.nat(message.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
		const copy = Buffer.from(message);
		for (const [at, value] of changes) copy[at] = value;
		return copy;
	});
const limits = { bytes: 512, fields: 10 };

/** A Proxy-free over-read check: the bytes sit inside a larger buffer, and what lies behind must not matter. */
function same<T>(parse: (input: Buffer) => T, input: Buffer): T {
	const behind = (fill: number): Buffer => {
		const room = Buffer.alloc(input.length + 64, fill);
		input.copy(room);
		return room.subarray(0, input.length);
	};
	const first = parse(behind(0));
	assert.deepEqual(parse(behind(255)), first);
	return first;
}

const hello = clientHello({
	sni: "good.example.test",
	extensions: [extension(0xfe0d, Buffer.alloc(9))],
	recordBytes: 40,
});
const query = dnsQuery("good.example.test");
const socksRequest = Buffer.from("050100030b6578616d706c652e636f6d01bb", "hex");
const carrierLine = Buffer.from("VOUCH1 tcp 7 10.0.2.2 40000 198.18.0.1 443\n");

const parsers: readonly (readonly [string, (input: Buffer) => unknown, fc.Arbitrary<Buffer>])[] = [
	["request head", (input) => parseRequestHead(input, limits), fc.oneof(bytes, wire)],
	["response head", (input) => parseResponseHead(input, limits), fc.oneof(bytes, wire)],
	["chunked body", (input) => bodyReader({ kind: "chunked" }).read(input), fc.oneof(bytes, wire)],
	["SOCKS5 greeting", parseGreeting, bytes],
	["SOCKS5 request", parseSocksRequest, fc.oneof(bytes, mutated(socksRequest))],
	["ClientHello", parseClientHello, fc.oneof(bytes, mutated(hello))],
	["first bytes", shapeOf, fc.oneof(bytes, wire, mutated(hello))],
	["DNS question", (input) => parseQuestion(input, 4096), fc.oneof(bytes, mutated(query))],
	["carrier line", (input) => parseCarrierHeader(input, 200), fc.oneof(bytes, mutated(carrierLine))],
];

for (const [name, parse, inputs] of parsers) {
	test(`fuzz: ${name} never throws and never reads past its end`, () => {
		fc.assert(
			fc.property(inputs, (input) => void same(parse, input)),
			RUNS,
		);
	});
}

test("fuzz: texts of rules, hosts, authorities and paths never throw", () => {
	const text = fc.oneof(
		fc.string({ maxLength: 300 }),
		fc.string({ unit: "binary", maxLength: 80 }),
		fc
			.array(fc.constantFrom("*", ".", ":", "[", "]", "/", "%", "2e", "a", "1", "::", "example", "..", ";"), {
				maxLength: 24,
			})
			.map((parts) => parts.join("")),
	);
	fc.assert(
		fc.property(text, (input) => {
			parseRule(input, "allow");
			parseRule(input, "deny");
			const host = parseHost(input);
			// What is accepted is in its one spelling: reading it again changes nothing.
			if (host.kind === "name") assert.deepEqual(parseHost(host.name), host);
			if (host.kind === "address") assert.deepEqual(parseHost(host.address), host);
			parseAuthority(input, 80);
			judgePath(input, ["/a"]);
		}),
		RUNS,
	);
});

test("fuzz: a chunked body reads the same however it is cut, and stops at its end", () => {
	const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { maxLength: 8 });
	fc.assert(
		fc.property(chunks, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 40 }), (parts, cuts) => {
			const payload = Buffer.concat(parts);
			const framed = Buffer.concat([
				...parts.map((part) => chunkOf([Buffer.from(part)])),
				Buffer.from(`${LAST_CHUNK}NEXT`),
			]);
			const reader = bodyReader({ kind: "chunked" });
			const got: Buffer[] = [];
			let held = Buffer.alloc(0);
			let offset = 0;
			for (let index = 0; offset < framed.length; index += 1) {
				const size = cuts[index % cuts.length] ?? 1;
				held = Buffer.concat([held, framed.subarray(offset, offset + size)]);
				offset += size;
				const step = reader.read(held);
				assert.notEqual(step.state, "malformed");
				if (step.state === "malformed") return;
				got.push(...step.data);
				held = held.subarray(step.used);
				if (step.state === "done") break;
			}
			assert.deepEqual(Buffer.concat(got), payload);
			assert.ok(
				Buffer.concat([held, framed.subarray(offset)])
					.toString()
					.endsWith("NEXT"),
			);
		}),
		RUNS,
	);
});

test("fuzz: every prefix of a whole ClientHello is incomplete", () => {
	for (let length = 0; length < hello.length; length += 1) {
		assert.equal(parseClientHello(hello.subarray(0, length)).state, "incomplete");
	}
	assert.deepEqual(parseClientHello(hello), {
		state: "hello",
		sni: "good.example.test",
		encrypted: "encrypted-client-hello",
	});
});

test("fuzz: answers fit 512 bytes whatever the question", () => {
	fc.assert(
		fc.property(mutated(query), (input) => {
			const parsed = parseQuestion(input, 4096);
			if (parsed.state !== "question") return;
			assert.ok(answerTo(parsed.question, 0, "198.18.0.1", 60).length <= 512);
		}),
		RUNS,
	);
});

/** Of processor time for ten readings, so that a loaded machine changes nothing; what is quadratic takes a hundred times as long. */
const WORST_CPU_US = 1_000_000;

test("the worst inputs are read in bounded time", () => {
	const worst: readonly (readonly [(input: Buffer) => unknown, Buffer])[] = [
		[
			(input) => parseRequestHead(input, { bytes: 16_384, fields: 100 }),
			Buffer.from(`GET / HTTP/1.1\r\n${"a:\t".repeat(9000)}`),
		],
		[
			(input) => parseRequestHead(input, { bytes: 16_384, fields: 100 }),
			Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nA:${"\t ".repeat(8000)}x\r\n\r\n`),
		],
		[parseClientHello, Buffer.from("1603010001".concat("01").repeat(2700), "hex")],
		[
			(input) => parseQuestion(input, 4096),
			Buffer.concat([Buffer.from("123401000001000000000001", "hex"), Buffer.alloc(4000, 0xc0)]),
		],
		[(input) => bodyReader({ kind: "chunked" }).read(input), Buffer.from("1\r\na\r\n".repeat(10_000))],
		[shapeOf, Buffer.alloc(32_768, 0x20)],
	];
	for (const [parse, input] of worst) {
		const before = process.threadCpuUsage();
		for (let times = 0; times < 10; times += 1) parse(input);
		const { user, system } = process.threadCpuUsage(before);
		assert.ok(user + system < WORST_CPU_US, `${parse.toString()} took ${user + system} µs`);
	}
});
