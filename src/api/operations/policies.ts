import { z } from "zod";
import { wireIdSchema } from "../conduits/schema.ts";
import { operation } from "../operation.ts";
import * as policies from "../people/policies/schema.ts";
import * as people from "../people/schema.ts";
import { OPERATORS, READERS } from "./callers.ts";

const ROUTE = "/mothership/api/v1/policies";
const byId = z.object({ policy_id: wireIdSchema });
const change = {
	route: `${ROUTE}/{policy_id}`,
	effect: "change",
	idempotency: "natural",
	callers: OPERATORS,
	path: byId,
	body: policies.policyChangeSchema,
	answers: { 200: policies.policySchema },
	failures: ["not-found", "validation-failed"],
	rate: "people",
} as const;

/** Rules by six dimensions (conduits sections 1.9, 2.5.7 and 6). Every change makes a version; none is lost. */
export const policyOperations = {
	"policies.list": operation({
		summary: "Lists policies by priority",
		method: "GET",
		route: ROUTE,
		effect: "read",
		callers: READERS,
		query: people.pageQuerySchema.extend({
			scope_type: z.string().max(64).optional(),
			scope_id: wireIdSchema.optional(),
			include_inactive: z.string().optional(),
		}),
		answers: { 200: people.pageOf("policies", policies.policySchema) },
		rate: "people",
		command: { words: ["policies"], operands: [] },
	}),
	"policies.show": operation({
		summary: "Shows a policy",
		method: "GET",
		route: `${ROUTE}/{policy_id}`,
		effect: "read",
		callers: READERS,
		path: byId,
		answers: { 200: policies.policySchema },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["policies", "show"], operands: ["policy_id"] },
	}),
	"policies.versions": operation({
		summary: "Lists every version that a policy had, newest first",
		method: "GET",
		route: `${ROUTE}/{policy_id}/versions`,
		effect: "read",
		callers: READERS,
		path: byId,
		query: people.pageQuerySchema.extend({ changed_by_user_id: wireIdSchema.optional() }),
		answers: { 200: people.pageOf("versions", policies.policySchema) },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["policies", "versions"], operands: ["policy_id"] },
	}),
	"policies.create": operation({
		summary: "Makes a policy",
		method: "POST",
		route: ROUTE,
		effect: "change",
		idempotency: "key",
		callers: OPERATORS,
		body: policies.policyRequestSchema,
		answers: { 201: policies.policySchema },
		failures: ["validation-failed", "idempotency-conflict"],
		rate: "people",
		command: { words: ["policies", "create"], operands: [] },
	}),
	"policies.change": operation({
		...change,
		summary: "Changes a policy",
		method: "PATCH",
		command: { words: ["policies", "change"], operands: ["policy_id"] },
	}),
	"policies.replace": operation({ ...change, summary: "Changes a policy; members left out stay", method: "PUT" }),
	"policies.delete": operation({
		summary: "Makes a policy inactive; its versions stay",
		method: "DELETE",
		route: `${ROUTE}/{policy_id}`,
		effect: "destroy",
		idempotency: "natural",
		callers: OPERATORS,
		path: byId,
		answers: { 200: z.object({ id: wireIdSchema, active: z.literal(false) }) },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["policies", "rm"], operands: ["policy_id"] },
	}),
	"policies.dryRun": operation({
		summary: "Says what a change of the policies would have done to the latest directives",
		method: "POST",
		route: `${ROUTE}/dry_run`,
		effect: "read",
		idempotency: "natural",
		callers: READERS,
		body: policies.dryRunRequestSchema,
		answers: { 200: policies.dryRunSchema },
		failures: ["validation-failed", "not-found"],
		rate: "people",
		command: { words: ["policies", "dry-run"], operands: [] },
	}),
};
