import { newId } from "../../core/index.ts";
import { NEW_DIRECTIVE } from "./new-directive.ts";
import type { Session } from "./store.ts";
import type { DirectiveRow, FacilityRow, TerritoryRow } from "./tables.ts";

/** Rows for tests, of other folders too. One account with its owner, to which everything of a test belongs. */
export interface Owner {
	readonly accountId: string;
	readonly userId: string;
}

export async function addOwner({ db, nowMs }: Session): Promise<Owner> {
	const owner: Owner = { accountId: newId(nowMs), userId: newId(nowMs) };
	const stamps = { created_at: nowMs, updated_at: nowMs };
	await db
		.insertInto("accounts")
		.values({ id: owner.accountId, name: "account", ...stamps })
		.execute();
	const person = { name: "owner", email: null, oidc_subject: null, role: "owner", disabled: 0 as const };
	await db
		.insertInto("users")
		.values({ id: owner.userId, account_id: owner.accountId, ...person, ...stamps })
		.execute();
	return owner;
}

export async function addTerritory(
	{ db, nowMs }: Session,
	owner: Owner,
	kind: "server" | "bridge" = "server",
): Promise<string> {
	const row: TerritoryRow = {
		id: newId(nowMs),
		account_id: owner.accountId,
		name: "node",
		kind,
		platform: null,
		display_name: null,
		labels: "{}",
		capacity: "{}",
		capabilities: "[]",
		runtime_status: "{}",
		location: null,
		tags: "[]",
		max_concurrent: null,
		nexus_version: null,
		receipt_public_key: null,
		push_token: null,
		push_platform: null,
		status: "online",
		last_heartbeat_at: nowMs,
		created_at: nowMs,
		updated_at: nowMs,
	};
	await db.insertInto("territories").values(row).execute();
	return row.id;
}

export async function addFacility(
	{ db, nowMs }: Session,
	owner: Owner,
	only: { readonly territoryId: string | null } = { territoryId: null },
): Promise<string> {
	const row: FacilityRow = {
		id: newId(nowMs),
		account_id: owner.accountId,
		owner_id: owner.userId,
		territory_id: only.territoryId,
		name: null,
		kind: "empty",
		repo_url: null,
		repo_ref: null,
		import_path: null,
		affinity: only.territoryId === null ? "none" : "required",
		retention_policy: '"keep_last_5"',
		size_bytes: 0,
		locked_by_directive_id: null,
		created_at: nowMs,
		updated_at: nowMs,
	};
	await db.insertInto("facilities").values(row).execute();
	return row.id;
}

export function directiveRow(
	{ nowMs }: Session,
	owner: Owner,
	facilityId: string,
	values: Partial<DirectiveRow> = {},
): DirectiveRow {
	return {
		...NEW_DIRECTIVE,
		id: newId(nowMs),
		account_id: owner.accountId,
		facility_id: facilityId,
		requested_by_user_id: owner.userId,
		state: "queued",
		priority: 0,
		max_attempts: 1,
		sandbox_profile: "untrusted",
		command: "true",
		shell: null,
		cwd: null,
		timeout_seconds: 300,
		limits: "{}",
		requested_capabilities: "{}",
		effective_capabilities: "{}",
		policy_snapshot: null,
		approval_reasons: "[]",
		approvals_needed: 1,
		env_allowlist: "[]",
		env_refs: "[]",
		workload: "{}",
		workload_digest: `sha256:${"0".repeat(64)}`,
		needs_workload: 0,
		decision: null,
		created_at: nowMs,
		updated_at: nowMs,
		...values,
	};
}
