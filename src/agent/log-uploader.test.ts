import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { type LogChunk, LogUploader } from "./log-uploader.ts";
import type { Reply } from "./transport.ts";

const GOOD: Reply = { status: 200, body: {}, retryAfterSeconds: null };
const waiting = { pause: async () => {}, random: () => 0.5 };

function uploader(answer: (chunk: LogChunk) => Reply, maxBytes = 1_000_000) {
	const taken: LogChunk[] = [];
	const send = async (chunk: LogChunk): Promise<Reply> => {
		const reply = answer(chunk);
		if (reply.status === 200) taken.push(chunk);
		return reply;
	};
	return { taken, made: new LogUploader({ send, waiting, maxBytes, stop: new AbortController().signal }) };
}

const textOf = (taken: readonly LogChunk[], stream: string): string =>
	taken
		.filter((chunk) => chunk.stream === stream)
		.map(({ bytes }) => Buffer.from(bytes, "base64").toString())
		.join("");

test("the first output goes at once, what follows goes together", async () => {
	const { made, taken } = uploader(() => GOOD);
	await made.write("stdout", Buffer.from("first"));
	// Timers fire in their order, however busy the machine is.
	await new Promise((resolve) => setTimeout(resolve, 100));
	assert.equal(taken.length, 1);
	for (let count = 0; count < 20; count++) await made.write("stdout", Buffer.from("."));
	await made.end();
	assert.equal(textOf(taken, "stdout"), `first${".".repeat(20)}`);
	assert.equal(taken.length, 2);
});

test("every byte is taken once and in order, whatever is refused for now", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.tuple(fc.constantFrom("stdout" as const, "stderr" as const), fc.integer({ min: 1, max: 90_000 })), {
				maxLength: 12,
			}),
			fc.infiniteStream(fc.constantFrom(200, 200, 429, 503)),
			async (writes, statuses) => {
				const { made, taken } = uploader(() => ({ ...GOOD, status: statuses.next().value ?? 200 }));
				const written = { stdout: "", stderr: "" };
				for (const [index, [stream, size]] of writes.entries()) {
					const text = String.fromCharCode(97 + (index % 26)).repeat(size);
					written[stream] += text;
					await made.write(stream, Buffer.from(text));
				}
				await made.end();
				for (const stream of ["stdout", "stderr"] as const) {
					assert.ok(textOf(taken, stream) === written[stream]);
					const numbers = taken.filter((chunk) => chunk.stream === stream).map(({ seq }) => seq);
					assert.deepEqual(
						numbers,
						numbers.map((_, at) => at),
					);
				}
			},
		),
		{ numRuns: 40 },
	);
});

test("beyond the limit of both streams together nothing is sent but that it was cut", async () => {
	const { made, taken } = uploader(() => GOOD, 10);
	await made.write("stdout", Buffer.from("12345678"));
	await made.write("stderr", Buffer.from("abcdef"));
	await made.write("stdout", Buffer.from("more"));
	await made.end();
	assert.deepEqual([textOf(taken, "stdout"), textOf(taken, "stderr")], ["12345678", "ab"]);
	assert.deepEqual(made.cut, ["stdout", "stderr"]);
	assert.ok(taken.some(({ stream, truncated }) => stream === "stderr" && truncated));
});
