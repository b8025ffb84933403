import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LineSplitter, readReport } from "./supervisor-report.ts";

describe("the supervisor's lines", () => {
	it("are read one by one", () => {
		assert.deepEqual(readReport('{"event":"started","pid":7}'), { kind: "started", programPid: 7 });
		assert.deepEqual(readReport('{"event":"connection","id":1,"received":2,"sent":3}'), {
			kind: "event",
			event: { event: "connection", id: 1, received: 2, sent: 3 },
		});
		const ended = '{"event":"ended","exitCode":null,"signal":15,"cause":"killed","message":null,"counters":null}';
		assert.deepEqual(readReport(ended), {
			kind: "ended",
			ending: { exitCode: null, signal: "SIGTERM", cause: "killed", message: null, counters: null },
		});
	});

	it("are refused when they are anything else", () => {
		for (const line of [
			"",
			"{}",
			'{"event":"other"}',
			'{"event":"started","pid":0}',
			'{"event":"started","pid":1,"x":1}',
		]) {
			assert.throws(() => readReport(line));
		}
		fc.assert(
			fc.property(fc.string(), (line) => void assert.throws(() => readReport(line))),
			{ numRuns: 200 },
		);
	});

	it("are whole wherever the stream was cut", () => {
		fc.assert(
			fc.property(fc.array(fc.stringMatching(/^[ -~]{0,20}$/)), fc.array(fc.nat(50)), (lines, cuts) => {
				const splitter = new LineSplitter();
				let rest = Buffer.from(lines.map((line) => `${line}\n`).join(""));
				const found: string[] = [];
				for (const cut of cuts) {
					found.push(...splitter.lines(rest.subarray(0, cut)));
					rest = rest.subarray(cut);
				}
				found.push(...splitter.lines(rest));
				assert.deepEqual(found, lines);
			}),
		);
	});
});
