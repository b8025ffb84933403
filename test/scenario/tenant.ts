import { newId, toBase64 } from "../../src/core/index.ts";
import type { Store } from "../../src/fleet/index.ts";
import { NODE_KEY } from "./node.ts";

/** An account with people, machines and workspaces: rows, since how they come to be is not what is tested here. */
export interface Tenant {
	readonly accountId: string;
	/** Headers of a person of each role. */
	readonly as: Readonly<Record<"approver" | "member", Readonly<Record<string, string>>>>;
	readonly territories: readonly string[];
	readonly facilities: readonly string[];
}

export interface TenantSize {
	readonly nodes: number;
	readonly facilities: number;
	readonly signs: "receipts" | "nothing";
}

export function newTenant(store: Store, size: TenantSize): Promise<Tenant> {
	return store.transaction(async ({ db, nowMs }) => {
		const accountId = newId<string>(nowMs);
		const stamps = { created_at: nowMs, updated_at: nowMs };
		await db
			.insertInto("accounts")
			.values({ id: accountId, name: "test", ...stamps })
			.execute();
		const people = (["approver", "member"] as const).map((role) => ({ id: newId<string>(nowMs), role }));
		const person = { account_id: accountId, name: "somebody", email: null, oidc_subject: null, disabled: 0 as const };
		await db
			.insertInto("users")
			.values(people.map((each) => ({ ...person, ...each, ...stamps })))
			.execute();
		const headersOf = (role: string) => {
			const id = people.find((each) => each.role === role)?.id ?? "";
			return { "x-account-id": accountId, "x-user-id": id };
		};
		const as = { approver: headersOf("approver"), member: headersOf("member") };
		const receipt_public_key = size.signs === "receipts" ? toBase64(NODE_KEY.publicKey.raw) : null;
		const territories = idsOf(size.nodes, nowMs);
		const node = { ...TERRITORY, account_id: accountId, receipt_public_key, last_heartbeat_at: nowMs, ...stamps };
		await db
			.insertInto("territories")
			.values(territories.map((id) => ({ ...node, id })))
			.execute();
		const facilities = idsOf(size.facilities, nowMs);
		const facility = { ...FACILITY, account_id: accountId, owner_id: people[0]?.id ?? "", ...stamps };
		await db
			.insertInto("facilities")
			.values(facilities.map((id) => ({ ...facility, id })))
			.execute();
		return { accountId, as, territories, facilities };
	});
}

function idsOf(count: number, nowMs: number): readonly string[] {
	return Array.from({ length: count }, () => newId<string>(nowMs)).sort();
}

const TERRITORY = {
	name: "node",
	kind: "server",
	platform: null,
	display_name: null,
	labels: "{}",
	capacity: "{}",
	capabilities: '["camera.snap"]',
	runtime_status: "{}",
	location: null,
	tags: "[]",
	max_concurrent: 2,
	nexus_version: null,
	push_token: null,
	push_platform: null,
	status: "online",
};

const FACILITY = {
	territory_id: null,
	name: null,
	kind: "empty",
	repo_url: null,
	repo_ref: null,
	import_path: null,
	affinity: "none",
	retention_policy: '"keep_last_5"',
	size_bytes: 0,
	locked_by_directive_id: null,
};
