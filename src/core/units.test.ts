import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { formatBytes, formatDurationMs, parseByteSize, parseDurationMs } from "./units.ts";

describe("units", () => {
	it("reads sizes", () => {
		const sizes = {
			"512": 512,
			"64k": 65_536,
			"64KiB": 65_536,
			"64 MB": 67_108_864,
			"1.5G": 1_610_612_736,
			"2b": 2,
			"0": 0,
		};
		for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseByteSize(text), bytes, text);
		for (const text of ["", "k", "-1", "1e3", "1,5G", "64iB", "1kk", "0x10", "9".repeat(30), "1P", "NaN"]) {
			assert.equal(parseByteSize(text), undefined, text);
		}
	});

	it("reads durations", () => {
		const durations = { "500ms": 500, "30s": 30_000, "30": 30_000, "5m": 300_000, "1.5h": 5_400_000, "1d": 86_400_000 };
		for (const [text, ms] of Object.entries(durations)) assert.equal(parseDurationMs(text), ms, text);
		for (const text of ["", "s", "-1s", "1w", "1 s s", "9".repeat(30)])
			assert.equal(parseDurationMs(text), undefined, text);
	});

	it("writes durations without a sixtieth second and sizes without a 1024th", () => {
		assert.equal(formatDurationMs(999.7), "1.0 s");
		assert.equal(formatDurationMs(59_990), "1 m 0 s");
		assert.equal(formatDurationMs(119_900), "2 m 0 s");
		assert.equal(formatBytes(1_048_575), "1.0 MiB");
		fc.assert(
			fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), (value) => {
				assert.doesNotMatch(formatDurationMs(value), /\b60(\.0)? s|\b1000 ms/);
				assert.doesNotMatch(formatBytes(Math.floor(value)), /\b10(2[4-9]|[3-9]\d) [KMG]iB/);
			}),
		);
	});
});
