import { ISOLATION_PROFILES, SANDBOX_PROFILES } from "../../api/conduits/schema.ts";
import { imageProblem, needsWorkload, workingDirectoryOf, workloadOf } from "../../api/index.ts";
import { canonicalJson, type Json, newId } from "../../core/index.ts";
import { type Workload, workloadSchema } from "../../runtime/schema.ts";
import { type DomainEvent, noteEvents } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { type Once, onceEach } from "../http/idempotency.ts";
import type { Identity } from "../http/identity.ts";
import { refusal } from "../http/refusal.ts";
import { applicablePolicies, type PolicyScope } from "../policies/applicable.ts";
import { type NamedPolicy, type Resolution, resolve } from "../policies/resolve.ts";
import { flagOf, jsonText, textOf, timeOf } from "../rows.ts";
import type { Services } from "../services.ts";
import { NEW_DIRECTIVE } from "../store/new-directive.ts";
import { addDirectives, lockFacilities } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import type { DirectiveRow } from "../store/tables.ts";
import { together } from "../store/together.ts";
import { decisionOf, signDecision } from "./decision.ts";

type Create = Handlers["directives.create"];
type Request = Parameters<Create>[1];
type Answer = Awaited<ReturnType<Create>>;

const PROFILES: ReadonlySet<string> = new Set([...SANDBOX_PROFILES, ...ISOLATION_PROFILES]);

type Asked = Once<Request>;

/** Conduits section 2.5.1: judged, then stored as queued or as waiting for approval. What is forbidden is not stored. */
export function createDirective(services: Services): Create {
	const createEach = together(
		"transaction",
		(session, asked: readonly Asked[]) =>
			onceEach(session, "directives.create", asked, (fresh) => createAll(session, services, fresh)),
		({ context }) => context.idempotencyKey ?? Symbol(),
	);
	return async (context, request) => {
		const answer = await createEach(context.store, { context, request });
		context.note({ directiveId: answer.body.directive_id });
		return answer;
	};
}

/** What became of a request, and what is noted of it: a refusal, too, may be something to look at. */
interface Judged {
	readonly answer: Answer | Error;
	readonly row?: DirectiveRow;
	readonly event?: DomainEvent;
}

async function createAll(
	session: Session,
	services: Services,
	asked: readonly Asked[],
): Promise<readonly (Answer | Error)[]> {
	if (asked.length === 0) return [];
	const scopes = asked.map(({ context, request }) => {
		const { accountId, userId } = personOf(context.identity);
		return { accountId, userId, facilityId: request.path.facility_id };
	});
	const facilities = await lockFacilities(session, [...new Set(scopes.map(({ facilityId }) => facilityId))]);
	const policies = await applicablePolicies(session, scopes);
	// Of one moment: whoever asked first has the smaller id, and is first in the queue.
	const ids = asked.map(() => newId<string>(session.nowMs)).sort();
	const judged = asked.map(({ request }, at): Judged => {
		const scope = scopes[at] as PolicyScope;
		if (facilities.get(scope.facilityId)?.account_id !== scope.accountId)
			return { answer: refusal("not-found", { kind: "facility", id: scope.facilityId }) };
		return judge(session, services, { scope, request, policies: policies[at] ?? [], id: ids[at] ?? "" });
	});
	await addDirectives(
		session,
		judged.flatMap(({ row }) => row ?? []),
		facilities,
	);
	await noteEvents(
		session,
		judged.flatMap(({ event }) => event ?? []),
	);
	return judged.map(({ answer }) => answer);
}

