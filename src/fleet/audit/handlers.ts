import { Readable } from "node:stream";
import type { z } from "zod";
import type { approvalRecordSchema } from "../../api/people/schema.ts";
import { personOf } from "../directives/create.ts";
import type { Context, Handlers } from "../http/handlers.ts";
import { afterId, pageOfRows } from "../paging.ts";
import { timeOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { ApprovalRow } from "../store/tables.ts";
import { shownEvent } from "./shown.ts";

type Filter = Omit<Parameters<Handlers["audit.list"]>[1]["query"], "limit" | "cursor">;

const EXPORT_BATCH = 500;

function shownApproval(row: ApprovalRow): z.input<typeof approvalRecordSchema> {
	return {
		id: row.id,
		directive_id: row.directive_id,
		command_id: row.command_id,
		workload_digest: row.workload_digest as `sha256:${string}`,
		verdict: row.verdict as "approved",
		approver_user_id: row.approver_user_id,
		reason: row.reason,
		expires_at: timeOf(row.expires_at),
		created_at: timeOf(row.created_at),
	};
}

function matching({ db }: Session, { identity }: Context, filter: Filter) {
	let events = db.selectFrom("audit_events").selectAll().where("account_id", "=", personOf(identity).accountId);
	for (const column of [
		"event_type",
		"severity",
		"directive_id",
		"command_id",
		"territory_id",
		"actor_user_id",
	] as const) {
		const value = filter[column];
		if (value !== undefined) events = events.where(column, "=", value);
	}
	if (filter.since !== undefined) events = events.where("created_at", ">=", Date.parse(filter.since));
	if (filter.until !== undefined) events = events.where("created_at", "<", Date.parse(filter.until));
	return events;
}

async function* exported(context: Context, filter: Filter): AsyncGenerator<string> {
	let after = "";
	for (;;) {
		const rows = await context.store.read((session) =>
			matching(session, context, filter).where("id", ">", after).orderBy("id").limit(EXPORT_BATCH).execute(),
		);
		for (const row of rows) yield `${JSON.stringify(shownEvent(row))}\n`;
		const last = rows.at(-1);
		if (last === undefined || rows.length < EXPORT_BATCH) return;
		after = last.id;
	}
}

export const auditHandlers = {
	"audit.list": (context, { query }) =>
		context.store.read(async (session) => {
			const after = afterId(query);
			const rows = await matching(session, context, query)
				.$if(after !== undefined, (found) => found.where("id", "<", after ?? ""))
				.orderBy("id", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			return { status: 200, body: { audit_events: page.rows.map(shownEvent), next_cursor: page.next_cursor } };
		}),
	"audit.export": async (context, { query }) => {
		const headers = { "content-disposition": 'attachment; filename="audit.jsonl"' };
		const stream = Readable.from(exported(context, query));
		return { status: 200, contentType: "application/jsonl", headers, stream };
	},
	"approvals.list": ({ identity, store }, { query }) =>
		store.read(async ({ db }) => {
			const after = afterId(query);
			let answers = db.selectFrom("approvals").selectAll().where("account_id", "=", personOf(identity).accountId);
			for (const column of ["directive_id", "command_id", "approver_user_id", "verdict"] as const) {
				const value = query[column];
				if (value !== undefined) answers = answers.where(column, "=", value);
			}
			const rows = await answers
				.$if(after !== undefined, (found) => found.where("id", "<", after ?? ""))
				.orderBy("id", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			return { status: 200, body: { approvals: page.rows.map(shownApproval), next_cursor: page.next_cursor } };
		}),
} as const satisfies Partial<Handlers>;
