import { ISOLATION_PROFILES, SANDBOX_PROFILES } from "../../api/conduits/schema.ts";
import { imageProblem, needsWorkload, workingDirectoryOf, workloadOf } from "../../api/index.ts";
import { canonicalJson, digestOfJson, type Json, newId } from "../../core/index.ts";
import { noteEvent } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { once } from "../http/idempotency.ts";
import type { Identity } from "../http/identity.ts";
import { refusal } from "../http/refusal.ts";
import { applicablePolicies, dimensionsOf } from "../policies/applicable.ts";
import { type Resolution, resolve } from "../policies/resolve.ts";
import { flagOf, jsonText, textOf, timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import { addDirective } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import type { DirectiveRow } from "../store/tables.ts";
import { decisionOf, signDecision } from "./decision.ts";

type Create = Handlers["directives.create"];
type Request = Parameters<Create>[1];

const PROFILES: ReadonlySet<string> = new Set([...SANDBOX_PROFILES, ...ISOLATION_PROFILES]);

/** Conduits section 2.5.1: judged, then stored as queued or as waiting for approval. What is forbidden is not stored. */
export function createDirective(services: Services): Create {
	return async (context, input) => {
		const person = personOf(context.identity);
		const make = async (session: Session) => {
			const facility = await session.db
				.selectFrom("facilities")
				.select("id")
				.where("id", "=", input.path.facility_id)
				.where("account_id", "=", person.accountId)
				.executeTakeFirst();
			if (facility === undefined) return refusal("not-found", { kind: "facility", id: input.path.facility_id });
			const created = await judgeAndStore(session, services, person, input);
			return created instanceof Error ? created : answerOf(created);
		};
		const answer = await context.store.transaction((session) =>
			once(session, context, "directives.create", input, () => make(session)),
		);
		// Thrown here, so that what the transaction noted of a refusal stays.
		if (answer instanceof Error) throw answer;
		context.note({ directiveId: answer.body.directive_id });
		return answer;
	};
}

function answerOf(created: DirectiveRow): Awaited<ReturnType<Create>> {
	const body = {
		directive_id: created.id,
		state: created.state as "queued",
		workload_digest: created.workload_digest as `sha256:${string}`,
		created_at: timeOf(created.created_at),
	};
	if (created.state === "queued") return { status: 201, body };
	return { status: 202, body: { ...body, approval_reasons: JSON.parse(created.approval_reasons) as string[] } };
}

type Person = Extract<Identity, { kind: "person" }>;

export function personOf(identity: Identity): Person {
	if (identity.kind !== "person") throw new TypeError("a row for people let somebody else in");
	return identity;
}

async function judgeAndStore(
	session: Session,
	services: Services,
	person: Person,
	input: Request,
): Promise<DirectiveRow | Error> {
	const { body, path } = input;
	const command = body.command ?? "";
	if (command.trim() === "") return refusal("missing-parameter", { what: "A directive", parameter: "command" });
	const problems = problemsOf(body);
	if (problems.length > 0)
		return refusal(
			"validation-failed",
			{ what: "The directive", problems: problems.join("; ") },
			{ details: problems },
		);
	const scope = { accountId: person.accountId, userId: person.userId, facilityId: path.facility_id };
	const rows = await applicablePolicies(session, scope);
	const policies = rows.map((row) => ({ id: row.id, dimensions: dimensionsOf(row) }));
	const capabilities = body.requested_capabilities as Record<string, Json>;
	const asked = { profile: body.sandbox_profile, command, image: body.image ?? null, capabilities };
	const resolution = resolve(asked, policies, timeOf(session.nowMs));
	if (resolution.verdict === "forbidden") return forbid(session, person, asked, resolution);
	const row = rowOf(session, person, input, command, resolution, services);
	await addDirective(session, row);
	const needsApproval = resolution.verdict === "needs_approval";
	await noteEvent(session, {
		accountId: person.accountId,
		type: "directive.created",
		actorUserId: person.userId,
		directiveId: row.id,
		payload: {
			verdict: resolution.verdict,
			policies_applied: resolution.snapshot.policies_applied,
			...(needsApproval ? { reasons: resolution.reasons } : {}),
		},
	});
	return row;
}

function problemsOf({ sandbox_profile, image, cwd }: Request["body"]): string[] {
	const unfit = imageProblem(sandbox_profile, image);
	return [
		...(unfit === undefined ? [] : [unfit]),
		...(PROFILES.has(sandbox_profile)
			? []
			: [`sandbox_profile: ${sandbox_profile} is none of ${[...PROFILES].join(", ")}`]),
		...(workingDirectoryOf(cwd ?? null) === undefined ? ["cwd: it must lie in /workspace"] : []),
	];
}

/** Section 2.5.1, steps 1 and 4: refused, and remembered as a thing to look at. */
async function forbid(
	session: Session,
	{ accountId, userId }: Person,
	asked: { readonly command: string; readonly profile: string },
	{ violations, reasons, snapshot }: Resolution,
): Promise<Error> {
	const byShape = violations.length > 0;
	await noteEvent(session, {
		accountId,
		type: byShape ? "directive.command_forbidden" : "directive.policy_forbidden",
		severity: "critical",
		actorUserId: userId,
		payload: {
			command: asked.command,
			sandbox_profile: asked.profile,
			...(byShape ? { violations } : { reasons, policies_applied: snapshot.policies_applied }),
		},
	});
	return byShape
		? refusal("command-forbidden", { violations: violations.join(", ") }, { violations: [...violations] })
		: refusal("policy-forbidden", { reasons: reasons.join(", ") }, { reasons: [...reasons] });
}

function rowOf(
	{ nowMs }: Session,
	person: Person,
	{ body, path }: Request,
	command: string,
	resolution: Resolution,
	services: Services,
): DirectiveRow {
	const described = {
		id: newId<string>(nowMs),
		facility_id: path.facility_id,
		sandbox_profile: body.sandbox_profile,
		command,
		shell: textOf(body.shell),
		cwd: textOf(body.cwd),
		timeout_seconds: body.timeout_seconds,
	};
	const image = body.image ?? null;
	const workload = workloadOf({ ...described, image, limits: definedOf(body.limits), effective: resolution.effective });
	const isQueued = resolution.verdict === "skip";
	const decision = decisionOf(workload, resolution);
	return {
		...NEW_DIRECTIVE,
		...described,
		account_id: person.accountId,
		requested_by_user_id: person.userId,
		state: isQueued ? "queued" : "awaiting_approval",
		priority: body.priority,
		max_attempts: body.max_attempts,
		limits: jsonText(body.limits),
		requested_capabilities: jsonText(body.requested_capabilities),
		effective_capabilities: jsonText(resolution.effective),
		policy_snapshot: jsonText(resolution.snapshot),
		approval_reasons: jsonText(resolution.reasons),
		approvals_needed: resolution.approvalsNeeded,
		env_allowlist: jsonText(body.env_allowlist),
		env_refs: jsonText(body.env_refs),
		workload: canonicalJson(workload as unknown as Json),
		workload_digest: digestOfJson(workload as unknown as Json),
		needs_workload: flagOf(needsWorkload(workload)),
		decision: isQueued ? jsonText(signDecision({ decision, approvals: [] }, services.keys.signer())) : null,
		created_at: nowMs,
		updated_at: nowMs,
	};
}

function definedOf<T extends object>(value: T): { [Member in keyof T]: Exclude<T[Member], undefined> } {
	return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}

/** What a directive is before anything happened to it. */
const NEW_DIRECTIVE = {
	territory_id: null,
	approved_by_user_id: null,
	ready: 0,
	attempts: 0,
	lease_id: null,
	lease_expires_at: null,
	last_heartbeat_at: null,
	cancel_requested_at: null,
	nexus_version: null,
	sandbox_version: null,
	started_at: null,
	stdout_bytes: 0,
	stderr_bytes: 0,
	stdout_truncated: 0,
	stderr_truncated: 0,
	diff_truncated: 0,
	exit_code: null,
	finished_status: null,
	finished_at: null,
	result_hash: null,
	snapshot_before: null,
	snapshot_after: null,
	artifacts_manifest: "{}",
	diff_digest: null,
	receipt_digest: null,
	countersignature: null,
} as const satisfies Partial<DirectiveRow>;
