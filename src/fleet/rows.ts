import { canonicalJson, type Json } from "../core/index.ts";

/** Between rows and the wire: times, flags and JSON text. */
export function timeOf(milliseconds: number): string;
export function timeOf(milliseconds: number | null): string | null;
export function timeOf(milliseconds: number | null): string | null {
	return milliseconds === null ? null : new Date(milliseconds).toISOString();
}

/** JSON that we stored ourselves. */
export function jsonOf<T>(text: string): T {
	return JSON.parse(text) as T;
}

/** Canonical text; `undefined` members are left out. */
export function jsonText(value: unknown): string {
	return canonicalJson(JSON.parse(JSON.stringify(value)) as Json);
}

export function flagOf(isSet: unknown): 0 | 1 {
	return isSet === true || isSet === 1 ? 1 : 0;
}

/** Trimmed text, or null for what is blank. */
export function textOf(value: string | null | undefined): string | null {
	const trimmed = value?.trim() ?? "";
	return trimmed === "" ? null : trimmed;
}
