import type { CapabilityPolicy } from "../../governance/index.ts";
import type { Session } from "../store/store.ts";
import type { PolicyRow } from "../store/tables.ts";

/** What policies are chosen for (conduits section 6.2). */
export interface PolicyScope {
	readonly accountId: string;
	readonly userId: string;
	readonly facilityId: string;
}

/** Active policies that apply, by ascending priority: later ones are narrower by convention. */
export async function applicablePolicies({ db }: Session, scope: PolicyScope): Promise<readonly PolicyRow[]> {
	return db
		.selectFrom("policies")
		.selectAll()
		.where("active", "=", 1)
		.where((is) => is.or([is("account_id", "is", null), is("account_id", "=", scope.accountId)]))
		.where((is) =>
			is.or([
				is("scope_type", "is", null),
				is.and([is("scope_type", "=", "Account"), is("scope_id", "=", scope.accountId)]),
				is.and([is("scope_type", "=", "User"), is("scope_id", "=", scope.userId)]),
				is.and([is("scope_type", "=", "Conduits::Facility"), is("scope_id", "=", scope.facilityId)]),
			]),
		)
		.orderBy("priority")
		.orderBy("id")
		.execute();
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
