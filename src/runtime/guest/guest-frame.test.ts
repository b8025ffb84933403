import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteQueue } from "./byte-queue.ts";
import { FrameReader, type GuestFrame, ProtocolViolation } from "./guest-frame.ts";
import { FRAME_TYPE } from "./protocol.ts";
import { dataFrame, exitFrame, guestFrame, openFrame, READY, words } from "./scripted-guest.ts";

function framesOf(chunks: readonly Uint8Array[]): GuestFrame[] {
	const reader = new FrameReader();
	return chunks.flatMap((chunk) => [...reader.frames(Buffer.from(chunk))]);
}

/** Parts of DATA joined again: where they were cut says nothing. */
function joined(frames: readonly GuestFrame[]): unknown[] {
	const out: { stream?: number; hex?: string; frame?: GuestFrame }[] = [];
	for (const frame of frames) {
		const last = out.at(-1);
		if (frame.kind !== "data") out.push({ frame });
		else if (last?.stream === frame.stream) last.hex += frame.bytes.toString("hex");
		else out.push({ stream: frame.stream, hex: frame.bytes.toString("hex") });
	}
	return out;
}

const HONEST = [
	READY,
	guestFrame(FRAME_TYPE.helloOk, 0, words(1)),
	openFrame(16),
	dataFrame(16, "GET / HTTP/1.1\r\n\r\n"),
	guestFrame(FRAME_TYPE.credit, 16, words(65_536)),
	guestFrame(FRAME_TYPE.end, 16),
	guestFrame(FRAME_TYPE.reset, 18, words(2)),
	dataFrame(2, "out"),
	guestFrame(FRAME_TYPE.ping, 0, Buffer.from("x")),
	exitFrame(7),
	guestFrame(FRAME_TYPE.end, 5),
];

test("frames are read the same however their bytes are cut", () => {
	const whole = Buffer.concat(HONEST);
	const expected = joined(framesOf([whole]));
	assert.equal(expected.length, HONEST.length);
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: 40 }), (cuts) => {
			const at = [0, ...cuts.sort((a, b) => a - b), whole.length];
			const chunks = at.slice(1).map((end, index) => whole.subarray(at[index], end));
			assert.deepEqual(joined(framesOf(chunks)), expected);
		}),
		{ numRuns: 300 },
	);
});

test("any bytes are frames or a violation, never another error", () => {
	fc.assert(
		fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (chunks) => {
			try {
				framesOf(chunks);
			} catch (error) {
				assert.ok(error instanceof ProtocolViolation, String(error));
			}
		}),
		{ numRuns: 3000 },
	);
});

test("any payload under any honest header is a frame or a violation", () => {
	const type = fc.constantFrom(...Object.values(FRAME_TYPE), 0, 18, 255);
	fc.assert(
		fc.property(type, fc.nat({ max: 40 }), fc.uint8Array({ maxLength: 120 }), (kind, stream, payload) => {
			try {
				framesOf([guestFrame(kind, stream, payload)]);
			} catch (error) {
				assert.ok(error instanceof ProtocolViolation, String(error));
			}
		}),
		{ numRuns: 3000 },
	);
});

for (const [what, bytes] of [
	["a type that only hosts send", guestFrame(FRAME_TYPE.hello, 0, new Uint8Array(80))],
	["reserved flags", Buffer.from([4, 1, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 65])],
	["reserved zeros", Buffer.from([4, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 65])],
	["a payload over 65536 bytes", words(FRAME_TYPE.data, 2, 65_537)],
	["a length of 4 GiB", words(FRAME_TYPE.data, 2, 0xffff_ffff)],
	["data without a byte", guestFrame(FRAME_TYPE.data, 2)],
	["data on the control stream", dataFrame(0, "x")],
	["EXIT on a stream", guestFrame(FRAME_TYPE.exit, 2, new Uint8Array(8))],
	["an exit code of 256", exitFrame(256)],
	["signal 0", exitFrame(0, 1)],
	["an odd connection", openFrame(17)],
	["a connection below 16", openFrame(14)],
	["a connection of no kind", guestFrame(FRAME_TYPE.open, 16, new Uint8Array(40))],
	["READY without the magic number", guestFrame(FRAME_TYPE.ready, 0, new Uint8Array(9))],
	["a long PING", guestFrame(FRAME_TYPE.ping, 0, new Uint8Array(65))],
	["a credit of 3 bytes", guestFrame(FRAME_TYPE.credit, 2, new Uint8Array(3))],
] as const) {
	test(`a violation: ${what}`, () => assert.throws(() => framesOf([bytes]), ProtocolViolation));
}

test("a long payload is refused at its header, before a byte of it is waited for or kept", () => {
	assert.throws(() => framesOf([words(FRAME_TYPE.exit, 0, 100_000)]), ProtocolViolation);
});

test("a queue gives back what was put in, in as few blocks as it needs", () => {
	fc.assert(
		fc.property(
			fc.array(fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 70_000 })), { maxLength: 30 }),
			(steps) => {
				const queue = new ByteQueue();
				const given: Buffer[] = [];
				const taken: Buffer[] = [];
				for (const step of steps) {
					if (typeof step !== "number") {
						queue.push(Buffer.from(step));
						given.push(Buffer.from(step));
						continue;
					}
					const part = queue.shift(step);
					if (part !== null) taken.push(Buffer.from(part));
				}
				for (let part = queue.shift(1000); part !== null; part = queue.shift(1000)) taken.push(Buffer.from(part));
				assert.deepEqual(Buffer.concat(taken), Buffer.concat(given));
				assert.equal(queue.length, 0);
			},
		),
		{ numRuns: 300 },
	);
});