function answerOf(created: DirectiveRow): Answer {
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

interface Case {
	readonly scope: PolicyScope;
	readonly request: Request;
	readonly policies: readonly NamedPolicy[];
	readonly id: string;
}

function judge(session: Session, services: Services, one: Case): Judged {
	const { scope, request, policies } = one;
	const { body } = request;
	const command = body.command ?? "";
	if (command.trim() === "")
		return { answer: refusal("missing-parameter", { what: "A directive", parameter: "command" }) };
	const problems = problemsOf(body);
	if (problems.length > 0) return { answer: invalid(problems) };
	const capabilities = body.requested_capabilities as Record<string, Json>;
	const asked = { profile: body.sandbox_profile, command, image: body.image ?? null, capabilities };
	const resolution = resolve(asked, policies, timeOf(session.nowMs));
	if (resolution.verdict === "forbidden") return forbidden(scope, asked, resolution);
	const workload = workloadFor(one, command, resolution);
	// What no node could read would wait for a node until its lease ran out.
	const { error } = workloadSchema.safeParse(workload);
	if (error !== undefined)
		return { answer: invalid(error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`)) };
	const row = rowOf(session, one, { command, workload, resolution }, services);
	const needsApproval = resolution.verdict === "needs_approval";
	const payload = {
		verdict: resolution.verdict,
		policies_applied: resolution.snapshot.policies_applied,
		...(needsApproval ? { reasons: resolution.reasons } : {}),
	};
	const about = { accountId: scope.accountId, actorUserId: scope.userId, directiveId: row.id };
	return { answer: answerOf(row), row, event: { ...about, type: "directive.created", payload } };
}

function invalid(problems: readonly string[]) {
	return refusal("validation-failed", { what: "The directive", problems: problems.join("; ") }, { details: problems });
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
function forbidden(
	{ accountId, userId }: PolicyScope,
	asked: { readonly command: string; readonly profile: string },
	{ violations, reasons, snapshot }: Resolution,
): Judged {
	const byShape = violations.length > 0;
	const why = byShape ? { violations } : { reasons, policies_applied: snapshot.policies_applied };
	const event = {
		accountId,
		type: byShape ? "directive.command_forbidden" : "directive.policy_forbidden",
		severity: "critical",
		actorUserId: userId,
		payload: { command: asked.command, sandbox_profile: asked.profile, ...why },
	} as const;
	const answer = byShape
		? refusal("command-forbidden", { violations: violations.join(", ") }, { violations: [...violations] })
		: refusal("policy-forbidden", { reasons: reasons.join(", ") }, { reasons: [...reasons] });
	return { answer, event };
}

function workloadFor({ request: { body, path } }: Case, command: string, { effective }: Resolution): Workload {
	const { image = null, artifacts, sandbox_profile, timeout_seconds } = body;
	return workloadOf({
		facility_id: path.facility_id,
		sandbox_profile,
		command,
		shell: textOf(body.shell),
		cwd: textOf(body.cwd),
		timeout_seconds,
		image,
		artifacts,
		limits: definedOf(body.limits),
		effective,
	});
}

interface Accepted {
	readonly command: string;
	readonly workload: Workload;
	readonly resolution: Resolution;
}

function rowOf(
	{ nowMs }: Session,
	{ scope, request: { body, path }, id }: Case,
	{ command, workload, resolution }: Accepted,
	services: Services,
): DirectiveRow {
	const isQueued = resolution.verdict === "skip";
	const decision = decisionOf(workload, resolution);
	return {
		...NEW_DIRECTIVE,
		id,
		facility_id: path.facility_id,
		sandbox_profile: body.sandbox_profile,
		command,
		shell: textOf(body.shell),
		cwd: textOf(body.cwd),
		timeout_seconds: body.timeout_seconds,
		account_id: scope.accountId,
		requested_by_user_id: scope.userId,
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
		workload_digest: decision.workloadDigest,
		needs_workload: flagOf(needsWorkload(workload)),
		decision: isQueued ? jsonText(signDecision({ decision, approvals: [] }, services.keys.signer())) : null,
		created_at: nowMs,
		updated_at: nowMs,
	};
}

function definedOf<T extends object>(value: T): { [Member in keyof T]: Exclude<T[Member], undefined> } {
	return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never;
}
