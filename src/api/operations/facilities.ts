import { z } from "zod";
import { wireIdSchema } from "../conduits/schema.ts";
import { operation } from "../operation.ts";
import * as people from "../people/schema.ts";
import { OPERATORS, READERS, SUBMITTERS } from "./callers.ts";

const ROUTE = "/mothership/api/v1/facilities";
const byId = z.object({ facility_id: wireIdSchema });

/** Persistent workspaces, one writer at a time (conduits section 1.6). */
export const facilityOperations = {
	"facilities.create": operation({
		summary: "Makes a facility: empty, from a repository, or from a folder of a territory",
		method: "POST",
		route: ROUTE,
		effect: "change",
		idempotency: "key",
		callers: SUBMITTERS,
		body: people.facilityRequestSchema,
		answers: { 201: people.facilitySchema },
		failures: ["validation-failed", "not-found", "idempotency-conflict"],
		rate: "people",
		command: { words: ["facility", "create"], operands: [] },
	}),
	"facilities.list": operation({
		summary: "Lists facilities",
		method: "GET",
		route: ROUTE,
		effect: "read",
		callers: READERS,
		query: people.pageQuerySchema.extend({
			name: z.string().max(255).optional(),
			kind: z.enum(["repo", "empty", "imported_path"]).optional(),
			territory_id: wireIdSchema.optional(),
			locked: z.stringbool().optional(),
		}),
		answers: { 200: people.pageOf("facilities", people.facilitySchema) },
		rate: "people",
		command: { words: ["facility", "ls"], operands: [] },
	}),
	"facilities.show": operation({
		summary: "Shows a facility",
		method: "GET",
		route: `${ROUTE}/{facility_id}`,
		effect: "read",
		callers: READERS,
		path: byId,
		answers: { 200: people.facilitySchema },
		failures: ["not-found"],
		rate: "people",
		command: { words: ["facility", "show"], operands: ["facility_id"] },
	}),
	"facilities.change": operation({
		summary: "Changes a facility's name, affinity or retention",
		method: "PATCH",
		route: `${ROUTE}/{facility_id}`,
		effect: "change",
		idempotency: "natural",
		callers: OPERATORS,
		path: byId,
		body: people.facilityChangeSchema,
		answers: { 200: people.facilitySchema },
		failures: ["not-found", "validation-failed"],
		rate: "people",
		command: { words: ["facility", "change"], operands: ["facility_id"] },
	}),
	"facilities.delete": operation({
		summary: "Deletes a facility that has no directives",
		method: "DELETE",
		route: `${ROUTE}/{facility_id}`,
		effect: "destroy",
		idempotency: "natural",
		callers: OPERATORS,
		path: byId,
		answers: { 200: z.object({ id: wireIdSchema, deleted: z.literal(true) }) },
		failures: ["not-found", "state-conflict"],
		rate: "people",
		command: { words: ["facility", "rm"], operands: ["facility_id"] },
	}),
};
