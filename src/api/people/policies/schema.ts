import { z } from "zod";
import { wireIdSchema, wireTimeSchema } from "../../conduits/schema.ts";
import { jsonObject, nameSchema } from "../schema.ts";

/** Policies, as people write them and are shown them (conduits sections 1.9 and 2.5.7). */
const policyTextSchema = z.object({
	name: nameSchema,
	priority: z.int().min(-1_000_000).max(1_000_000),
	scope_type: z.enum(["Account", "User", "Conduits::Facility"]).nullish(),
	scope_id: wireIdSchema.nullish(),
	active: z.boolean(),
	fs: jsonObject,
	net: jsonObject,
	secrets: jsonObject,
	sandbox_profile_rules: jsonObject,
	approval: jsonObject,
	device: jsonObject,
});
/** What is left out stays as it is: a member with a default would be there. */
export const policyChangeSchema = policyTextSchema.partial();
const nothingSaid = jsonObject.default({});
export const policyRequestSchema = policyTextSchema.extend({
	priority: policyTextSchema.shape.priority.default(0),
	active: z.boolean().default(true),
	fs: nothingSaid,
	net: nothingSaid,
	secrets: nothingSaid,
	sandbox_profile_rules: nothingSaid,
	approval: nothingSaid,
	device: nothingSaid,
});
export const policySchema = policyTextSchema.extend({
	id: wireIdSchema,
	version: z.int(),
	created_at: wireTimeSchema,
	updated_at: wireTimeSchema,
});
export const dryRunRequestSchema = z.object({
	/** The change to try: a policy that is new (no `id`) or another text for an existing one; null tries without any change. */
	policy: policyChangeSchema.extend({ id: wireIdSchema.nullish() }).nullish(),
	/** How many of the latest directives to judge again. */
	last: z.int().min(1).max(1000).default(100),
});
export const dryRunSchema = z.object({
	judged: z.int(),
	changed: z.array(
		z.object({
			directive_id: wireIdSchema,
			command: z.string(),
			verdict_then: z.string(),
			verdict_now: z.string(),
			reasons: z.array(z.string()),
			capabilities_changed: z.boolean(),
		}),
	),
});
