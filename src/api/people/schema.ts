import { z } from "zod";
import { artifactPatternSchema, digestSchema } from "../../core/index.ts";
import {
	directiveLimitsSchema,
	FINISHED_STATUSES,
	netCapabilitySchema,
	STREAMS,
	TERRITORY_KINDS,
	wireIdSchema,
	wireTimeSchema,
} from "../conduits/schema.ts";

/** What a person may do in an account, as their token or session says. */
export const ROLES = ["owner", "operator", "approver", "auditor", "member"] as const;
export type Role = (typeof ROLES)[number];

/** What people, their programs and the control plane say to each other (conduits section 2.5, and what Vouch adds). */
export const jsonObject = z.record(z.string(), z.json());
export const nameSchema = z.string().trim().min(1).max(255);
const time = wireTimeSchema;
const timeOrNull = time.nullable();

export const DIRECTIVE_STATES = [
	"queued",
	"awaiting_approval",
	"leased",
	"running",
	"succeeded",
	"failed",
	"canceled",
	"timed_out",
] as const;
/** Why a directive ended that no node ended: a yes or no that did not come, or came and ran out; the policy; its node. */
export const END_REASONS = [
	"unanswered",
	"rejected",
	"approval_expired",
	"policy_forbidden",
	"territory_lost",
] as const;
export type EndReason = (typeof END_REASONS)[number];
export const COMMAND_STATES = [
	"queued",
	"awaiting_approval",
	"dispatched",
	"completed",
	"failed",
	"timed_out",
	"canceled",
] as const;
export const TERRITORY_STATUSES = ["pending", "online", "offline", "decommissioned"] as const;

/** Every list: at most `limit` of them, and where the next ones begin. */
export const pageQuerySchema = z.object({
	limit: z.coerce.number<number>().int().min(1).max(500).default(50),
	/** Opaque: what `next_cursor` said. */
	cursor: z.string().max(512).optional(),
});

export function pageOf<Name extends string, Item extends z.ZodType>(plural: Name, item: Item) {
	const shape = { [plural]: z.array(item), next_cursor: z.string().nullable() };
	return z.object(shape as Record<Name, z.ZodArray<Item>> & { next_cursor: z.ZodNullable<z.ZodString> });
}

export const facilitySchema = z.object({
	id: wireIdSchema,
	kind: z.enum(["repo", "empty", "imported_path"]),
	name: z.string().nullable(),
	repo_url: z.string().nullable(),
	territory_id: wireIdSchema.nullable(),
	/** `none` lets every territory of the account claim its directives; `required` only its own. */
	affinity: z.enum(["none", "required"]),
	retention_policy: z.json(),
	size_bytes: z.int(),
	locked_by_directive_id: wireIdSchema.nullable(),
	created_at: time,
	updated_at: time,
});
export const facilityRequestSchema = z.object({
	kind: z.enum(["repo", "empty", "imported_path"]).default("empty"),
	name: nameSchema.nullish(),
	init: z
		.object({
			repo_url: z.string().max(2048).nullish(),
			ref: z.string().max(255).nullish(),
			import_path: z.string().max(4096).nullish(),
		})
		.nullish(),
	territory_id: wireIdSchema.nullish(),
	affinity: z.enum(["none", "required"]).default("none"),
	retention_policy: z.json().default("keep_last_5"),
});
export const facilityChangeSchema = facilityRequestSchema
	.pick({ name: true, territory_id: true })
	.extend({ affinity: z.enum(["none", "required"]).optional(), retention_policy: z.json().optional() });

/** An image as its node will know it: by its own digest, which `vouch image ls` prints. */
export const imageSchema = z.object({
	/** A name, or where a node may pull it from: `registry.example.org/team/app:1.0`. */
	reference: z.string().min(1).max(1024),
	digest: digestSchema,
});

