import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FRAME_TYPE, STREAM } from "./protocol.ts";
import {
	dataFrame,
	exitFrame,
	guestFrame,
	HELLO_OK,
	openFrame,
	READY,
	ScriptedGuest,
	STARTED,
	words,
} from "./scripted-guest.ts";

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
	const parts: Uint8Array[] = [];
	for await (const part of stream) parts.push(part);
	return Buffer.concat(parts).toString();
}

test("a whole run: greeting, setup, input, output, exit, changes", async () => {
	await using guest = await ScriptedGuest.running();
	const { session } = guest;
	const hello = await guest.hears(FRAME_TYPE.hello);
	assert.equal(hello.payload.readBigUInt64LE(8), 1_700_000_000_000_000_000n);
	assert.deepEqual(hello.payload.subarray(16), Buffer.alloc(64, 7));
	assert.equal(guest.dataOf(STREAM.setup).toString(), "setup");
	session.stdin.end("typed");
	await guest.hears(FRAME_TYPE.end, STREAM.stdin);
	assert.equal(guest.dataOf(STREAM.stdin).toString(), "typed");
	guest.say(dataFrame(2, "out"), dataFrame(3, "err"), guestFrame(FRAME_TYPE.end, 2), exitFrame(7));
	assert.deepEqual(await Promise.all([textOf(session.stdout), textOf(session.stderr)]), ["out", "err"]);
	assert.deepEqual(await session.ended, { kind: "workload", exitCode: 7, memory: "within-limit", facts: {} });
	const changes = session.collect();
	await guest.hears(FRAME_TYPE.collect);
	guest.say(dataFrame(5, "changes"), guestFrame(FRAME_TYPE.end, 5));
	assert.equal(await textOf(changes), "changes");
	assert.equal(session.failure, null);
});

test("a signal that ended the workload is 128 + N, and the memory limit is told", async () => {
	await using guest = await ScriptedGuest.running();
	guest.say(exitFrame(9, 1, 1));
	assert.deepEqual(await guest.session.ended, { kind: "workload", exitCode: 137, memory: "limit-met", facts: {} });
});

test("signals go to the guest by number, and a kill that brings no word is given up", async () => {
	await using guest = await ScriptedGuest.running({ killMs: 50 });
	guest.lives();
	guest.session.signal(15);
	assert.deepEqual((await guest.hears(FRAME_TYPE.signal)).payload, words(15));
	await new Promise<void>((resolve) => guest.session.kill(resolve));
});

test("output that nobody reads makes the guest wait: no more credit than one window", async () => {
	await using guest = await ScriptedGuest.running();
	guest.lives();
	await guest.hears(FRAME_TYPE.credit, 2);
	const window = guest.creditOf(2);
	for (let sent = 0; sent < window; sent += 65_536) guest.say(dataFrame(2, Buffer.alloc(65_536)));
	await delay(100);
	assert.ok(guest.creditOf(2) - window <= 131_072, `${guest.creditOf(2)}`);
	guest.session.stdout.resume();
	while (guest.creditOf(2) < 2 * window - window / 4) await delay(5);
});

test("a flood of single bytes is kept in bounded memory", async () => {
	await using guest = await ScriptedGuest.running({ stallMs: 20_000 });
	await guest.hears(FRAME_TYPE.credit, 2);
	const before = process.memoryUsage();
	const flood = Buffer.concat(Array.from({ length: 5000 }, () => dataFrame(2, "x")));
	for (let sent = 0; sent + 5000 <= 2 ** 20; sent += 5000) {
		if (!guest.socket.write(flood)) await new Promise((resolve) => guest.socket.once("drain", resolve));
	}
	await delay(50);
	const after = process.memoryUsage();
	const grown = after.heapUsed + after.external - before.heapUsed - before.external;
	assert.ok(grown < 60 * 2 ** 20, `${grown} bytes for 1 MiB`);
});

test("a connection is one to the gate, with half-closes both ways, and is counted", async () => {
	await using guest = await ScriptedGuest.running();
	guest.lives();
	guest.say(openFrame(16));
	await guest.hears(FRAME_TYPE.credit, 16);
	guest.say(guestFrame(FRAME_TYPE.credit, 16, words(262_144)), dataFrame(16, "question"));
	guest.say(guestFrame(FRAME_TYPE.end, 16));
	while (guest.atGate.length === 0) await delay(5);
	const [gate] = guest.atGate;
	assert.ok(gate !== undefined);
	assert.equal(await textOf(gate), "VOUCH1 tcp 16 10.0.2.2 40000 198.18.0.1 443\nquestion");
	gate.end("answer");
	await guest.hears(FRAME_TYPE.end, 16);
	assert.equal(guest.dataOf(16).toString(), "answer");
	while (guest.events.length === 0) await delay(5);
	assert.deepEqual(guest.events, [{ event: "connection", id: 16, received: 8, sent: 6 }]);
	// Frames with their headers, as an interface counts: OPEN and one DATA out, one DATA in.
	assert.deepEqual(guest.session.counters, {
		txBytes: 12 + 40 + 12 + 8,
		txPackets: 2,
		rxBytes: 12 + 6,
		rxPackets: 1,
		retransmittedBytes: 0,
	});
});

