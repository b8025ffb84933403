import type { Caller } from "../../api/index.ts";
import type { Role } from "../../api/people/schema.ts";
import type { TerritoryRow } from "../store/tables.ts";

/** Who is asking, as a credential proved it. Made in `authenticate.ts` alone. */
export type Identity =
	| { readonly kind: "anyone" }
	| {
			readonly kind: "person";
			readonly accountId: string;
			readonly userId: string;
			/** What this credential may do: the lesser of its own role and its user's. */
			readonly role: Role;
			readonly tokenId: string | null;
	  }
	| { readonly kind: "territory"; readonly territory: TerritoryRow }
	/** A territory that showed the token of one directive. */
	| {
			readonly kind: "directive";
			readonly territory: TerritoryRow;
			readonly directiveId: string;
			/** Of the token; null in one that says nothing of it. */
			readonly leaseId: string | null;
	  };

/** Whether a row lets this identity in. */
export function mayCall(identity: Identity, callers: readonly Caller[]): boolean {
	const as: Caller = identity.kind === "person" ? identity.role : identity.kind;
	return callers.includes("anyone") || callers.includes(as);
}

/** Roles whose operations all are another role's too. */
const CONTAINED: Readonly<Record<Role, readonly Role[]>> = {
	owner: ["owner", "operator", "approver", "auditor", "member"],
	operator: ["operator", "member"],
	approver: ["approver", "member"],
	auditor: ["auditor"],
	member: ["member"],
};

/** Whether somebody of one role may hand out another. */
export function contains(role: Role, other: Role): boolean {
	return CONTAINED[role].includes(other);
}

/** What a token may do whose user has another role by now; undefined when neither role is part of the other. */
export function lesserRole(token: Role, user: Role): Role | undefined {
	if (contains(user, token)) return token;
	return contains(token, user) ? user : undefined;
}
