import { personOf } from "../directives/create.ts";
import { askedOf } from "../directives/workload.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { jsonText, timeOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { DirectiveRow } from "../store/tables.ts";
import { applicablePolicies, applies } from "./applicable.ts";
import { type NamedPolicy, type Resolution, resolve } from "./resolve.ts";
import { problemsOf } from "./validate.ts";

type DryRun = Handlers["policies.dryRun"];
type Tried = NonNullable<Parameters<DryRun>[1]["body"]["policy"]>;

/** Judges the latest directives by the policies of now and by those with the change, and tells where they differ. Changes nothing. */
export const dryRun: DryRun = ({ identity, store }, { body }) => {
	const tried = body.policy ?? null;
	const problems = tried === null ? [] : problemsOf(tried);
	if (problems.length > 0) {
		const details = { what: "The policy", problems: problems.join("; ") };
		throw refusal("validation-failed", details, { details: [...problems] });
	}
	return store.read(async (session) => {
		const { accountId } = personOf(identity);
		const directives = await session.db
			.selectFrom("directives")
			.selectAll()
			.where("account_id", "=", accountId)
			.orderBy("id", "desc")
			.limit(body.last)
			.execute();
		const judged = [];
		for (const directive of directives) judged.push(await compare(session, directive, tried));
		const changed = judged.filter((one) => one.verdict_then !== one.verdict_now || one.capabilities_changed);
		return { status: 200, body: { judged: judged.length, changed } };
	});
};

async function compare(session: Session, directive: DirectiveRow, tried: Tried | null) {
	const scope = {
		accountId: directive.account_id,
		userId: directive.requested_by_user_id,
		facilityId: directive.facility_id,
	};
	const [now = []] = await applicablePolicies(session, [scope]);
	const asked = askedOf(directive);
	const at = timeOf(session.nowMs);
	const before = resolve(asked, now, at);
	const after = tried === null || !applies(tried, scope) ? before : resolve(asked, withChange(now, tried), at);
	return {
		directive_id: directive.id,
		command: directive.command,
		verdict_then: before.verdict,
		verdict_now: after.verdict,
		reasons: [...after.reasons],
		capabilities_changed: effectiveText(before) !== effectiveText(after),
	};
}

function effectiveText({ effective }: Resolution): string {
	return jsonText(effective);
}

type Ranked = NamedPolicy & { readonly priority: number };

/** The tried policy in its place by priority, instead of the one whose id it has. */
function withChange(now: readonly Ranked[], tried: Tried): readonly NamedPolicy[] {
	const before = now.find(({ id }) => id === tried.id);
	if (tried.active === false) return now.filter(({ id }) => id !== tried.id);
	const { fs, net, secrets, sandbox_profile_rules, approval, device } = tried;
	const dimensions = { fs, net, secrets, sandbox_profile_rules, approval, device };
	const said = Object.entries(dimensions).filter(([, value]) => value);
	const changed: Ranked = {
		id: tried.id ?? "tried",
		priority: tried.priority ?? before?.priority ?? 0,
		dimensions: { ...before?.dimensions, ...Object.fromEntries(said) },
	};
	return [...now.filter(({ id }) => id !== changed.id), changed].sort((a, b) => a.priority - b.priority);
}