export const directiveRequestSchema = z.object({
	/** Blank is 400, as existing clients know it. */
	command: z.string().max(131_072).nullish(),
	shell: z.string().max(1024).nullish(),
	cwd: z.string().max(4096).nullish(),
	sandbox_profile: z.string().max(64).default("untrusted"),
	/** Its root file system; without one it is the node's own. */
	image: imageSchema.nullish(),
	/** Patterns of files that are kept when it has ended: `dist/*.tgz`, `out/` for all below. Nodes that can't are never given it. */
	artifacts: z.array(artifactPatternSchema).max(64).default([]),
	timeout_seconds: z.int().min(0).max(604_800).default(300),
	requested_capabilities: z.looseObject({ net: netCapabilitySchema.optional(), fs: jsonObject.optional() }).default({}),
	env_allowlist: z.array(z.string().max(255)).max(1000).default([]),
	env_refs: z.array(z.json()).max(1000).default([]),
	limits: directiveLimitsSchema.default({}),
	/** Higher runs first. */
	priority: z.int().min(-100).max(100).default(0),
	/** How often it may be begun: more than once only when its territory was lost while it ran. */
	max_attempts: z.int().min(1).max(20).default(1),
});
export const directiveSchema = z.object({
	id: wireIdSchema,
	facility_id: wireIdSchema,
	state: z.enum(DIRECTIVE_STATES),
	command: z.string(),
	shell: z.string().nullable(),
	cwd: z.string().nullable(),
	sandbox_profile: z.string(),
	image: imageSchema.nullable(),
	/** Patterns, as it was asked for. */
	artifacts: z.array(z.string()),
	exit_code: z.int().nullable(),
	finished_status: z.enum(FINISHED_STATUSES).nullable(),
	end_reason: z.enum(END_REASONS).nullable(),
	territory_id: wireIdSchema.nullable(),
	requested_by_user_id: wireIdSchema,
	approved_by_user_id: wireIdSchema.nullable(),
	priority: z.int(),
	attempts: z.int(),
	max_attempts: z.int(),
	timeout_seconds: z.int(),
	workload_digest: digestSchema,
	receipt_digest: digestSchema.nullable(),
	approval_reasons: z.array(z.string()),
	cancel_requested_at: timeOrNull,
	stdout_bytes: z.int(),
	stderr_bytes: z.int(),
	stdout_truncated: z.boolean(),
	stderr_truncated: z.boolean(),
	diff_truncated: z.boolean(),
	has_diff: z.boolean(),
	started_at: timeOrNull,
	finished_at: timeOrNull,
	created_at: time,
	updated_at: time,
});
export const directiveFilterSchema = pageQuerySchema.extend({
	state: z.enum(DIRECTIVE_STATES).optional(),
	facility_id: wireIdSchema.optional(),
	territory_id: wireIdSchema.optional(),
	requested_by_user_id: wireIdSchema.optional(),
});
export const directiveCreatedSchema = z.object({
	directive_id: wireIdSchema,
	state: z.enum(DIRECTIVE_STATES),
	workload_digest: digestSchema,
	created_at: time,
});
export const directiveAwaitingSchema = directiveCreatedSchema.extend({ approval_reasons: z.array(z.string()) });

/** A file that a directive handed over. */
export const artifactSchema = z.object({
	id: wireIdSchema,
	/** Path below its workspace. */
	name: z.string(),
	size_bytes: z.int(),
	digest: digestSchema,
	created_at: time,
});

export const logChunksSchema = z.object({
	directive_id: wireIdSchema,
	facility_id: wireIdSchema.optional(),
	stream: z.enum(STREAMS),
	after_seq: z.int(),
	limit: z.int(),
	chunks: z.array(
		z.object({
			seq: z.int(),
			bytes_base64: z.string(),
			bytesize: z.int(),
			truncated: z.boolean(),
			created_at: time,
		}),
	),
	next_after_seq: z.int(),
	stdout_truncated: z.boolean(),
	stderr_truncated: z.boolean(),
});
/** One Server-Sent Event of a live tail: `chunk`, then `state` when it changes, then `end`. */
export const logEventSchema = z.discriminatedUnion("event", [
	z.object({
		event: z.literal("chunk"),
		stream: z.enum(STREAMS),
		seq: z.int(),
		bytes_base64: z.string(),
		/** What came after it in its stream may have been left out. */
		truncated: z.boolean(),
	}),
	z.object({ event: z.literal("state"), state: z.enum(DIRECTIVE_STATES) }),
	z.object({ event: z.literal("end"), state: z.enum(DIRECTIVE_STATES), exit_code: z.int().nullable() }),
]);

export const answerRequestSchema = z.object({
	reason: z.string().max(4096).nullish(),
	/** When given, it must be the digest that the directive has: what was looked at is what is approved. */
	workload_digest: digestSchema.nullish(),
});
export const approvalRequestSchema = answerRequestSchema.extend({
	/** A directive that was not begun by then ends canceled. Default a day. */
	expires_in_seconds: z
		.int()
		.min(60)
		.max(30 * 86_400)
		.nullish(),
});

