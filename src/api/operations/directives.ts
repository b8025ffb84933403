import { z } from "zod";
import { wireIdSchema } from "../conduits/schema.ts";
import { operation } from "../operation.ts";
import * as people from "../people/schema.ts";
import { APPROVERS, READERS, SUBMITTERS } from "./callers.ts";

const API = "/mothership/api/v1";
const inFacility = z.object({ facility_id: wireIdSchema, directive_id: wireIdSchema });
const byId = z.object({ directive_id: wireIdSchema });
const logQuery = z.object({
	stream: z.string().optional(),
	after_seq: z.string().optional(),
	limit: z.string().optional(),
});
const approved = z.object({
	directive_id: wireIdSchema,
	state: z.enum(people.DIRECTIVE_STATES),
	approved_by_user_id: wireIdSchema,
	/** Yes-answers that are still needed. */
	approvals_missing: z.int(),
});
const ended = z.object({ directive_id: wireIdSchema, state: z.enum(people.DIRECTIVE_STATES) });

const answer = {
	method: "POST",
	effect: "change",
	callers: APPROVERS,
	body: people.answerRequestSchema.nullish(),
	failures: ["not-found", "forbidden", "state-conflict"],
	rate: "people",
} as const;
const look = { method: "GET", effect: "read", callers: READERS, failures: ["not-found"], rate: "people" } as const;

/** Runs that people and their programs ask for (conduits sections 2.5.1 to 2.5.6), below a facility and across them. */
export const directiveOperations = {
	"directives.create": operation({
		summary: "Asks for a command to be run in a facility",
		method: "POST",
		route: `${API}/facilities/{facility_id}/directives`,
		effect: "change",
		idempotency: "key",
		callers: SUBMITTERS,
		path: z.object({ facility_id: wireIdSchema }),
		body: people.directiveRequestSchema,
		command: { words: ["submit"], operands: [] },
		answers: { 201: people.directiveCreatedSchema, 202: people.directiveAwaitingSchema },
		failures: [
			"not-found",
			"missing-parameter",
			"command-forbidden",
			"policy-forbidden",
			"validation-failed",
			"idempotency-conflict",
		],
		rate: "people",
	}),
	"directives.listInFacility": operation({
		...look,
		summary: "Lists the directives of a facility, newest first",
		route: `${API}/facilities/{facility_id}/directives`,
		path: z.object({ facility_id: wireIdSchema }),
		query: people.directiveFilterSchema,
		answers: { 200: people.pageOf("directives", people.directiveSchema) },
	}),
	"directives.showInFacility": operation({
		...look,
		summary: "Shows a directive of a facility",
		route: `${API}/facilities/{facility_id}/directives/{directive_id}`,
		path: inFacility,
		answers: { 200: people.directiveSchema },
	}),
	"directives.logChunks": operation({
		...look,
		summary: "Reads stored output of a directive",
		route: `${API}/facilities/{facility_id}/directives/{directive_id}/log_chunks`,
		path: inFacility,
		query: logQuery,
		answers: { 200: people.logChunksSchema },
		failures: ["not-found", "invalid-stream", "invalid-after-seq", "invalid-limit"],
	}),
	"directives.approveInFacility": operation({
		...answer,
		summary: "Approves a directive that waits for it",
		route: `${API}/facilities/{facility_id}/directives/{directive_id}/approve`,
		path: inFacility,
		body: people.approvalRequestSchema.nullish(),
		answers: { 200: approved },
	}),
	"directives.rejectInFacility": operation({
		...answer,
		summary: "Rejects a directive that waits for approval",
		route: `${API}/facilities/{facility_id}/directives/{directive_id}/reject`,
		path: inFacility,
		answers: { 200: ended },
	}),
	"directives.list": operation({
		...look,
		summary: "Lists directives, newest first",
		route: `${API}/directives`,
		query: people.directiveFilterSchema,
		answers: { 200: people.pageOf("directives", people.directiveSchema) },
		command: { words: ["directives"], operands: [] },
	}),
	"directives.show": operation({
		...look,
		summary: "Shows a directive",
		route: `${API}/directives/{directive_id}`,
		path: byId,
		answers: { 200: people.directiveSchema },
		command: { words: ["show"], operands: ["directive_id"] },
	}),
	"directives.approve": operation({
		...answer,
		summary: "Approves a directive that waits for it",
		route: `${API}/directives/{directive_id}/approve`,
		path: byId,
		body: people.approvalRequestSchema.nullish(),
		answers: { 200: approved },
		command: { words: ["approve"], operands: ["directive_id"] },
	}),
	"directives.reject": operation({
		...answer,
		summary: "Rejects a directive that waits for approval",
		route: `${API}/directives/{directive_id}/reject`,
		path: byId,
		answers: { 200: ended },
		command: { words: ["reject"], operands: ["directive_id"] },
	}),
	"directives.cancel": operation({
		summary: "Cancels a directive: at once when nobody runs it, else by asking its territory",
		method: "POST",
		route: `${API}/directives/{directive_id}/cancel`,
		effect: "change",
		idempotency: "natural",
		callers: SUBMITTERS,
		path: byId,
		answers: { 200: ended.extend({ cancel_requested: z.boolean() }) },
		failures: ["not-found", "state-conflict"],
		rate: "people",
		command: { words: ["cancel"], operands: ["directive_id"] },
	}),
	"directives.tail": operation({
		...look,
		summary: "Streams output of a directive as Server-Sent Events until it ends",
		route: `${API}/directives/{directive_id}/logs`,
		path: byId,
		query: z.object({
			/** Chunks up to these are known already. */
			after_stdout_seq: z.coerce.number<number>().int().min(-1).default(-1),
			after_stderr_seq: z.coerce.number<number>().int().min(-1).default(-1),
			follow: z.stringbool().default(true),
		}),
		answers: { 200: people.logEventSchema },
		answersAs: "event-stream",
		command: { words: ["logs"], operands: ["directive_id"] },
	}),
	"directives.diff": operation({
		...look,
		summary: "Gives what a directive changed, as a unified diff",
		route: `${API}/directives/{directive_id}/diff`,
		path: byId,
		command: { words: ["diff"], operands: ["directive_id"] },
		answers: { 200: z.string() },
		answersAs: "bytes",
	}),
	"directives.artifacts": operation({
		...look,
		summary: "Lists the files that a directive handed over",
		route: `${API}/directives/{directive_id}/artifacts`,
		path: byId,
		query: people.pageQuerySchema,
		answers: { 200: people.pageOf("artifacts", people.artifactSchema) },
		command: { words: ["artifacts"], operands: ["directive_id"] },
	}),
	"directives.artifact": operation({
		...look,
		summary: "Gives a file that a directive handed over",
		route: `${API}/directives/{directive_id}/artifacts/{artifact_id}`,
		path: byId.extend({ artifact_id: wireIdSchema }),
		command: { words: ["artifacts"], operands: ["directive_id"] },
		answers: { 200: z.string() },
		answersAs: "byte-stream",
	}),
	"directives.receipt": operation({
		...look,
		summary: "Gives the receipt of a directive: the file that `vouch verify` checks",
		route: `${API}/directives/{directive_id}/receipt`,
		path: byId,
		command: { words: ["receipt"], operands: ["directive_id"] },
		answers: { 200: z.string() },
		answersAs: "bytes",
	}),
};
