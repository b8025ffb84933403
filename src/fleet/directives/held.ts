import type { Identity } from "../http/identity.ts";
import { refusal } from "../http/refusal.ts";
import { type Directive, lockDirectives } from "../store/queue.ts";
import type { Session } from "../store/store.ts";

export type Holder = Extract<Identity, { kind: "directive" }>;

export function holderOf(identity: Identity): Holder {
	if (identity.kind !== "directive") throw new TypeError("a row for directives let somebody else in");
	return identity;
}

/** The directive that the token speaks for, locked. It is still this territory's: looked at again under the lock. */
export async function heldDirective(session: Session, identity: Identity): Promise<Directive> {
	const [directive] = await heldDirectives(session, [holderOf(identity)]);
	return directive as Directive;
}

/** One for each of them, in their order. */
export async function heldDirectives(session: Session, holders: readonly Holder[]): Promise<readonly Directive[]> {
	const ids = holders.map(({ directiveId }) => directiveId);
	const locked = await lockDirectives(session, ids);
	return holders.map(({ directiveId: id, leaseId, territory }) => {
		const directive = locked.get(id);
		if (directive === undefined) throw refusal("not-found", { kind: "directive", id });
		const isSameLease = leaseId === null || leaseId === directive.lease_id;
		if (directive.territory_id === territory.id && isSameLease) return directive;
		const reason = isSameLease ? "another territory holds the directive now" : "the lease is over";
		throw refusal("forbidden", { what: `Reporting on ${id}`, reason });
	});
}
