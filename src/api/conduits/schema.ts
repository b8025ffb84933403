import { z } from "zod";
import { artifactNameSchema, digestSchema } from "../../core/index.ts";
import { ARTIFACT_LIMITS, workloadSchema } from "../../runtime/schema.ts";

/**
 * What nodes and the control plane say to each other (conduits sections 2 to 5). Receivers ignore unknown members; a missing
 * member and null mean the same, but for `finished.exit_code`.
 */
export const TERRITORY_KINDS = ["server", "desktop", "mobile", "bridge"] as const;
export const SANDBOX_PROFILES = ["untrusted", "trusted", "host", "darwin-automation"] as const;
/** Ours, announced by nodes that have the driver: `vm` is any with a kernel of its own. The protocol has a driver as a profile (section 7.3). */
export const ISOLATION_PROFILES = ["vm", "firecracker", "qemu", "bwrap", "container"] as const;
export const FINISHED_STATUSES = ["succeeded", "failed", "canceled", "timed_out"] as const;
export const STREAMS = ["stdout", "stderr"] as const;

const jsonObject = z.record(z.string(), z.json());
const text = z.string().max(65_536);
/** Directives and facilities of other control planes need not be UUIDs of version 7. */
export const wireIdSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, "must be an id");
/** RFC 3339 with any number of fraction digits. */
export const wireTimeSchema = z.iso.datetime({ offset: true });

export const enrollRequestSchema = z.object({
	enroll_token: z.string().max(512).nullish(),
	name: z.string().min(1).max(255).nullish(),
	kind: z.enum(TERRITORY_KINDS).nullish(),
	platform: z.string().max(255).nullish(),
	display_name: z.string().max(255).nullish(),
	labels: jsonObject.nullish(),
	metadata: z.object({ capacity: jsonObject.nullish() }).nullish(),
	csr_pem: z.string().max(65_536).nullish(),
	/** Raw Ed25519 public key, base64: what the node signs receipts with. Ours; others send none. */
	receipt_public_key: z.base64().max(64).nullish(),
});

export const enrollResponseSchema = z.object({
	territory_id: wireIdSchema,
	kind: z.enum(TERRITORY_KINDS),
	mtls_client_cert_pem: text.optional(),
	ca_bundle_pem: text.optional(),
	config: z.object({
		poll_interval_seconds: z.int(),
		heartbeat_interval_seconds: z.int(),
		heartbeat_interval_ws_seconds: z.int(),
		lease_ttl_seconds: z.int(),
		cable_url: z.string(),
	}),
	/** Raw Ed25519 public key of the control plane, base64: decisions and countersignatures. Ours. */
	control_plane_public_key: z.base64().optional(),
});

export const renewRequestSchema = z.object({ csr_pem: z.string().max(65_536) });
export const renewResponseSchema = z.object({
	mtls_client_cert_pem: text,
	ca_bundle_pem: text,
	expires_at: wireTimeSchema,
});

export const bridgeEntityReportSchema = z.object({
	entity_ref: z.string().max(255),
	entity_type: z.string().max(255),
	display_name: z.string().max(255).nullish(),
	capabilities: z.array(z.string().max(255)).max(1000).nullish(),
	location: z.string().max(1024).nullish(),
	state: jsonObject.nullish(),
	available: z.boolean().nullish(),
});

export const territoryHeartbeatRequestSchema = z.object({
	nexus_version: z.string().max(255).nullish(),
	labels: jsonObject.nullish(),
	capacity: jsonObject.nullish(),
	capabilities: z.array(z.string().max(255)).max(1000).nullish(),
	runtime_status: jsonObject.nullish(),
	running_directives_count: z.int().nonnegative().nullish(),
	bridge_entities: z.array(bridgeEntityReportSchema).max(10_000).nullish(),
});
export const territoryHeartbeatResponseSchema = z.object({
	ok: z.literal(true),
	territory_id: wireIdSchema,
	next_heartbeat_interval_seconds: z.int(),
	websocket_connected: z.boolean(),
	upgrade_available: z.boolean().optional(),
	latest_version: z.string().optional(),
	min_compatible_version: z.string().optional(),
});