test("a gate that does not read makes the guest wait, and 1 MiB arrives whole in the end", async () => {
	await using guest = await ScriptedGuest.running();
	guest.lives();
	guest.say(openFrame(16));
	await guest.hears(FRAME_TYPE.credit, 16);
	let [sent, granted] = [0, 0];
	const whole = Buffer.alloc(2 ** 20, "abcdefg");
	while (guest.atGate.length === 0) await delay(5);
	const [gate] = guest.atGate;
	assert.ok(gate !== undefined);
	gate.pause();
	for (let rounds = 0; sent < whole.length && rounds < 2000; rounds += 1) {
		granted = guest.creditOf(16);
		const part = whole.subarray(sent, Math.min(granted, sent + 65_536));
		if (part.length > 0) guest.say(dataFrame(16, part));
		sent += part.length;
		if (rounds === 100) {
			assert.ok(granted <= 2 * 262_144 + 65_536, `${granted} granted while nobody read`);
			gate.resume();
			gate.on("data", () => {});
		}
		await delay(2);
	}
	assert.equal(sent, whole.length);
	guest.say(guestFrame(FRAME_TYPE.end, 16));
	await new Promise((resolve) => gate.once("end", resolve));
	assert.equal(gate.bytesRead - "VOUCH1 tcp 16 10.0.2.2 40000 198.18.0.1 443\n".length, whole.length);
});

test("a gate that breaks off resets the guest's stream; a guest's reset cuts the gate's", async () => {
	await using guest = await ScriptedGuest.running();
	guest.lives();
	guest.say(openFrame(16), openFrame(18));
	while (guest.atGate.length < 2) await delay(5);
	guest.atGate[0]?.destroy();
	guest.say(guestFrame(FRAME_TYPE.reset, 18, words(0)));
	const second = guest.atGate[1];
	second?.resume();
	await new Promise((resolve) => second?.once("end", resolve));
	while (guest.events.length < 1) await delay(5);
	assert.ok(guest.events.some((event) => event.event === "connection" && event.id === 18));
});

test("more connections than are carried are refused and told of", async () => {
	await using guest = await ScriptedGuest.running({}, 2);
	guest.lives();
	guest.say(openFrame(16), openFrame(18), openFrame(20));
	const refused = await guest.hears(FRAME_TYPE.reset, 20);
	assert.deepEqual(refused.payload, words(1));
	assert.deepEqual(guest.events, [{ event: "connection", id: 20, received: 0, sent: 0 }]);
});

test("a question is no connection of the ledger; one that is too long is a datagram that was refused", async () => {
	await using guest = await ScriptedGuest.running();
	guest.lives();
	guest.say(openFrame(16, 53, 2), dataFrame(16, Buffer.from([0, 1, 7])), guestFrame(FRAME_TYPE.end, 16));
	while (guest.atGate.length === 0) await delay(5);
	guest.atGate[0]?.end("answer");
	guest.say(openFrame(18, 53, 2));
	await guest.hears(FRAME_TYPE.credit, 18);
	guest.say(dataFrame(18, Buffer.alloc(5000)));
	assert.deepEqual((await guest.hears(FRAME_TYPE.reset, 18)).payload, words(1));
	assert.deepEqual(
		guest.events.map((event) => (event.event === "datagram" ? [event.port, event.bytes] : event.event)),
		[[53, 5000]],
	);
});

test("refused datagrams: each flow at first sight and once more at the end, at most 256 flows", async () => {
	const guest = await ScriptedGuest.running();
	const datagram = (port: number) => {
		const payload = Buffer.alloc(24);
		payload.set([17, 4]);
		payload.writeUInt16LE(port, 2);
		payload.writeUInt32LE(100, 4);
		payload.set([1, 2, 3, 4], 8);
		return guestFrame(FRAME_TYPE.refusedDatagram, 0, payload);
	};
	guest.say(datagram(9), datagram(9), datagram(9));
	for (let port = 1000; port < 1400; port += 1) guest.say(datagram(port));
	guest.say(exitFrame(0));
	await guest.session.ended;
	await guest[Symbol.asyncDispose]();
	const told = guest.events.filter((event) => event.event === "datagram");
	assert.equal(
		told.reduce((sum, { bytes }) => sum + bytes, 0),
		403 * 100,
	);
	assert.equal(
		told.reduce((sum, { packets }) => sum + packets, 0),
		403,
	);
	assert.equal(told.filter(({ port }) => port === 9).length, 2);
	assert.ok(told.length <= 256 + 3);
	assert.equal(guest.session.counters.txPackets, 403);
});

