import type { Client } from "../../api/index.ts";
import type { FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { printable } from "../screen.ts";
import { isWholeId } from "./run-or-directive.ts";
import { openSession } from "./session.ts";

/** The id of a facility that was named by its id or by its name. */
export async function facilityId(client: Client, given: string): Promise<string> {
	if (isWholeId(given)) return given;
	const { facilities } = await client.facilities.list({ name: given, limit: 2 });
	const [only, another] = facilities;
	if (only !== undefined && another === undefined) return only.id;
	const problem = only === undefined ? "there is none by that name" : "several have that name";
	throw fail("cli.name-unclear", { kind: "facility", name: given, problem, list: "facility ls" });
}

/** The facility that is named, or the only one there is, and then what to say of that. */
export async function facilityMeant(
	client: Client,
	given: string | undefined,
): Promise<{ readonly id: string; readonly said?: string }> {
	if (given !== undefined) return { id: await facilityId(client, given) };
	const { facilities } = await client.facilities.list({ limit: 2 });
	const [only, another] = facilities;
	if (only === undefined) throw fail("cli.no-facility");
	if (another !== undefined)
		throw fail("cli.usage", { problem: "There are several facilities: say which with --facility." });
	return { id: only.id, said: `in facility ${printable(only.name ?? only.id)}, the only one` };
}

/** The territory that a folder of a machine is on: the one that is named, or the only one that runs directives. */
export async function territoryId(client: Client, given: string | undefined): Promise<string> {
	if (given !== undefined) return given;
	const { territories } = await client.territories.list({ status: "online", limit: 500 });
	const able = territories.filter(({ kind }) => kind === "server" || kind === "desktop");
	const [only] = able;
	if (only !== undefined && able.length === 1) return only.id;
	const problem = able.length === 0 ? "none is online" : `${able.length} are online; say which with --territory`;
	throw fail("cli.name-unclear", { kind: "territory", name: "of the folder", problem, list: "territories" });
}

/** For actions that take one directive. */
export function directiveSession(id: string | undefined, flags: FlagValues) {
	return { ...openSession(flags), directive_id: id ?? "" };
}
