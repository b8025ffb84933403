import type { z } from "zod";
import type { facilitySchema } from "../api/people/schema.ts";
import { newId } from "../core/index.ts";
import { personOf } from "./directives/create.ts";
import type { Context, Handlers } from "./http/handlers.ts";
import { made } from "./http/idempotency.ts";
import { refusal } from "./http/refusal.ts";
import { afterId, pageOfRows } from "./paging.ts";
import { jsonOf, jsonText, timeOf } from "./rows.ts";
import { lockFacility } from "./store/queue.ts";
import type { Session } from "./store/store.ts";
import type { FacilityRow } from "./store/tables.ts";

/** URLs that nodes clone from (conduits section 7.8); everything else is refused before a node sees it. */
const REPOSITORY =
	/^(?:(?:https?|ssh|git):\/\/[^\s-][^\s]*|[A-Za-z0-9_][\w.-]*@(?:localhost|[\w-]+(?:\.[\w-]+)+):[^\s-][^\s]*)$/;

/** A branch or a tag, as git lets them be named; never what git could take for a flag. */
const REF = /^(?!.*\.\.)[A-Za-z0-9_][\w./+-]{0,254}$/;

function shown(row: FacilityRow): z.input<typeof facilitySchema> {
	return {
		id: row.id,
		kind: row.kind as "empty",
		name: row.name,
		repo_url: row.repo_url,
		territory_id: row.territory_id,
		affinity: row.affinity as "none",
		retention_policy: jsonOf(row.retention_policy),
		size_bytes: row.size_bytes,
		locked_by_directive_id: row.locked_by_directive_id,
		created_at: timeOf(row.created_at),
		updated_at: timeOf(row.updated_at),
	};
}

async function ownFacility(session: Session, { identity }: Context, id: string): Promise<FacilityRow> {
	const row = await lockFacility(session, id);
	if (row?.account_id === personOf(identity).accountId) return row;
	throw refusal("not-found", { kind: "facility", id });
}

async function mustOwnTerritory({ db }: Session, accountId: string, id: string | null | undefined): Promise<void> {
	if (id === null || id === undefined) return;
	const found = await db
		.selectFrom("territories")
		.select("id")
		.where("id", "=", id)
		.where("account_id", "=", accountId)
		.executeTakeFirst();
	if (found === undefined) throw refusal("not-found", { kind: "territory", id });
}

function invalid(problem: string): Error {
	return refusal("validation-failed", { what: "The facility", problems: problem }, { details: [problem] });
}

export const facilityHandlers = {
	"facilities.create": (context, { body }) =>
		made(context, "facilities.create", body, async (session) => {
			const { accountId, userId } = personOf(context.identity);
			const repository = body.init?.repo_url ?? null;
			const imported = body.init?.import_path ?? null;
			if (body.kind === "repo" && (repository === null || !REPOSITORY.test(repository)))
				throw invalid("init.repo_url: give an http, https, ssh or git URL, or user@host:path");
			const ref = body.init?.ref ?? null;
			if (ref !== null && (body.kind !== "repo" || !REF.test(ref)))
				throw invalid("init.ref: give a branch or tag, with a repository");
			if (body.kind === "imported_path" && (imported === null || !imported.startsWith("/")))
				throw invalid("init.import_path: give an absolute path on the territory");
			if (body.kind === "imported_path" && !body.territory_id)
				throw invalid("territory_id: say on which territory the folder is");
			await mustOwnTerritory(session, accountId, body.territory_id);
			const row: FacilityRow = {
				id: newId(session.nowMs),
				account_id: accountId,
				owner_id: userId,
				territory_id: body.territory_id ?? null,
				name: body.name ?? null,
				kind: body.kind,
				repo_url: body.kind === "repo" ? repository : null,
				repo_ref: ref,
				import_path: body.kind === "imported_path" ? imported : null,
				// A folder of one machine is on no other.
				affinity: body.kind === "imported_path" ? "required" : body.affinity,
				retention_policy: jsonText(body.retention_policy),
				size_bytes: 0,
				locked_by_directive_id: null,
				created_at: session.nowMs,
				updated_at: session.nowMs,
			};
			await session.db.insertInto("facilities").values(row).execute();
			return { status: 201, body: shown(row) };
		}),
	"facilities.list": ({ identity, store }, { query }) =>
		store.read(async ({ db }) => {
			const after = afterId(query);
			const rows = await db
				.selectFrom("facilities")
				.selectAll()
				.where("account_id", "=", personOf(identity).accountId)
				.$if(after !== undefined, (found) => found.where("id", "<", after ?? ""))
				.$if(query.name !== undefined, (found) => found.where("name", "=", query.name ?? ""))
				.$if(query.kind !== undefined, (found) => found.where("kind", "=", query.kind ?? ""))
				.$if(query.territory_id !== undefined, (found) => found.where("territory_id", "=", query.territory_id ?? ""))
				.$if(query.locked === true, (found) => found.where("locked_by_directive_id", "is not", null))
				.$if(query.locked === false, (found) => found.where("locked_by_directive_id", "is", null))
				.orderBy("id", "desc")
				.limit(query.limit + 1)
				.execute();
			const page = pageOfRows(rows, query, ({ id }) => id);
			return { status: 200, body: { facilities: page.rows.map(shown), next_cursor: page.next_cursor } };
		}),
	"facilities.show": (context, { path }) =>
		context.store.transaction(async (session) => {
			return { status: 200, body: shown(await ownFacility(session, context, path.facility_id)) };
		}),
	"facilities.change": (context, { path, body }) =>
		context.store.transaction(async (session) => {
			const before = await ownFacility(session, context, path.facility_id);
			await mustOwnTerritory(session, before.account_id, body.territory_id);
			const row = await session.db
				.updateTable("facilities")
				.set({
					...(body.name === undefined ? {} : { name: body.name }),
					...(body.territory_id === undefined ? {} : { territory_id: body.territory_id }),
					...(body.affinity === undefined ? {} : { affinity: body.affinity }),
					...(body.retention_policy === undefined ? {} : { retention_policy: jsonText(body.retention_policy) }),
					updated_at: session.nowMs,
				})
				.where("id", "=", before.id)
				.returningAll()
				.executeTakeFirstOrThrow();
			return { status: 200, body: shown(row) };
		}),
	"facilities.delete": (context, { path }) =>
		context.store.transaction(async (session) => {
			const { id } = await ownFacility(session, context, path.facility_id);
			const used = await session.db
				.selectFrom("directives")
				.select("id")
				.where("facility_id", "=", id)
				.executeTakeFirst();
			const reason = "it has directives, which are kept";
			if (used !== undefined) throw refusal("state-conflict", { what: `Deleting facility ${id}`, reason });
			await session.db.deleteFrom("facilities").where("id", "=", id).execute();
			return { status: 200, body: { id, deleted: true } };
		}),
} as const satisfies Partial<Handlers>;
