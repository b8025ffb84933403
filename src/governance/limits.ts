import { formatBytes, formatDurationMs, parseByteSize, parseDurationMs } from "../core/index.ts";
import type { LimitName, Limits } from "../runtime/schema.ts";
import type { Policy } from "./policy.ts";
import type { WrittenLimits } from "./schema.ts";

/** One row per limit: its name in a policy, its flag, how it is read and how it is shown. */
export interface LimitRow {
	readonly written: keyof WrittenLimits;
	readonly limit: LimitName;
	readonly flag: string;
	/** The value in the limit's own unit; undefined when the text is none. */
	readonly read: (value: string | number) => number | undefined;
	readonly show: (value: number) => string;
	readonly form: string;
}

const MIB = 2 ** 20;
const SIZE_FORM = "a size such as 512MiB or 2GiB";
const bytes = (value: string | number) => (typeof value === "number" ? undefined : parseByteSize(value));
const mebibytes = (value: string | number) => {
	const size = bytes(value);
	return size === undefined ? undefined : Math.floor(size / MIB);
};
const plainCount = (value: string | number) => (typeof value === "number" ? value : undefined);

export const LIMIT_ROWS: readonly LimitRow[] = [
	{
		written: "cpus",
		limit: "cpuMillicores",
		flag: "--cpus",
		read: (value) => (typeof value === "number" ? Math.round(value * 1000) : undefined),
		show: (millicores) => `${millicores / 1000} cores`,
		form: "a number of cores such as 0.5 or 2",
	},
	{
		written: "memory",
		limit: "memoryMiB",
		flag: "--memory",
		read: mebibytes,
		show: (size) => formatBytes(size * MIB),
		form: SIZE_FORM,
	},
	{
		written: "processes",
		limit: "processes",
		flag: "--processes",
		read: plainCount,
		show: String,
		form: "a whole number",
	},
	{
		written: "open_files",
		limit: "openFiles",
		flag: "--open-files",
		read: plainCount,
		show: String,
		form: "a whole number",
	},
	{
		written: "disk_write",
		limit: "diskWriteMiB",
		flag: "--disk-write",
		read: mebibytes,
		show: (size) => formatBytes(size * MIB),
		form: SIZE_FORM,
	},
	{ written: "output", limit: "outputBytes", flag: "--output", read: bytes, show: formatBytes, form: SIZE_FORM },
	{
		written: "timeout",
		limit: "timeoutMs",
		flag: "--timeout",
		// `timeout: 30` could mean anything; 30s and 30m can't.
		read: (value) => (typeof value === "number" || /^[\d.]+$/.test(value) ? undefined : parseDurationMs(value)),
		show: formatDurationMs,
		form: "a time with its unit such as 90s, 10m or 2h",
	},
];

/**
 * The limits a run gets when these were asked for (null: not asked): what was asked, else the smallest default that a
 * policy has, else the smallest maximum, else null. A default never exceeds another policy's maximum; what was asked
 * for does not change here, and `decide` denies it where it is too much.
 */
export function applyPolicyDefaults(asked: Limits, policies: readonly Policy[]): Limits {
	const limits: Limits = { ...asked };
	for (const { limit } of LIMIT_ROWS) {
		if (asked[limit] !== null) continue;
		const maximum = smallest(policies.map(({ rules }) => rules.maximum[limit]));
		const standard = smallest(policies.map(({ rules }) => rules.standard[limit]));
		limits[limit] = smallest([standard, maximum]) ?? null;
	}
	return limits;
}

function smallest(values: readonly (number | null | undefined)[]): number | undefined {
	const numbers = values.filter((value) => value !== null && value !== undefined);
	return numbers.length === 0 ? undefined : Math.min(...numbers);
}
