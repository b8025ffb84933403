import type { EndReason } from "../../api/people/schema.ts";

/**
 * Rows as the database keeps them. Times are milliseconds since 1970, booleans 0 or 1, JSON is canonical text: the same in
 * SQLite and PostgreSQL, so that one set of queries serves both.
 */
type Flag = 0 | 1;
type Json = string;
type Time = number;

export interface Tables {
	accounts: AccountRow;
	users: UserRow;
	api_tokens: ApiTokenRow;
	territories: TerritoryRow;
	certificates: CertificateRow;
	channels: ChannelRow;
	bridge_entities: BridgeEntityRow;
	enrollment_tokens: EnrollmentTokenRow;
	facilities: FacilityRow;
	directives: DirectiveRow;
	log_chunks: LogChunkRow;
	artifacts: ArtifactRow;
	artifact_pieces: ArtifactPieceRow;
	policies: PolicyRow;
	policy_versions: PolicyVersionRow;
	commands: CommandRow;
	approvals: ApprovalRow;
	audit_events: AuditEventRow;
	blobs: BlobRow;
	idempotency_keys: IdempotencyKeyRow;
	journal_heads: JournalHeadRow;
	journal_entries: JournalEntryRow;
	journal_hashes: JournalHashRow;
	schema_versions: SchemaVersionRow;
}

export interface AccountRow {
	id: string;
	name: string;
	created_at: Time;
	updated_at: Time;
}

export interface UserRow {
	id: string;
	account_id: string;
	name: string | null;
	email: string | null;
	oidc_subject: string | null;
	role: string;
	disabled: Flag;
	created_at: Time;
	updated_at: Time;
}

export interface ApiTokenRow {
	id: string;
	account_id: string;
	user_id: string;
	name: string;
	/** SHA-256 of the token, lower-case hex: the token itself is kept nowhere. */
	token_digest: string;
	role: string;
	expires_at: Time | null;
	revoked_at: Time | null;
	last_used_at: Time | null;
	created_at: Time;
}

export interface TerritoryRow {
	id: string;
	account_id: string;
	name: string;
	kind: string;
	platform: string | null;
	display_name: string | null;
	labels: Json;
	capacity: Json;
	capabilities: Json;
	runtime_status: Json;
	location: string | null;
	tags: Json;
	/** Set by an operator; null leaves what the territory says. */
	max_concurrent: number | null;
	nexus_version: string | null;
	/** Raw Ed25519 key, base64: what its receipts are signed with. */
	receipt_public_key: string | null;
	push_token: string | null;
	push_platform: string | null;
	status: string;
	last_heartbeat_at: Time | null;
	created_at: Time;
	updated_at: Time;
}

export interface CertificateRow {
	/** SHA-256 of the DER, lower-case hex. */
	fingerprint: string;
	territory_id: string;
	serial: string;
	expires_at: Time;
	revoked_at: Time | null;
	created_at: Time;
}

/** One open WebSocket of a territory. Whose control plane stopped refreshing it counts as closed. */
export interface ChannelRow {
	id: string;
	territory_id: string;
	server_id: string;
	seen_at: Time;
}

export interface BridgeEntityRow {
	id: string;
	account_id: string;
	territory_id: string;
	entity_ref: string;
	entity_type: string;
	display_name: string | null;
	capabilities: Json;
	location: string | null;
	state: Json;
	available: Flag;
	last_seen_at: Time | null;
	created_at: Time;
	updated_at: Time;
}

export interface EnrollmentTokenRow {
	id: string;
	account_id: string;
	created_by_user_id: string;
	token_digest: string;
	labels: Json;
	expires_at: Time;
	used_at: Time | null;
	revoked_at: Time | null;
	created_at: Time;
}

export interface FacilityRow {
	id: string;
	account_id: string;
	owner_id: string;
	territory_id: string | null;
	name: string | null;
	kind: string;
	repo_url: string | null;
	repo_ref: string | null;
	import_path: string | null;
	affinity: string;
	retention_policy: Json;
	size_bytes: number;
	locked_by_directive_id: string | null;
	created_at: Time;
	updated_at: Time;
}

