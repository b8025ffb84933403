import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { PlanRequest } from "../driver.ts";
import { type SetupRecord, setupBytes } from "./setup.ts";
import { HELD_SECRETS } from "./view.ts";

/** What a machine's plan says of its guest's setup. */
export interface PlannedSetup {
	/** All that the guest is told to do, but for variables and secrets. */
	readonly setup: readonly SetupRecord[];
	/** Variables set for every workload; its own come after and stand in no plan. */
	readonly baseEnvironment: Readonly<Record<string, string>>;
	/** Files that are read at the start and sent; null for none. */
	readonly secrets: { readonly folder: string; readonly names: readonly string[] } | null;
}

export function plannedSecrets({ workload, secretsFolder }: PlanRequest): PlannedSetup["secrets"] {
	if (workload.secretFiles === undefined || secretsFolder === undefined) return null;
	return { folder: secretsFolder, names: workload.secretFiles };
}

/** The bytes of the setup stream: what the plan says, with the values that no plan holds, and the start. */
export async function wholeSetup(
	{ setup, baseEnvironment, secrets }: PlannedSetup,
	environment: Readonly<Record<string, string>>,
): Promise<Buffer> {
	const files = (secrets?.names ?? []).map(async (name): Promise<SetupRecord> => {
		const bytes = await readFile(join(secrets?.folder ?? "", name));
		return { kind: "secret", path: `${HELD_SECRETS}/${name}`, mode: "0444", bytes };
	});
	const variables = Object.entries({ ...baseEnvironment, ...environment }).map(
		([name, value]): SetupRecord => ({ kind: "environment", name, value }),
	);
	// A file can be made only while there is no root over it.
	const rootAt = setup.findIndex(({ kind }) => kind === "root");
	const records = [...setup.slice(0, rootAt), ...(await Promise.all(files)), ...setup.slice(rootAt)];
	return setupBytes([...records, ...variables, { kind: "run" }]);
}
