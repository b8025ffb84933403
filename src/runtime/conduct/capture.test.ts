import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { KEPT_NOTHING, type Kept, keptOf } from "./beyond-limit.ts";
import { type Captured, capture, type OutputBudget, overflowFile } from "./capture.ts";

function fileIn(context: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "vouch-capture-"));
	context.after(() => rmSync(directory, { recursive: true }));
	return join(directory, "stdout");
}

const hiding = (...secrets: readonly string[]) => ({ secrets, forms: [] });
const shown = (target: Writable) => ({ target, secrets: "shown" }) as const;

function budgetOf(left: number, kept: Kept = KEPT_NOTHING): OutputBudget & { calls: number } {
	const budget = {
		left,
		beyond: 0,
		kept,
		calls: 0,
		exhausted: (): void => {
			budget.calls += 1;
		},
	};
	return budget;
}

function digestOfFile(path: string): string {
	return `sha256:${createHash("sha256").update(readFileSync(path)).digest("hex")}`;
}

const noise = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 31 + (at >> 7)) & 0xff));

test("screen and file get the very bytes, the digest is the file's, and the file is private", async (context) => {
	const path = fileIn(context);
	const screen = new PassThrough();
	const seen = buffer(screen);
	const chunks = [noise.subarray(0, 1), noise.subarray(1, 70_000), noise.subarray(70_000)];
	const captured = await capture(
		Readable.from(chunks),
		shown(screen),
		path,
		hiding(),
		budgetOf(Number.POSITIVE_INFINITY),
	);
	screen.end();
	assert.deepEqual(await seen, noise);
	assert.deepEqual(readFileSync(path), noise);
	assert.deepEqual(captured, { digest: digestOfFile(path), bytes: noise.length, truncated: false });
	assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("secrets are masked in the file and its digest, not on the screen", async (context) => {
	const path = fileIn(context);
	const screen = new PassThrough();
	const seen = buffer(screen);
	const source = Readable.from([Buffer.from("key=hun"), Buffer.from("ter22\n")]);
	const captured = await capture(source, shown(screen), path, hiding("hunter22"), budgetOf(1000));
	screen.end();
	assert.equal((await seen).toString(), "key=hunter22\n");
	assert.equal(readFileSync(path, "utf8"), "key=[secret]\n");
	assert.equal(captured.digest, digestOfFile(path));
	assert.equal(captured.bytes, 13);
});

test("a screen that others see gets what the file gets", async (context) => {
	const path = fileIn(context);
	const screen = new PassThrough();
	const seen = buffer(screen);
	const source = Readable.from([Buffer.from("key=hun"), Buffer.from("ter22\n")]);
	await capture(source, { target: screen, secrets: "masked" }, path, hiding("hunter22"), budgetOf(1000));
	screen.end();
	assert.equal((await seen).toString(), "key=[secret]\n");
	assert.equal(readFileSync(path, "utf8"), "key=[secret]\n");
});

test("an empty stream leaves an empty file", async (context) => {
	const path = fileIn(context);
	const captured = await capture(Readable.from([]), null, path, hiding(), budgetOf(10));
	assert.equal(statSync(path).size, 0);
	assert.deepEqual(captured, { digest: digestOfFile(path), bytes: 0, truncated: false });
});

test("nothing is written over: a file that is there is a failure", async () => {
	await assert.rejects(
		capture(Readable.from([Buffer.from("x")]), null, import.meta.filename, hiding(), budgetOf(10)),
		/EEXIST/,
	);
});

test("two streams share one budget, and what is kept is exactly that", async (context) => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 12 }),
			fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 12 }),
			fc.integer({ min: 0, max: 400 }),
			async (out, err, limit) => {
				const budget = budgetOf(limit);
				const written = [...out, ...err].reduce((sum, size) => sum + size, 0);
				const streams = [out, err].map((sizes) => Readable.from(sizes.map((size) => Buffer.alloc(size, "x"))));
				const paths = [fileIn(context), fileIn(context)];
				const captured = await Promise.all(
					streams.map((stream, at): Promise<Captured> => capture(stream, null, paths[at] ?? "", hiding(), budget)),
				);
				const kept = captured.reduce((sum, { bytes }) => sum + bytes, 0);
				assert.equal(kept, Math.min(written, limit));
				assert.equal(
					paths.reduce((sum, path) => sum + statSync(path).size, 0),
					kept,
				);
				assert.equal(budget.left, limit - kept);
				assert.equal(
					captured.some(({ truncated }) => truncated),
					written > limit,
				);
				assert.equal(budget.calls > 0, written > limit);
			},
		),
		{ numRuns: 60 },
	);
});

test("output of exactly the budget is not truncated", async (context) => {
	const budget = budgetOf(5);
	const captured = await capture(Readable.from([Buffer.from("12345")]), null, fileIn(context), hiding(), budget);
	assert.equal(captured.truncated, false);
	assert.equal(budget.calls, 0);
});

