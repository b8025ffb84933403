import { resolve } from "node:path";
import type { Action, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { territoryId } from "../fleet/lookup.ts";
import { openSession } from "../fleet/session.ts";
import { viewOf } from "../fleet/views.ts";
import { printJson } from "../screen.ts";

const KINDS = { "--empty": "empty", "--repo": "repo", "--import": "imported_path" } as const;

export const facilityCreateAction: Action = async ({ flags }) => {
	const kind = kindOf(flags);
	const { client } = openSession(flags);
	const folder = flags.text("--import");
	const territory = flags.text("--territory");
	const facility = await client.facilities.create({
		body: {
			kind,
			name: flags.text("--name") ?? null,
			init: {
				repo_url: flags.text("--repo") ?? null,
				ref: flags.text("--ref") ?? null,
				import_path: folder === undefined ? null : resolve(folder),
			},
			territory_id: folder === undefined ? (territory ?? null) : await territoryId(client, territory),
			...(flags.text("--affinity") === "required" ? { affinity: "required" as const } : {}),
		},
	});
	if (flags.has("--json")) printJson(facility);
	else process.stdout.write(viewOf("facilities.show", facility));
	return 0;
};

function kindOf(flags: FlagValues): (typeof KINDS)[keyof typeof KINDS] {
	const given = (["--empty", "--repo", "--import"] as const).filter((name) => flags.has(name));
	if (given.length > 1)
		throw fail("cli.usage", { problem: `${given.join(" and ")} exclude each other: give one of them.` });
	return KINDS[given[0] ?? "--empty"];
}