export interface DirectiveRow {
	id: string;
	account_id: string;
	facility_id: string;
	requested_by_user_id: string;
	territory_id: string | null;
	approved_by_user_id: string | null;
	state: string;
	/** 1 for the one directive of an unlocked facility that may be leased next: claiming never looks at the ones behind it. */
	ready: Flag;
	priority: number;
	attempts: number;
	max_attempts: number;
	sandbox_profile: string;
	command: string;
	shell: string | null;
	cwd: string | null;
	timeout_seconds: number;
	limits: Json;
	requested_capabilities: Json;
	effective_capabilities: Json;
	policy_snapshot: Json | null;
	approval_reasons: Json;
	/** Yes-answers that the policies ask for. */
	approvals_needed: number;
	env_allowlist: Json;
	env_refs: Json;
	workload: Json;
	workload_digest: string;
	/** 1 when only nodes that run the workload itself may be given it: the specification does not say all of it. */
	needs_workload: Flag;
	/** DSSE envelope of the decision that allowed it. */
	decision: Json | null;
	/** Fresh for each lease: what an earlier holder says is not heard. */
	lease_id: string | null;
	lease_expires_at: Time | null;
	last_heartbeat_at: Time | null;
	cancel_requested_at: Time | null;
	nexus_version: string | null;
	sandbox_version: string | null;
	started_at: Time | null;
	stdout_bytes: number;
	stderr_bytes: number;
	stdout_truncated: Flag;
	stderr_truncated: Flag;
	diff_truncated: Flag;
	exit_code: number | null;
	finished_status: string | null;
	finished_at: Time | null;
	/** Of one that no node ended. */
	end_reason: EndReason | null;
	result_hash: string | null;
	snapshot_before: string | null;
	snapshot_after: string | null;
	artifacts_manifest: Json;
	diff_digest: string | null;
	receipt_digest: string | null;
	/** Our own DSSE envelope over the payload that the territory signed, and its place in the journal. */
	countersignature: Json | null;
	created_at: Time;
	updated_at: Time;
}

export interface LogChunkRow {
	directive_id: string;
	stream: string;
	seq: number;
	bytes: Uint8Array;
	bytesize: number;
	truncated: Flag;
	created_at: Time;
}

export interface ArtifactRow {
	id: string;
	directive_id: string;
	/** Of the lease that handed it over. */
	lease_id: string | null;
	name: string;
	/** Of all of it, `sha256:` and hexadecimal. */
	digest: string;
	size_bytes: number;
	/** As many as its size: it is whole, and is what its digest names. */
	received_bytes: number;
	created_at: Time;
}

export interface ArtifactPieceRow {
	artifact_id: string;
	position: number;
	/** Names a blob. */
	digest: string;
}

export interface PolicyRow {
	id: string;
	/** Null: for every account. */
	account_id: string | null;
	name: string;
	priority: number;
	active: Flag;
	scope_type: string | null;
	scope_id: string | null;
	fs: Json;
	net: Json;
	secrets: Json;
	sandbox_profile_rules: Json;
	approval: Json;
	device: Json;
	version: number;
	created_at: Time;
	updated_at: Time;
}

export interface PolicyVersionRow {
	policy_id: string;
	version: number;
	/** The whole policy as it was. */
	policy: Json;
	changed_by_user_id: string | null;
	created_at: Time;
}

export interface CommandRow {
	id: string;
	account_id: string;
	territory_id: string;
	bridge_entity_id: string | null;
	requested_by_user_id: string | null;
	approved_by_user_id: string | null;
	capability: string;
	params: Json;
	state: string;
	result: Json;
	error_message: string | null;
	timeout_seconds: number;
	policy_snapshot: Json | null;
	result_hash: string | null;
	approval_reasons: Json;
	attachment_digest: string | null;
	attachment_filename: string | null;
	attachment_content_type: string | null;
	dispatched_at: Time | null;
	completed_at: Time | null;
	created_at: Time;
	updated_at: Time;
}

export interface ApprovalRow {
	id: string;
	account_id: string;
	directive_id: string | null;
	command_id: string | null;
	workload_digest: string;
	verdict: string;
	approver_user_id: string;
	reason: string | null;
	expires_at: Time | null;
	created_at: Time;
}

export interface AuditEventRow {
	id: string;
	account_id: string;
	event_type: string;
	severity: string;
	actor_user_id: string | null;
	territory_id: string | null;
	directive_id: string | null;
	command_id: string | null;
	payload: Json;
	context: Json;
	outcome: string;
	created_at: Time;
	completed_at: Time | null;
	journal_index: number | null;
}

export interface BlobRow {
	/** SHA-256, lower-case hex. */
	digest: string;
	size_bytes: number;
	media_type: string;
	created_at: Time;
}

export interface IdempotencyKeyRow {
	account_id: string;
	key: string;
	operation: string;
	request_digest: string;
	status: number;
	body: Json;
	created_at: Time;
}

/** The one row, which is locked by whoever appends. */
export interface JournalHeadRow {
	id: 1;
	size: number;
	/** Of that size, signed; null while nothing was appended. */
	checkpoint: string | null;
}

export interface JournalEntryRow {
	leaf_index: number;
	/** Canonical JSON: the bytes that are hashed. */
	entry: string;
}

/** Hash of the perfect subtree over leaves [position * 2^level, (position + 1) * 2^level). */
export interface JournalHashRow {
	level: number;
	position: number;
	hash: Uint8Array;
}

export interface SchemaVersionRow {
	version: number;
	name: string;
	applied_at: Time;
}
