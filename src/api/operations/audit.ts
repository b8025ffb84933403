import { z } from "zod";
import { operation } from "../operation.ts";
import * as people from "../people/schema.ts";
import { AUDITORS, READERS } from "./callers.ts";

const API = "/mothership/api/v1";
const byIndex = z.object({ index: z.coerce.number<number>().int().nonnegative() });

/** What happened, and the log that nobody can rewrite. */
export const auditOperations = {
	"audit.list": operation({
		summary: "Lists audit events, newest first",
		method: "GET",
		route: `${API}/audit_events`,
		effect: "read",
		callers: AUDITORS,
		query: people.auditFilterSchema,
		answers: { 200: people.pageOf("audit_events", people.auditEventSchema) },
		rate: "people",
		command: { words: ["audit"], operands: [] },
	}),
	"audit.export": operation({
		summary: "Streams audit events as JSON lines, oldest first",
		method: "GET",
		route: `${API}/audit_events/export`,
		effect: "read",
		callers: AUDITORS,
		query: people.auditFilterSchema.omit({ limit: true, cursor: true }),
		answers: { 200: people.auditEventSchema },
		answersAs: "jsonl",
		rate: "people",
		command: { words: ["audit", "export"], operands: [] },
	}),
	"approvals.list": operation({
		summary: "Lists who approved and rejected what, newest first",
		method: "GET",
		route: `${API}/approvals`,
		effect: "read",
		callers: READERS,
		query: people.approvalFilterSchema,
		answers: { 200: people.pageOf("approvals", people.approvalRecordSchema) },
		rate: "people",
		command: { words: ["approvals"], operands: [] },
	}),
	"journal.checkpoint": operation({
		summary: "Gives the journal's signed checkpoint",
		method: "GET",
		route: `${API}/journal/checkpoint`,
		effect: "read",
		callers: READERS,
		answers: { 200: people.journalCheckpointSchema },
		rate: "people",
	}),
	"journal.consistency": operation({
		summary: "Gives the proof that the journal only grew since it had a size",
		method: "GET",
		route: `${API}/journal/consistency`,
		effect: "read",
		callers: READERS,
		query: z.object({ from: z.coerce.number<number>().int().nonnegative() }),
		answers: { 200: people.journalConsistencySchema },
		failures: ["not-found"],
		rate: "people",
	}),
	"journal.entry": operation({
		summary: "Gives an entry of the journal and the proof that it is there",
		method: "GET",
		route: `${API}/journal/entries/{index}`,
		effect: "read",
		callers: AUDITORS,
		path: byIndex,
		answers: { 200: people.journalEntrySchema },
		failures: ["not-found"],
		rate: "people",
	}),
};
