import { z } from "zod";
import { TERRITORY_KINDS, wireIdSchema } from "../conduits/schema.ts";
import { operation } from "../operation.ts";
import * as people from "../people/schema.ts";
import { OPERATORS, READERS } from "./callers.ts";

const API = "/mothership/api/v1";
const territory = z.object({ territory_id: wireIdSchema });
const token = z.object({ enrollment_token_id: wireIdSchema });

/** Machines that run things, as people see them, and the tokens by which they join (conduits sections 1.3, 1.5 and 3.4). */
export const territoryOperations = {
	"territories.list": operation({
		summary: "Lists territories",
		method: "GET",
		route: `${API}/territories`,
		effect: "read",
		callers: READERS,
		query: people.pageQuerySchema.extend({
			status: z.enum(people.TERRITORY_STATUSES).optional(),
			kind: z.enum(TERRITORY_KINDS).optional(),
			tag: z.string().max(255).optional(),
			location: z.string().max(1024).optional(),
		}),
		answers: { 200: people.pageOf("territories", people.territorySchema) },
		rate: "people",
		command: { words: ["territories"], operands: [] },
	}),
	"territories.show": operation({
		summary: "Shows a territory",
		method: "GET",
		route: `${API}/territories/{territory_id}`,
		effect: "read",
		callers: READERS,
		path: territory,
		answers: { 200: people.territorySchema },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["territories", "show"], operands: ["territory_id"] },
	}),
	"territories.change": operation({
		summary: "Changes a territory's display name, location, tags or how much it runs at once",
		method: "PATCH",
		route: `${API}/territories/{territory_id}`,
		effect: "change",
		idempotency: "natural",
		callers: OPERATORS,
		path: territory,
		body: people.territoryChangeSchema,
		answers: { 200: people.territorySchema },
		failures: ["not-found", "validation-failed"],
		rate: "people",
		command: { words: ["territories", "change"], operands: ["territory_id"] },
	}),
	"territories.decommission": operation({
		summary: "Takes a territory out of service for good and revokes its certificates",
		method: "POST",
		route: `${API}/territories/{territory_id}/decommission`,
		effect: "destroy",
		idempotency: "natural",
		callers: OPERATORS,
		path: territory,
		answers: { 200: people.territorySchema },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["territories", "decommission"], operands: ["territory_id"] },
	}),
	"territories.revokeCertificates": operation({
		summary: "Revokes a territory's certificates; it must enroll again",
		method: "POST",
		route: `${API}/territories/{territory_id}/revoke_certificates`,
		effect: "destroy",
		idempotency: "natural",
		callers: OPERATORS,
		path: territory,
		answers: { 200: z.object({ territory_id: wireIdSchema, revoked: z.int() }) },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["territories", "revoke-certificates"], operands: ["territory_id"] },
	}),
	"enrollmentTokens.create": operation({
		summary: "Makes a token with which one machine may enroll",
		method: "POST",
		route: `${API}/enrollment_tokens`,
		effect: "change",
		callers: OPERATORS,
		body: people.enrollmentTokenRequestSchema,
		answers: { 201: people.enrollmentTokenCreatedSchema },
		failures: ["validation-failed"],
		rate: "people",
		command: { words: ["tokens", "enroll"], operands: [] },
	}),
	"enrollmentTokens.list": operation({
		summary: "Lists enrollment tokens",
		method: "GET",
		route: `${API}/enrollment_tokens`,
		effect: "read",
		callers: OPERATORS,
		/** Neither used, expired nor revoked. */
		query: people.pageQuerySchema.extend({ usable: z.stringbool().optional() }),
		answers: { 200: people.pageOf("enrollment_tokens", people.enrollmentTokenSchema) },
		rate: "people",
		command: { words: ["tokens", "enrollments"], operands: [] },
	}),
	"enrollmentTokens.revoke": operation({
		summary: "Revokes an enrollment token",
		method: "DELETE",
		route: `${API}/enrollment_tokens/{enrollment_token_id}`,
		effect: "destroy",
		idempotency: "natural",
		callers: OPERATORS,
		path: token,
		answers: { 200: people.enrollmentTokenSchema },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["tokens", "revoke-enrollment"], operands: ["enrollment_token_id"] },
	}),
};
