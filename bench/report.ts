import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import { type Column, median, quantile } from "./measure.ts";

/** One table of a bench: the same quantity of several contenders, and how each relates to one of them. */
export interface Measurement {
	readonly title: string;
	readonly unit: "ms" | "MiB/s" | "requests/s" | "directives/s" | "MiB";
	readonly columns: readonly Column[];
	/** The contender whose median the others are divided by. */
	readonly base: string;
	/** What we promise of it, and whether it holds. */
	readonly goals: readonly Goal[];
}

export interface Goal {
	readonly says: string;
	readonly found: string;
	readonly met: "met" | "missed";
}

export interface BenchResult {
	readonly name: string;
	readonly measurements: readonly Measurement[];
	/** How it was measured, and what a reader must know before comparing. */
	readonly notes: readonly string[];
}

export function goal(says: string, found: string, holds: () => boolean): Goal {
	return { says, found, met: holds() ? "met" : "missed" };
}

export function medianOf(columns: readonly Column[], name: string): number {
	const column = columns.find((candidate) => candidate.name === name);
	return column === undefined ? Number.NaN : median(column.samples);
}

export function printResult(result: BenchResult): void {
	for (const measurement of result.measurements) process.stdout.write(`\n${tableOf(measurement)}`);
	for (const note of result.notes) process.stdout.write(`  note: ${note}\n`);
}

function tableOf({ title, unit, columns, base, goals }: Measurement): string {
	const baseMedian = medianOf(columns, base);
	const rows = columns.map(({ name, samples }) => [
		name,
		shown(median(samples)),
		`${shown(quantile(samples, 0.1))} - ${shown(quantile(samples, 0.9))}`,
		`${(median(samples) / baseMedian).toFixed(2)} x`,
		String(samples.length),
	]);
	const table = [["", `median ${unit}`, "10 % - 90 %", `of ${base}`, "n"], ...rows];
	const widths = table[0]?.map((_, index) => Math.max(...table.map((row) => row[index]?.length ?? 0))) ?? [];
	const lines = table.map((row) =>
		row
			.map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
			.join("  "),
	);
	const promises = goals.map(({ says, found, met }) => `  ${met === "met" ? "✔" : "✖"} ${says}: ${found}`);
	return `${[title, ...lines.map((line) => `  ${line}`), ...promises].join("\n")}\n`;
}

function shown(value: number): string {
	return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** Raw numbers beside the code, so that a later run can be compared with this one. */
export function writeResult(result: BenchResult, machine: Machine): string {
	const directory = join(import.meta.dirname, "results");
	mkdirSync(directory, { recursive: true });
	const rounded = result.measurements.map((measurement) => ({
		...measurement,
		columns: measurement.columns.map(({ name, samples }) => ({
			name,
			median: round(median(samples)),
			samples: samples.map(round),
		})),
	}));
	const file = join(directory, `${result.name}.json`);
	const time = new Date().toISOString();
	writeFileSync(file, `${JSON.stringify({ ...result, time, machine, measurements: rounded }, null, "\t")}\n`);
	return file;
}

function round(value: number): number {
	return Number(value.toFixed(3));
}