export const approvalRecordSchema = z.object({
	id: wireIdSchema,
	directive_id: wireIdSchema.nullable(),
	command_id: wireIdSchema.nullable(),
	workload_digest: digestSchema,
	verdict: z.enum(["approved", "rejected"]),
	approver_user_id: wireIdSchema,
	reason: z.string().nullable(),
	expires_at: timeOrNull,
	created_at: time,
});

export const commandRequestSchema = z.object({
	capability: z.string().max(255).nullish(),
	params: jsonObject.default({}),
	target: z
		.object({
			territory_id: wireIdSchema.nullish(),
			location: z.string().max(1024).nullish(),
			tag: z.string().max(255).nullish(),
			entity_ref: z.string().max(255).nullish(),
		})
		.default({}),
	/** Clamped to 1..300. */
	timeout_seconds: z.coerce.number<number>().default(30),
});
export const commandSchema = z.object({
	id: wireIdSchema,
	state: z.enum(COMMAND_STATES),
	capability: z.string(),
	params: jsonObject,
	territory_id: wireIdSchema,
	bridge_entity_id: wireIdSchema.nullable(),
	approval_reasons: z.array(z.string()),
	created_at: time,
	dispatched_at: timeOrNull,
	completed_at: timeOrNull,
	result: jsonObject,
	error_message: z.string().nullable(),
	has_attachment: z.boolean(),
});
export const commandCreatedSchema = z.object({
	command_id: wireIdSchema,
	state: z.enum(COMMAND_STATES),
	dispatched_via: z.enum(["websocket", "push_notification", "poll"]),
	created_at: time.optional(),
});
export const commandAwaitingSchema = z.object({
	command_id: wireIdSchema,
	state: z.literal("awaiting_approval"),
	approval_reasons: z.array(z.string()),
	created_at: time,
});

export const territorySchema = z.object({
	id: wireIdSchema,
	name: z.string(),
	kind: z.enum(TERRITORY_KINDS),
	status: z.enum(TERRITORY_STATUSES),
	platform: z.string().nullable(),
	display_name: z.string().nullable(),
	labels: jsonObject,
	capacity: jsonObject,
	capabilities: z.array(z.string()),
	runtime_status: jsonObject,
	location: z.string().nullable(),
	tags: z.array(z.string()),
	nexus_version: z.string().nullable(),
	last_heartbeat_at: timeOrNull,
	websocket_connected: z.boolean(),
	running_directives: z.int(),
	certificate_expires_at: timeOrNull,
	created_at: time,
	updated_at: time,
});
/** A device behind a bridge, as the bridge's latest list has it. */
export const entitySchema = z.object({
	id: wireIdSchema,
	territory_id: wireIdSchema,
	/** What the bridge calls it. */
	entity_ref: z.string(),
	entity_type: z.string(),
	display_name: z.string().nullable(),
	capabilities: z.array(z.string()),
	location: z.string().nullable(),
	state: jsonObject,
	/** False when the bridge says so, or no longer names it. */
	available: z.boolean(),
	last_seen_at: timeOrNull,
	created_at: time,
	updated_at: time,
});
export const entityFilterSchema = pageQuerySchema.extend({
	territory_id: wireIdSchema.optional(),
	entity_type: z.string().max(255).optional(),
	capability: z.string().max(255).optional(),
	location: z.string().max(1024).optional(),
	available: z.stringbool().optional(),
});

export const territoryChangeSchema = z.object({
	display_name: z.string().max(255).nullish(),
	location: z.string().max(1024).nullish(),
	tags: z.array(z.string().max(255)).max(100).optional(),
	/** Directives at once; stays until an operator says another. */
	max_concurrent: z.int().min(1).max(10_000).nullish(),
});

export const enrollmentTokenSchema = z.object({
	id: wireIdSchema,
	labels: jsonObject,
	expires_at: time,
	used_at: timeOrNull,
	revoked_at: timeOrNull,
	created_at: time,
});
export const enrollmentTokenRequestSchema = z.object({
	labels: jsonObject.default({}),
	expires_in_seconds: z.int().min(60).max(2_592_000).default(3600),
});