/** Integers of at least 0; absent and 0 mean the default (section 5.2). A wrong type would fail a node's whole poll. */
const bound = z.int().nonnegative().max(Number.MAX_SAFE_INTEGER);
export const directiveLimitsSchema = z.object({
	/** Millicores. */
	cpu: bound.max(1_024_000).optional(),
	memory_mb: bound.max(1_048_576).optional(),
	disk_mb: bound.optional(),
	max_output_bytes: bound.optional(),
	max_diff_bytes: bound.optional(),
});

export const netCapabilitySchema = z.object({
	mode: z.enum(["none", "allowlist", "unrestricted"]),
	preset: z.enum(["off", "loose", "strict", "no_external", "custom"]).optional(),
	allow: z.array(z.string().max(255)).max(1000).optional(),
	ttl_seconds: z.int().min(1).max(86_400).optional(),
	x_ext: jsonObject.optional(),
});
const fsPaths = z.array(z.string().max(4096)).max(1000).optional();
export const fsCapabilitySchema = z.object({
	read: fsPaths,
	write: fsPaths,
	writable_roots: fsPaths,
	read_only_subpaths: fsPaths,
});

export const capabilitiesSchema = z.looseObject({
	fs: fsCapabilitySchema.nullish(),
	net: netCapabilitySchema.nullish(),
	secrets: jsonObject.nullish(),
	sandbox_profile_rules: jsonObject.nullish(),
});

export const directiveSpecSchema = z.looseObject({
	directive_id: wireIdSchema,
	facility: z.looseObject({
		id: z.string(),
		mount: z.string().nullish(),
		repo_url: z.string().nullish(),
		/** Ours: a branch or tag of the repository. */
		repo_ref: z.string().nullish(),
		/** Ours: a folder of the node that the facility begins as a copy of. */
		import_path: z.string().nullish(),
	}),
	sandbox_profile: z.string(),
	command: z.string(),
	shell: z.string().nullish(),
	cwd: z.string().nullish(),
	timeout_seconds: z.int().nullish(),
	limits: directiveLimitsSchema.nullish(),
	capabilities: capabilitiesSchema.nullish(),
	artifacts: z.looseObject({ collect: z.array(z.string()).optional(), always_diff: z.boolean().optional() }).nullish(),
});
export type DirectiveSpec = z.infer<typeof directiveSpecSchema>;

export const leaseSchema = z.looseObject({
	directive_id: wireIdSchema,
	directive_token: z.string(),
	spec: directiveSpecSchema,
	/** Ours, from here on: existing nodes ignore them. */
	lease_id: wireIdSchema.optional(),
	workload: workloadSchema.optional(),
	/** DSSE envelope over the decision, signed by the control plane. */
	decision: z.unknown().optional(),
	/** How the key that signed it came after the one that the node enrolled with: each the old key's word for the next. */
	key_successions: z.array(z.unknown()).max(100).optional(),
});
export type Lease = z.infer<typeof leaseSchema>;

export const pollRequestSchema = z.object({
	supported_sandbox_profiles: z.array(z.string().max(255)).max(32).nullish(),
	/** Anything below 1 counts as 1; the server gives at most 5. */
	max_directives_to_claim: z.coerce.number().nullish(),
	/** Ours: the node runs the lease's workload itself. Others read its specification alone, and get nothing that says less than that. */
	workload_schemas: z.array(z.string().max(255)).max(32).nullish(),
});
export const pollResponseSchema = z.object({
	directives: z.array(leaseSchema),
	lease_ttl_seconds: z.int(),
	retry_after_seconds: z.int(),
});

export const startedRequestSchema = z.object({
	sandbox_version: z.string().max(255).nullish(),
	nexus_version: z.string().max(255).nullish(),
	effective_capabilities_summary: z.json().nullish(),
	runtime_ref: z.string().max(1024).nullish(),
	started_at: z.string().max(64).nullish(),
});
export const startedResponseSchema = z.object({
	ok: z.literal(true),
	directive_id: wireIdSchema,
	state: z.string(),
	duplicate: z.boolean(),
});

