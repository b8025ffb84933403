import { z } from "zod";
import { wireIdSchema } from "../conduits/schema.ts";
import { operation } from "../operation.ts";
import * as people from "../people/schema.ts";
import { APPROVERS, READERS, SUBMITTERS } from "./callers.ts";

const ROUTE = "/mothership/api/v1/commands";
const byId = z.object({ command_id: wireIdSchema });
const answer = {
	method: "POST",
	effect: "change",
	callers: APPROVERS,
	path: byId,
	body: people.answerRequestSchema.nullish(),
	failures: ["not-found", "forbidden", "state-conflict"],
	rate: "people",
} as const;

/** Invocations of device capabilities (conduits sections 1.10 and 2.5.8). */
export const commandOperations = {
	"commands.create": operation({
		summary: "Invokes a capability of a device",
		method: "POST",
		route: ROUTE,
		effect: "change",
		idempotency: "key",
		callers: SUBMITTERS,
		body: people.commandRequestSchema,
		answers: { 201: people.commandCreatedSchema, 202: people.commandAwaitingSchema },
		failures: [
			"missing-parameter",
			"no-target",
			"not-found",
			"policy-denied",
			"validation-failed",
			"idempotency-conflict",
		],
		rate: "people",
		command: { words: ["commands", "send"], operands: ["capability"] },
	}),
	"commands.list": operation({
		summary: "Lists commands, newest first",
		method: "GET",
		route: ROUTE,
		effect: "read",
		callers: READERS,
		query: people.pageQuerySchema.extend({
			state: z.enum(people.COMMAND_STATES).optional(),
			territory_id: wireIdSchema.optional(),
		}),
		answers: { 200: people.pageOf("commands", people.commandSchema) },
		rate: "people",
		command: { words: ["commands"], operands: [] },
	}),
	"commands.show": operation({
		summary: "Shows a command and its result",
		method: "GET",
		route: `${ROUTE}/{command_id}`,
		effect: "read",
		callers: READERS,
		path: byId,
		answers: { 200: people.commandSchema },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["commands", "show"], operands: ["command_id"] },
	}),
	"commands.attachment": operation({
		summary: "Gives the file that came with a command's result",
		method: "GET",
		route: `${ROUTE}/{command_id}/attachment`,
		effect: "read",
		callers: READERS,
		path: byId,
		answers: { 200: z.string() },
		answersAs: "bytes",
		failures: ["not-found"],
		rate: "people",
		command: { words: ["commands", "attachment"], operands: ["command_id"] },
	}),
	"commands.approve": operation({
		...answer,
		summary: "Approves a command that waits for it",
		route: `${ROUTE}/{command_id}/approve`,
		answers: { 200: people.commandCreatedSchema },
		command: { words: ["commands", "approve"], operands: ["command_id"] },
	}),
	"commands.reject": operation({
		...answer,
		summary: "Rejects a command that waits for approval",
		route: `${ROUTE}/{command_id}/reject`,
		answers: { 200: z.object({ command_id: wireIdSchema, state: z.enum(people.COMMAND_STATES) }) },
		command: { words: ["commands", "reject"], operands: ["command_id"] },
	}),
};
