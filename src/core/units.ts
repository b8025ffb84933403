/** Sizes and durations as people write them. Binary units only: `64MiB` and `64M` are both 64 * 1024 * 1024 bytes. */

const BYTE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const MS_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bytes of `512`, `64k`, `64KiB`, `1.5G`; undefined when it is not a size or above 2^53 - 1. */
export function parseByteSize(text: string): number | undefined {
	const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:i?b)?|b)?$/i.exec(text.trim());
	return scaled(match, BYTE_UNITS);
}

/** Milliseconds of `500ms`, `30s`, `5m`, `2h`, `1d`; a bare number counts seconds, as in timeout(1). */
export function parseDurationMs(text: string): number | undefined {
	const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/i.exec(text.trim());
	return scaled(match, { ...MS_UNITS, "": 1000 });
}

function scaled(match: RegExpExecArray | null, units: Readonly<Record<string, number>>): number | undefined {
	const factor = match === null ? undefined : units[(match[2] ?? "").toLowerCase()];
	if (match === null || factor === undefined) return undefined;
	const value = Math.round(Number(match[1]) * factor);
	return Number.isSafeInteger(value) ? value : undefined;
}

export function formatBytes(bytes: number): string {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let value = bytes;
	let unit = 0;
	// 1023.9 KiB would print as 1024 KiB: step up where the rounded number would reach the next unit.
	while (value >= (unit === 0 ? 1024 : 1023.5) && unit < units.length - 1) {
		value /= 1024;
		unit += 1;
	}
	return unit === 0 ? `${bytes} B` : `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function formatDurationMs(durationMs: number): string {
	if (Math.round(durationMs) < 1000) return `${Math.round(durationMs)} ms`;
	if (durationMs < 59_950) return `${(durationMs / 1000).toFixed(1)} s`;
	const seconds = Math.round(durationMs / 1000);
	return `${Math.floor(seconds / 60)} m ${seconds % 60} s`;
}