export const auditEventSchema = z.object({
	id: wireIdSchema,
	event_type: z.string(),
	severity: z.enum(["info", "warn", "critical"]),
	actor_user_id: wireIdSchema.nullable(),
	territory_id: wireIdSchema.nullable(),
	directive_id: wireIdSchema.nullable(),
	command_id: wireIdSchema.nullable(),
	payload: jsonObject,
	context: jsonObject,
	/** `pending` stands until the operation has ended; one that stays so tells of a crash. */
	outcome: z.enum(["pending", "done", "refused", "failed"]),
	created_at: time,
	completed_at: timeOrNull,
	/** Its place in the journal; null until it is there. */
	journal_index: z.int().nullable(),
});
export const approvalFilterSchema = pageQuerySchema.extend({
	directive_id: wireIdSchema.optional(),
	command_id: wireIdSchema.optional(),
	approver_user_id: wireIdSchema.optional(),
	verdict: z.enum(["approved", "rejected"]).optional(),
});
export const auditFilterSchema = pageQuerySchema.extend({
	event_type: z.string().max(255).optional(),
	severity: z.enum(["info", "warn", "critical"]).optional(),
	directive_id: wireIdSchema.optional(),
	command_id: wireIdSchema.optional(),
	territory_id: wireIdSchema.optional(),
	actor_user_id: wireIdSchema.optional(),
	since: time.optional(),
	until: time.optional(),
});

export const userSchema = z.object({
	id: wireIdSchema,
	name: z.string().nullable(),
	email: z.string().nullable(),
	role: z.enum(ROLES),
	disabled: z.boolean(),
	created_at: time,
});
export const userRequestSchema = z.object({
	name: nameSchema,
	email: z.email().max(255).nullish(),
	role: z.enum(ROLES),
});
export const userChangeSchema = z.object({
	name: nameSchema.optional(),
	role: z.enum(ROLES).optional(),
	disabled: z.boolean().optional(),
});

export const apiTokenSchema = z.object({
	id: wireIdSchema,
	user_id: wireIdSchema,
	name: z.string(),
	/** What it may do: this role's operations, and never more than its user's. */
	role: z.enum(ROLES),
	expires_at: timeOrNull,
	revoked_at: timeOrNull,
	last_used_at: timeOrNull,
	created_at: time,
});
export const apiTokenRequestSchema = z.object({
	name: nameSchema,
	user_id: wireIdSchema.nullish(),
	role: z.enum(ROLES).nullish(),
	expires_in_seconds: z.int().min(60).max(31_536_000).nullish(),
});
/** `token` is shown this once: only its digest is kept. */
export const apiTokenCreatedSchema = apiTokenSchema.extend({ token: z.string() });
/** Where a browser comes back to: a program of the same person that listens on this machine (RFC 8252, section 7.3). */
const loopbackUri = z
	.string()
	.max(2048)
	.regex(/^http:\/\/(127\.0\.0\.1|\[::1\]|localhost):\d{1,5}\/[\w/-]*$/, "must be http://127.0.0.1:PORT/…");
export const signInRequestSchema = z.object({ redirect_uri: loopbackUri });
export const signInBegunSchema = z.object({
	/** To be opened in a browser. */
	authorization_url: z.url(),
	/** To be given back when the browser has come back. Opaque; nobody else may have it. */
	sign_in: z.string(),
});
export const signInFinishSchema = z.object({
	sign_in: z.string().max(4096),
	/** The whole address that the browser came back to. */
	came_back_to: z.url({ protocol: /^http$/ }).max(16_384),
});
export const signedInSchema = apiTokenCreatedSchema.extend({ user: userSchema });
export const enrollmentTokenCreatedSchema = enrollmentTokenSchema.extend({ token: z.string() });

/** The leaf is the entry's canonical JSON; the path leads from it to the checkpoint's root. */
export const journalEntrySchema = z.object({
	index: z.int(),
	entry: z.record(z.string(), z.json()),
	path: z.array(z.base64()),
	checkpoint: z.string(),
});
export const journalConsistencySchema = z.object({
	from: z.int(),
	size: z.int(),
	/** RFC 9162, section 2.1.4. */
	path: z.array(z.base64()),
	checkpoint: z.string(),
});
export const journalCheckpointSchema = z.object({ checkpoint: z.string(), size: z.int(), public_key: z.base64() });
