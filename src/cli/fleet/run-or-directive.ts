import type { FlagValues } from "../command.ts";
import { realParts } from "../run/parts.ts";

/** As runs and directives have them: UUIDs. */
export function isWholeId(text: string): boolean {
	return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/**
 * Whether `show`, `logs`, `diff` and `receipt` mean a directive: a run that is here wins; else a whole id is a directive's, if a
 * control plane is known. `--server` and `--follow` mean the fleet in any case. What asks a fleet is loaded for a directive alone.
 */
export async function meansDirective(id: string, flags: FlagValues): Promise<boolean> {
	if (flags.has("--server") || flags.has("--follow")) return true;
	if (!isWholeId(id)) return false;
	const { records } = realParts();
	if (records.list().some(({ runId }) => runId === id)) return false;
	const { serverMeant } = await import("./session.ts");
	return serverMeant(flags) !== undefined;
}
