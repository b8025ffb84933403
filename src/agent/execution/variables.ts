import type { Lease } from "../../api/conduits/schema.ts";
import type { DIRECTIVE_VARIABLES } from "../../api/index.ts";
import type { Workload } from "../../runtime/schema.ts";

/** Values of the workload's variables, which are some of those that every directive gets (conduits section 7.10). Nothing of the daemon's own environment is among them. */
export function variablesOf(
	{ environment }: Workload,
	{ directive_id, spec }: Lease,
	territoryId: string,
): Readonly<Record<string, string>> {
	const values: Readonly<Record<(typeof DIRECTIVE_VARIABLES)[number], string>> = {
		CI: "true",
		CYBROS_DIRECTIVE_ID: directive_id,
		CYBROS_FACILITY_ID: spec.facility.id,
		CYBROS_NEXUS: "1",
		CYBROS_SANDBOX_PROFILE: spec.sandbox_profile,
		CYBROS_TERRITORY_ID: territoryId,
		CYBROS_WORKSPACE: spec.facility.mount ?? "/workspace",
		GIT_PAGER: "cat",
		LANG: "C.UTF-8",
		LC_ALL: "C.UTF-8",
		NO_COLOR: "1",
		PAGER: "cat",
		TERM: "dumb",
	};
	return Object.fromEntries(Object.entries(values).filter(([name]) => environment.includes(name)));
}
