import { personOf } from "../directives/create.ts";
import { askedOf } from "../directives/workload.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { jsonText, timeOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { DirectiveRow, PolicyRow } from "../store/tables.ts";
import { applicablePolicies, applies, dimensionsOf, type StoredPolicy } from "./applicable.ts";
import { ownPolicy } from "./own-policy.ts";
import { type Resolution, resolve } from "./resolve.ts";
import { problemsOf } from "./validate.ts";

type DryRun = Handlers["policies.dryRun"];
type Change = NonNullable<Parameters<DryRun>[1]["body"]["policy"]>;

/** Judges the latest directives by the policies of now and by those with the change, and tells where they differ. Changes nothing. */
export const dryRun: DryRun = (context, { body }) => {
	const change = body.policy ?? null;
	const problems = change === null ? [] : problemsOf(change);
	if (problems.length > 0) {
		const details = { what: "The policy", problems: problems.join("; ") };
		throw refusal("validation-failed", details, { details: [...problems] });
	}
	return context.store.read(async (session) => {
		const before = change?.id ? await ownPolicy(session, context, change.id) : null;
		const tried = change === null ? null : changed(before, change);
		const directives = await session.db
			.selectFrom("directives")
			.selectAll()
			.where("account_id", "=", personOf(context.identity).accountId)
			.orderBy("id", "desc")
			.limit(body.last)
			.execute();
		const judged = [];
		for (const directive of directives) judged.push(await compare(session, directive, tried));
		const differing = judged.filter((one) => one.verdict_then !== one.verdict_now || one.capabilities_changed);
		return { status: 200, body: { judged: judged.length, changed: differing } };
	});
};

interface Tried extends StoredPolicy {
	readonly active: boolean;
	readonly scope_type: string | null;
	readonly scope_id: string | null;
}

/** The policy as it would be: what the change leaves out stays as it is. */
function changed(before: PolicyRow | null, change: Change): Tried {
	const { fs, net, secrets, sandbox_profile_rules, approval, device } = change;
	const dimensions = { fs, net, secrets, sandbox_profile_rules, approval, device };
	const said = Object.entries(dimensions).filter(([, value]) => value !== undefined);
	return {
		// After those of its priority, as one that is made now would be.
		id: before?.id ?? "tried",
		active: change.active ?? before?.active !== 0,
		priority: change.priority ?? before?.priority ?? 0,
		scope_type: (change.scope_type === undefined ? before?.scope_type : change.scope_type) ?? null,
		scope_id: (change.scope_id === undefined ? before?.scope_id : change.scope_id) ?? null,
		dimensions: { ...(before === null ? {} : dimensionsOf(before)), ...Object.fromEntries(said) },
	};
}

async function compare(session: Session, directive: DirectiveRow, tried: Tried | null) {
	const scope = {
		accountId: directive.account_id,
		userId: directive.requested_by_user_id,
		facilityId: directive.facility_id,
	};
	const [now = []] = await applicablePolicies(session, [scope]);
	const others = now.filter(({ id }) => id !== tried?.id);
	const then = tried?.active && applies(tried, scope) ? [...others, tried].sort(byPriority) : others;
	const asked = askedOf(directive);
	const at = timeOf(session.nowMs);
	const [before, after] = [resolve(asked, now, at), resolve(asked, then, at)];
	return {
		directive_id: directive.id,
		command: directive.command,
		verdict_then: before.verdict,
		verdict_now: after.verdict,
		reasons: [...after.reasons],
		capabilities_changed: effectiveText(before) !== effectiveText(after),
	};
}

function byPriority(a: StoredPolicy, b: StoredPolicy): number {
	return a.priority - b.priority || (a.id < b.id ? -1 : 1);
}

function effectiveText({ effective }: Resolution): string {
	return jsonText(effective);
}