export const directiveHeartbeatRequestSchema = z.object({
	progress: z.json().nullish(),
	last_output_seq: z.json().nullish(),
	now: z.string().nullish(),
});
export const directiveHeartbeatResponseSchema = z.object({
	cancel_requested: z.boolean(),
	lease_renewed: z.literal(true),
	directive_token: z.string(),
});

/** What the handler still judges by itself, in the order of section 2.3.7, is left loose here. */
export const logChunkRequestSchema = z.object({
	stream: z.unknown().optional(),
	seq: z.unknown().optional(),
	bytes: z.unknown().optional(),
	truncated: z.unknown().optional(),
});
export const logChunkResponseSchema = z.object({
	ok: z.literal(true),
	directive_id: wireIdSchema,
	stream: z.enum(STREAMS),
	seq: z.int(),
	stored: z.boolean(),
	duplicate: z.boolean(),
	accepted_bytes: z.int(),
	truncated: z.boolean(),
});

export const finishedRequestSchema = z.looseObject({
	status: z.unknown().optional(),
	/** Absent leaves the column untouched; null clears it. */
	exit_code: z.unknown().optional(),
	stdout_truncated: z.boolean().nullish(),
	stderr_truncated: z.boolean().nullish(),
	diff_truncated: z.boolean().nullish(),
	snapshot_before: z.string().max(4096).nullish(),
	snapshot_after: z.string().max(4096).nullish(),
	artifacts_manifest: jsonObject.nullish(),
	diff_base64: z.unknown().optional(),
	finished_at: z.string().max(64).nullish(),
});
export const finishedResponseSchema = z.object({
	ok: z.literal(true),
	directive_id: wireIdSchema,
	final_state: z.string(),
	duplicate: z.boolean(),
});

/** Of an artifact; the last of one may be smaller. */
export const ARTIFACT_PIECE_BYTES = 4 * 2 ** 20;
/** One piece of a file that a directive hands over, in their order (section 10, "Artifacts"). */
export const artifactPieceRequestSchema = z.object({
	name: artifactNameSchema,
	/** Of the whole file, as are name and size. */
	digest: digestSchema,
	size_bytes: z.int().nonnegative().max(ARTIFACT_LIMITS.bytes),
	offset: z.int().nonnegative(),
	bytes: z.string(),
});
export const artifactPieceResponseSchema = z.object({
	ok: z.literal(true),
	directive_id: wireIdSchema,
	artifact_id: wireIdSchema,
	received_bytes: z.int(),
	/** All of it is there, and is what its digest names. */
	complete: z.boolean(),
	duplicate: z.boolean(),
});

/** A run's statement in its signed envelope, without a place in a journal: the control plane's journal takes it. */
export const receiptRequestSchema = z.object({
	/** DSSE, one signature, `application/vnd.in-toto+json`. */
	envelope: z.json(),
	/** Raw Ed25519 key of the signer, base64: the one that the territory enrolled with. */
	publicKey: z.base64().max(64),
});
export const receiptResponseSchema = z.object({
	ok: z.literal(true),
	directive_id: wireIdSchema,
	receipt_digest: z.string(),
	duplicate: z.boolean(),
});

export const pendingCommandSchema = z.object({
	command_id: wireIdSchema,
	capability: z.string(),
	params: jsonObject,
	bridge_entity_ref: z.string().nullable(),
	timeout_seconds: z.int(),
	created_at: wireTimeSchema,
});
export const pendingCommandsResponseSchema = z.object({
	commands: z.array(pendingCommandSchema),
	retry_after_seconds: z.int(),
});
export const commandResultRequestSchema = z.object({
	status: z.unknown().optional(),
	result: jsonObject.nullish(),
	error_message: z.string().max(65_536).nullish(),
	attachment_base64: z.string().nullish(),
	attachment_filename: z.string().max(255).nullish(),
	attachment_content_type: z.string().max(255).nullish(),
});
export const commandResultResponseSchema = z.object({
	ok: z.literal(true),
	command_id: wireIdSchema,
	final_state: z.string(),
	duplicate: z.literal(true).optional(),
	already_terminal: z.literal(true).optional(),
});
