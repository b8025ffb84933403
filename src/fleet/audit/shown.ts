import type { z } from "zod";
import type { auditEventSchema } from "../../api/people/schema.ts";
import { jsonOf, timeOf } from "../rows.ts";
import type { AuditEventRow } from "../store/tables.ts";

/** An event as people see it, which is also what the journal covers of it. */
export function shownEvent(row: AuditEventRow): z.output<typeof auditEventSchema> {
	return {
		id: row.id,
		event_type: row.event_type,
		severity: row.severity as "info",
		actor_user_id: row.actor_user_id,
		territory_id: row.territory_id,
		directive_id: row.directive_id,
		command_id: row.command_id,
		payload: jsonOf(row.payload),
		context: jsonOf(row.context),
		outcome: row.outcome as "done",
		created_at: timeOf(row.created_at),
		completed_at: timeOf(row.completed_at),
		journal_index: row.journal_index,
	};
}
