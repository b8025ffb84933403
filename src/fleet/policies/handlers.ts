import type { z } from "zod";
import type { policySchema } from "../../api/people/policies/schema.ts";
import { type Json, newId } from "../../core/index.ts";
import { personOf } from "../directives/create.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import { made } from "../http/idempotency.ts";
import { refusal } from "../http/refusal.ts";
import { afterId, type PageQuery, pageOfRows, wholeNumberOf } from "../paging.ts";
import { flagOf, jsonOf, jsonText, timeOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { PolicyRow } from "../store/tables.ts";
import { dryRun } from "./dry-run.ts";
import { ownPolicy } from "./own-policy.ts";
import { problemsOf } from "./validate.ts";

type Shown = z.input<typeof policySchema>;
type Given = Parameters<Handlers["policies.create"]>[1]["body"];
type Changed = { readonly [Member in keyof Given]?: Given[Member] | undefined };
const DIMENSIONS = ["fs", "net", "secrets", "sandbox_profile_rules", "approval", "device"] as const;

function shownPolicy(row: PolicyRow): Shown {
	return {
		id: row.id,
		name: row.name,
		priority: row.priority,
		active: row.active === 1,
		scope_type: row.scope_type as "Account" | null,
		scope_id: row.scope_id,
		...Object.fromEntries(DIMENSIONS.map((name) => [name, jsonOf<Record<string, Json>>(row[name])])),
		version: row.version,
		created_at: timeOf(row.created_at),
		updated_at: timeOf(row.updated_at),
	} as Shown;
}

/** A policy with one mistake is no policy: all of them are told. */
function mustBeValid(policy: Changed): void {
	const problems = problemsOf(policy);
	if (problems.length === 0) return;
	throw refusal("validation-failed", { what: "The policy", problems: problems.join("; ") }, { details: [...problems] });
}

function columnsOf(given: Changed): Partial<PolicyRow> {
	const { name, priority, active, scope_type, scope_id } = given;
	const plain = { name, priority, scope_type, scope_id, active: active === undefined ? undefined : flagOf(active) };
	const dimensions = DIMENSIONS.flatMap((key) =>
		given[key] === undefined ? [] : [[key, jsonText(given[key])] as const],
	);
	const said = Object.entries(plain).filter(([, value]) => value !== undefined);
	return Object.fromEntries([...said, ...dimensions]);
}

/** Every version is kept, and who made it. */
async function keepVersion({ db, nowMs }: Session, row: PolicyRow, userId: string): Promise<void> {
	const policy = jsonText(shownPolicy(row));
	const version = { policy_id: row.id, version: row.version, policy, changed_by_user_id: userId, created_at: nowMs };
	await db.insertInto("policy_versions").values(version).execute();
}

async function change(context: Context, id: string, given: Changed): Promise<PolicyRow> {
	mustBeValid(given);
	return context.store.transaction(async (session) => {
		const before = await ownPolicy(session, context, id);
		if (given.scope_id !== undefined || given.scope_type !== undefined) {
			const { scope_type = before.scope_type as "User", scope_id = before.scope_id } = given;
			await mustBeInAccount(session, context, { scope_type, scope_id });
		}
		const row = await session.db
			.updateTable("policies")
			.set({ ...columnsOf(given), version: before.version + 1, updated_at: session.nowMs })
			.where("id", "=", id)
			.where("version", "=", before.version)
			.returningAll()
			.executeTakeFirst();
		if (row === undefined)
			throw refusal("state-conflict", { what: `Changing policy ${id}`, reason: "somebody changed it meanwhile" });
		await keepVersion(session, row, personOf(context.identity).userId);
		context.note({ payload: { policy_id: id, version: row.version } });
		return row;
	});
}

/** Where the next page begins: they are listed by priority, then in the order they were made. */
function afterPlace(query: PageQuery): { readonly priority: number; readonly id: string } | undefined {
	const after = afterId(query);
	if (after === undefined) return undefined;
	const [priority, id = ""] = after.split(":");
	return { priority: wholeNumberOf(priority), id };
}

/** A scope names somebody or something of this account: one that names nothing would hold for nothing. */
async function mustBeInAccount(
	{ db }: Session,
	{ identity }: Context,
	{ scope_type, scope_id }: Changed,
): Promise<void> {
	if (!scope_id && !scope_type) return;
	const { accountId } = personOf(identity);
	const table = scope_type === "User" ? "users" : scope_type === "Conduits::Facility" ? "facilities" : undefined;
	const found =
		table === undefined || !scope_id
			? scope_id === accountId
			: await db
					.selectFrom(table)
					.select("id")
					.where("id", "=", scope_id)
					.where("account_id", "=", accountId)
					.executeTakeFirst();
	if (found) return;
	const problem = `scope_id: there is no ${scope_type ?? "Account"} ${scope_id ?? "without an id"} in this account`;
	throw refusal("validation-failed", { what: "The policy", problems: problem }, { details: [problem] });
}

export const policyHandlers = {
	"policies.list": ({ identity, store }, { query }) =>
		store.read(async ({ db }) => {
			const after = afterPlace(query);
			const { scope_type, scope_id } = query;
			const rows = await db
				.selectFrom("policies")
				.selectAll()
				.where("account_id", "=", personOf(identity).accountId)
				.$if(query.include_inactive !== "true", (found) => found.where("active", "=", 1))
				.$if(scope_type !== undefined, (found) => found.where("scope_type", "=", scope_type ?? ""))
				.$if(scope_id !== undefined, (found) => found.where("scope_id", "=", scope_id ?? ""))
				.$if(after !== undefined, (found) =>
					found.where(({ eb, or, and }) => {
						const { priority = 0, id = "" } = after ?? {};
						return or([eb("priority", ">", priority), and([eb("priority", "=", priority), eb("id", ">", id)])]);
					}),
				)
				.orderBy("priority")
				.orderBy("id")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ priority, id }) => `${priority}:${id}`);
			return { status: 200, body: { policies: page.rows.map(shownPolicy), next_cursor: page.next_cursor } };
		}),
	"policies.show": (context, { path }) =>
		context.store.read(async (session) => {
			return { status: 200, body: shownPolicy(await ownPolicy(session, context, path.policy_id)) };
		}),
	"policies.versions": (context, { path, query }) =>
		context.store.read(async (session) => {
			const { id } = await ownPolicy(session, context, path.policy_id);
			const after = afterId(query);
			const before = after === undefined ? undefined : wholeNumberOf(after);
			const { changed_by_user_id: by } = query;
			const rows = await session.db
				.selectFrom("policy_versions")
				.selectAll()
				.where("policy_id", "=", id)
				.$if(before !== undefined, (found) => found.where("version", "<", before ?? 0))
				.$if(by !== undefined, (found) => found.where("changed_by_user_id", "=", by ?? ""))
				.orderBy("version", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ version }) => String(version));
			const versions = page.rows.map(({ policy }) => jsonOf<Shown>(policy));
			return { status: 200, body: { versions, next_cursor: page.next_cursor } };
		}),
	"policies.create": (context, { body }) => {
		mustBeValid(body);
		return made(context, "policies.create", body, async (session) => {
			const { accountId, userId } = personOf(context.identity);
			await mustBeInAccount(session, context, body);
			const stamps = { version: 1, created_at: session.nowMs, updated_at: session.nowMs };
			const row = { id: newId(session.nowMs), account_id: accountId, scope_type: null, scope_id: null };
			const policy = { ...row, ...columnsOf(body), ...stamps } as PolicyRow;
			await session.db.insertInto("policies").values(policy).execute();
			await keepVersion(session, policy, userId);
			context.note({ payload: { policy_id: policy.id, version: 1 } });
			return { status: 201, body: shownPolicy(policy) };
		});
	},
	"policies.change": async (context, { path, body }) => {
		return { status: 200, body: shownPolicy(await change(context, path.policy_id, body)) };
	},
	"policies.replace": async (context, { path, body }) => {
		return { status: 200, body: shownPolicy(await change(context, path.policy_id, body)) };
	},
	"policies.delete": async (context, { path }) => {
		const { id } = await change(context, path.policy_id, { active: false });
		return { status: 200, body: { id, active: false } };
	},
	"policies.dryRun": dryRun,
} as const satisfies Partial<Handlers>;