test("a screen that doesn't read holds the command back", async (context) => {
	let given = 0;
	const source = new Readable({
		highWaterMark: 1024,
		read() {
			given += 1024;
			this.push(given > 1024 * 1024 ? null : Buffer.alloc(1024));
		},
	});
	const waiting: (() => void)[] = [];
	const screen = new Writable({ highWaterMark: 4096, write: (_chunk, _encoding, done) => waiting.push(done) });
	const path = fileIn(context);
	const capturing = capture(source, shown(screen), path, hiding(), budgetOf(Number.POSITIVE_INFINITY));
	await new Promise((resolve) => setTimeout(resolve, 50));
	assert.ok(given <= 16 * 1024, `${given} bytes were taken from the command though nobody reads`);
	const drip = setInterval(() => waiting.shift()?.(), 0);
	const drain = (): void => {
		while (waiting.length > 0) waiting.shift()?.();
		if (!source.readableEnded) setImmediate(drain);
	};
	drain();
	const captured = await capturing;
	clearInterval(drip);
	assert.equal(captured.bytes, 1024 * 1024);
});

test("a screen that went away is forgotten; the file holds everything", async (context) => {
	const path = fileIn(context);
	const head = spawn("head", ["-c", "10"], { stdio: ["pipe", "pipe", "inherit"] });
	const seen = buffer(head.stdout);
	const chunks = Array.from({ length: 40 }, () => Buffer.alloc(64 * 1024, "y"));
	const captured = await capture(
		Readable.from(chunks),
		shown(head.stdin),
		path,
		hiding(),
		budgetOf(Number.POSITIVE_INFINITY),
	);
	assert.equal((await seen).toString(), "yyyyyyyyyy");
	assert.equal(captured.bytes, 40 * 64 * 1024);
	assert.equal(statSync(path).size, captured.bytes);
	assert.equal(captured.digest, digestOfFile(path));
});

test("a screen that fails with the last bytes, or after them, throws nothing at anyone", async (context) => {
	const screen = new Writable({
		write: (_chunk, _encoding, done) => void setTimeout(() => done(new Error("EPIPE")), 20),
	});
	const closed = new Promise((resolve) => screen.once("close", resolve));
	const captured = await capture(
		Readable.from([Buffer.from("last")]),
		shown(screen),
		fileIn(context),
		hiding(),
		budgetOf(100),
	);
	assert.equal(captured.bytes, 4);
	await closed;
});

test("a file that can't be written is a failure as soon as it shows, also while the command goes on", async () => {
	const endless = Readable.from(
		(async function* () {
			for (;;) {
				yield Buffer.from("y\n");
				await new Promise((resolve) => setTimeout(resolve, 5));
			}
		})(),
	);
	await assert.rejects(
		capture(endless, null, join(tmpdir(), "vouch-no-such-folder", "stdout"), hiding(), budgetOf(1000)),
		/ENOENT/,
	);
});

test("beyond the limit the end is kept behind a line that says what is missing, and all of it in a file", async (context) => {
	const path = fileIn(context);
	const kept = keptOf(8192, 50_000);
	const lines = Array.from({ length: 10_000 }, (_, at) => `line ${at} hunter22\n`).join("");
	const budget = budgetOf(8192 - kept.reservedBytes, kept);
	const captured = await capture(Readable.from([Buffer.from(lines)]), null, path, hiding("hunter22"), budget);
	const text = readFileSync(path, "utf8");
	const [, head = "", out, tail = ""] = /^(.*)\n\[vouch\] (\d+) bytes are left out here\n(.*)$/s.exec(text) ?? [];
	const masked = lines.replaceAll("hunter22", "[secret]");
	assert.ok(masked.startsWith(head) && masked.endsWith(tail) && tail.length === kept.tailBytes, text.slice(-200));
	assert.equal(head.length + Number(out) + tail.length, masked.length);
	assert.deepEqual([captured.truncated, captured.digest], [true, digestOfFile(path)]);
	assert.ok(captured.bytes <= 8192);
	const overflow = readFileSync(overflowFile(path), "utf8");
	const [, beyond = ""] = /^(.*)\n\[vouch\] \d+ more bytes are kept nowhere\n$/s.exec(overflow) ?? [];
	assert.equal(beyond.length, 50_000);
	assert.ok(masked.slice(head.length).startsWith(beyond.slice(0, 40_000)) && !overflow.includes("hunter22"));
});

test("what fits the limit to its last byte is whole, and no file is left beside it", async (context) => {
	const path = fileIn(context);
	const kept = keptOf(100_000, 1000);
	const budget = budgetOf(100_000 - kept.reservedBytes, kept);
	const captured = await capture(Readable.from([noise.subarray(0, 100_000)]), null, path, hiding(), budget);
	assert.deepEqual(readFileSync(path), noise.subarray(0, 100_000));
	assert.deepEqual([captured.bytes, captured.truncated, existsSync(overflowFile(path))], [100_000, false, false]);
});
