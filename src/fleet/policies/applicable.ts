import type { CapabilityPolicy } from "../../governance/index.ts";
import { isOneOf } from "../store/bulk.ts";
import type { Session } from "../store/store.ts";
import type { PolicyRow } from "../store/tables.ts";

/** What policies are chosen for (conduits section 6.2). */
export interface PolicyScope {
	readonly accountId: string;
	readonly userId: string;
	readonly facilityId: string;
}

export interface StoredPolicy {
	readonly id: string;
	readonly priority: number;
	readonly dimensions: CapabilityPolicy;
}

/** For each of these, the active policies that apply, by ascending priority: later ones are narrower by convention. */
export async function applicablePolicies(
	session: Session,
	scopes: readonly PolicyScope[],
): Promise<readonly (readonly StoredPolicy[])[]> {
	const accountIds = [...new Set(scopes.map(({ accountId }) => accountId))];
	const scopeIds = [...new Set(scopes.flatMap((scope) => Object.values(scope) as readonly string[]))];
	const rows = await session.db
		.selectFrom("policies")
		.selectAll()
		.where("active", "=", 1)
		.where((is) => is.or([is("account_id", "is", null), isOneOf(session, "account_id", accountIds)]))
		.where((is) => is.or([is("scope_type", "is", null), isOneOf(session, "scope_id", scopeIds)]))
		.orderBy("priority")
		.orderBy("id")
		.execute();
	const stored = rows.map((row) => ({
		row,
		policy: { id: row.id, priority: row.priority, dimensions: dimensionsOf(row) },
	}));
	return scopes.map((scope) =>
		stored
			.filter(({ row }) => (row.account_id ?? scope.accountId) === scope.accountId && applies(row, scope))
			.map(({ policy }) => policy),
	);
}

interface Scoped {
	readonly scope_type?: string | null | undefined;
	readonly scope_id?: string | null | undefined;
}

/** Whether a policy of the account, or of all, is for this. */
export function applies({ scope_type, scope_id }: Scoped, scope: PolicyScope): boolean {
	const named = { Account: scope.accountId, User: scope.userId, "Conduits::Facility": scope.facilityId };
	return scope_type === null || scope_type === undefined || named[scope_type as keyof typeof named] === scope_id;
}

/** The six dimensions of a stored policy. */
export function dimensionsOf(row: PolicyRow): CapabilityPolicy {
	return {
		fs: JSON.parse(row.fs),
		net: JSON.parse(row.net),
		secrets: JSON.parse(row.secrets),
		sandbox_profile_rules: JSON.parse(row.sandbox_profile_rules),
		approval: JSON.parse(row.approval),
		device: JSON.parse(row.device),
	};
}