const FAILURES: readonly (readonly [what: string, reason: string, act: (guest: ScriptedGuest) => void])[] = [
	["ends early", "guest-lost", (guest) => guest.socket.destroy()],
	["falls silent", "guest-stalled", () => {}],
	["says that its root does not verify", "verity", (guest) => failed(guest, 1)],
	["says that the host broke the protocol", "guest-protocol", (guest) => failed(guest, 3)],
	["gives up", "guest-lost", (guest) => failed(guest, 5)],
	["sends output beyond its credit", "guest-protocol", (guest) => flood(guest, 2)],
	["sends changes that nobody asked for beyond the credit", "guest-protocol", (guest) => flood(guest, 5)],
	["sends on a stream that it never opened", "guest-protocol", (guest) => guest.say(dataFrame(400, "x"))],
	["opens a stream twice", "guest-protocol", (guest) => guest.say(openFrame(16), openFrame(16))],
	["opens streams backwards", "guest-protocol", (guest) => guest.say(openFrame(18), openFrame(16))],
	["sends on a connection beyond its credit", "guest-protocol", (guest) => overrun(guest)],
	["sends after it ended a connection", "guest-protocol", (guest) => afterEnd(guest)],
	["sends input", "guest-protocol", (guest) => guest.say(dataFrame(1, "x"))],
	["grants credit on its own output", "guest-protocol", (guest) => guest.say(credit(2, 5))],
	["grants nothing", "guest-protocol", (guest) => guest.say(credit(1, 0))],
	["grants without end", "guest-protocol", (guest) => guest.say(credit(1, 0xffff_ffff))],
	["is ready twice", "guest-protocol", (guest) => guest.say(READY)],
	["greets twice", "guest-protocol", (guest) => guest.say(HELLO_OK)],
	["sends no frames", "guest-protocol", (guest) => guest.socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
	["lies about a length", "guest-protocol", (guest) => guest.say(words(FRAME_TYPE.exit, 0, 0xffff_ffff))],
	["promises bytes that never come", "guest-stalled", (guest) => guest.say(words(FRAME_TYPE.data, 2, 65_536))],
];

function failed(guest: ScriptedGuest, reason: number): void {
	guest.say(guestFrame(FRAME_TYPE.failed, 0, Buffer.concat([words(reason), Buffer.from("why\u001b[31m")])));
}

function credit(stream: number, bytes: number): Buffer {
	return guestFrame(FRAME_TYPE.credit, stream, words(bytes));
}

function flood(guest: ScriptedGuest, stream: number): void {
	for (let sent = 0; sent < 3 * 2 ** 20; sent += 65_536) guest.say(dataFrame(stream, Buffer.alloc(65_536)));
}

function overrun(guest: ScriptedGuest): void {
	guest.say(openFrame(16));
	for (let sent = 0; sent < 3 * 2 ** 20; sent += 65_536) guest.say(dataFrame(16, Buffer.alloc(65_536)));
}

function afterEnd(guest: ScriptedGuest): void {
	guest.say(openFrame(16), dataFrame(16, "a"), guestFrame(FRAME_TYPE.end, 16), dataFrame(16, "b"));
}

for (const [what, reason, act] of FAILURES) {
	test(`a guest that ${what} ends the run: ${reason}`, async () => {
		await using guest = await ScriptedGuest.running();
		const began = performance.now();
		act(guest);
		const ending = await guest.session.ended;
		assert.equal(ending.kind === "failed" && ending.reason, reason, JSON.stringify(ending));
		assert.ok(!/[^\x20-\x7e]/.test(ending.kind === "failed" ? ending.message : ""));
		assert.ok(performance.now() - began < 20_000);
		assert.equal(guest.session.stdin.destroyed, true);
		guest.session.stdout.resume();
		await new Promise((resolve) => guest.session.stdout.once("end", resolve));
	});
}

test("a guest that never comes up", async () => {
	await using guest = await ScriptedGuest.meet({ bootMs: 60 });
	await assert.rejects(guest.session.begin(Buffer.from("setup")));
	const ending = await guest.session.ended;
	assert.equal(ending.kind === "failed" && ending.reason, "boot-timeout");
});

test("a guest that ends before it came up", async () => {
	await using guest = await ScriptedGuest.meet();
	guest.socket.destroy();
	const ending = await guest.session.ended;
	assert.equal(ending.kind === "failed" && ending.reason, "guest-lost");
});

test("a guest of a generation that is too old, or in a bad state", async () => {
	for (const [generation, state] of [
		[0, 0],
		[1, 3],
	] as const) {
		await using guest = await ScriptedGuest.meet();
		const payload = Buffer.concat([READY.subarray(12, 16), words(generation), Buffer.from([state])]);
		guest.say(guestFrame(FRAME_TYPE.ready, 0, payload));
		assert.equal((await guest.session.ended).kind, "failed");
	}
});

test("a guest that never takes its setup is stalled", async () => {
	await using guest = await ScriptedGuest.meet({ stallMs: 800 });
	const begun = guest.session.begin(Buffer.alloc(300_000));
	guest.say(READY);
	await guest.hears(FRAME_TYPE.hello);
	guest.say(HELLO_OK);
	await assert.rejects(begun);
	const ending = await guest.session.ended;
	assert.equal(ending.kind === "failed" && ending.reason, "guest-stalled");
	assert.equal(guest.dataOf(STREAM.setup).length, 65_536, "no more than what needs no credit");
});

test("setup that fails is told apart from a workload that fails", async () => {
	await using guest = await ScriptedGuest.meet();
	const begun = guest.session.begin(Buffer.from("setup"));
	guest.say(READY);
	await guest.hears(FRAME_TYPE.hello);
	guest.say(HELLO_OK);
	await guest.hears(FRAME_TYPE.ping);
	failed(guest, 2);
	await assert.rejects(begun);
	assert.deepEqual(await guest.session.ended, { kind: "not-started", message: "why [31m" });
});

test("a guest that answers signs of life is left alone however long its workload says nothing", async () => {
	await using guest = await ScriptedGuest.running({ heartbeatMs: 20, stallMs: 500 });
	guest.lives();
	await delay(1_000);
	guest.say(exitFrame(0));
	assert.equal((await guest.session.ended).kind, "workload");
});

test("frames that mean nothing are read at a bounded rate, and the guest still ends in order", async () => {
	await using guest = await ScriptedGuest.running({ heartbeatMs: 100, stallMs: 20_000 });
	const pongs = Buffer.concat(Array.from({ length: 5000 }, () => STARTED));
	const began = performance.now();
	for (let sent = 0; sent < 12; sent += 1) {
		if (!guest.socket.write(pongs)) await new Promise((resolve) => guest.socket.once("drain", resolve));
	}
	guest.say(exitFrame(0));
	assert.equal((await guest.session.ended).kind, "workload");
	// 60,000 frames at 20,000 a second, the first second's worth at once.
	assert.ok(performance.now() - began > 1500, `${performance.now() - began}`);
});

test("a guest that asks for answers and never reads them is not answered without end", async () => {
	await using guest = await ScriptedGuest.running({ heartbeatMs: 50, stallMs: 600 });
	guest.socket.pause();
	const pings = Buffer.concat(Array.from({ length: 800 }, () => guestFrame(FRAME_TYPE.ping, 0, Buffer.alloc(64))));
	const before = process.memoryUsage();
	const flood = setInterval(() => guest.socket.writableLength < 2 ** 20 && guest.socket.write(pings), 1);
	await delay(1500);
	const after = process.memoryUsage();
	clearInterval(flood);
	assert.ok(after.external + after.heapUsed - before.external - before.heapUsed < 30 * 2 ** 20);
});

test("what fails while changes are collected is the failure of the run", async () => {
	await using guest = await ScriptedGuest.running();
	guest.say(exitFrame(0));
	await guest.session.ended;
	const changes = guest.session.collect();
	guest.say(dataFrame(5, "F"));
	guest.socket.destroySoon();
	await textOf(changes);
	while (guest.session.failure === null) await delay(5);
	assert.equal(guest.session.failure.kind === "failed" && guest.session.failure.reason, "guest-lost");
});

test("changes that trickle for ever end", async () => {
	await using guest = await ScriptedGuest.running({ collectMs: 200 });
	guest.lives();
	guest.say(exitFrame(0));
	await guest.session.ended;
	const trickle = setInterval(() => guest.say(dataFrame(5, "x")), 20);
	await textOf(guest.session.collect());
	clearInterval(trickle);
	assert.equal(guest.session.failure?.kind === "failed" && guest.session.failure.reason, "guest-stalled");
});
