import { type ApiFailure, apiFailures, wireCode } from "../../api/index.ts";
import type { Json, VouchError } from "../../core/index.ts";
import type { TerritoryRow } from "../store/tables.ts";

/** Further members of an error body, as existing clients know them: `violations`, `reasons`, `details`. */
const membersOf = new WeakMap<VouchError, Readonly<Record<string, Json>>>();

/** A refusal to throw: its status and body are its row's. */
export function refusal(
	code: ApiFailure,
	details: Readonly<Record<string, string>> = {},
	members: Readonly<Record<string, Json>> = {},
): VouchError {
	const error = apiFailures.fail(code, details);
	membersOf.set(error, members);
	return error;
}

/** Whose request was refused, where it is a territory that proved who it is. */
const refusedTerritories = new WeakMap<Error, TerritoryRow>();

/** The refusal of something that this territory asked for. */
export function refusedTo(territory: TerritoryRow, error: VouchError): VouchError {
	refusedTerritories.set(error, territory);
	return error;
}

export function territoryRefused(error: unknown): TerritoryRow | undefined {
	return error instanceof Error ? refusedTerritories.get(error) : undefined;
}

export function isRefusal(error: unknown): error is VouchError {
	return error instanceof Error && membersOf.has(error as VouchError);
}

/** `{"error": code, "detail": sentence}` and what comes with it. */
export function bodyOf(error: VouchError): Record<string, Json> {
	return { error: wireCode(error.code as ApiFailure), detail: error.message, ...membersOf.get(error) };
}
