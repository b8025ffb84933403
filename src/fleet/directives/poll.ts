import { WORKLOAD_SCHEMA, workloadOf } from "../../api/index.ts";
import { canonicalJson, digestOfJson, type Json, newId } from "../../core/index.ts";
import { type DomainEvent, noteEvents } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import type { Identity } from "../http/identity.ts";
import { applicablePolicies } from "../policies/applicable.ts";
import { type Resolution, resolve } from "../policies/resolve.ts";
import { jsonOf, jsonText, timeOf } from "../rows.ts";
import { MOST_CLAIMS, POLL_SECONDS, type Services } from "../services.ts";
import {
	type Claim,
	type Claimed,
	changeAll,
	claimable,
	type Directive,
	heldBy,
	type LeaseTerms,
	lease,
} from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";
import { together } from "../store/together.ts";
import { isSandboxHealthy, maxConcurrent } from "../territories/capacity.ts";
import { isTooOld } from "../territories/versions.ts";
import { decisionOf, signDecision } from "./decision.ts";
import { artifactPatternsOf, askedOf, imageOf } from "./workload.ts";

type Poll = Handlers["nodes.poll"];

/** Leases directives to a territory (conduits section 2.3.3). What is leased was judged by the policies of this moment. */
export function poll(services: Services): Poll {
	const leaseEach = together(
		"transaction",
		(session, asking: readonly Asking[]) => leaseAll(session, services, asking),
		({ territory }) => territory.id,
	);
	return async ({ identity, store }, { body }) => {
		const leased = await leaseEach(store, { territory: territoryOf(identity), body });
		const directives = leased.map((one) => leaseOf(one, services));
		const retry_after_seconds = directives.length > 0 ? 0 : POLL_SECONDS;
		return {
			status: 200,
			body: { directives, lease_ttl_seconds: services.settings.leaseMs / 1000, retry_after_seconds },
		};
	};
}

export function territoryOf(identity: Identity): TerritoryRow {
	if (identity.kind !== "territory" && identity.kind !== "directive")
		throw new TypeError("a row for territories let somebody else in");
	return identity.territory;
}

interface Asking {
	readonly territory: TerritoryRow;
	readonly body: Parameters<Poll>[1]["body"];
}

interface Leased {
	readonly directive: Directive;
	readonly origin: Claimed["origin"];
	readonly atMs: number;
}

/** What each of them gets. */
async function leaseAll(
	session: Session,
	services: Services,
	asking: readonly Asking[],
): Promise<readonly (readonly Leased[])[]> {
	const able = asking.filter(({ territory }) => !isTooOld(territory.nexus_version, services));
	const claimed = able.length === 0 ? [] : await claimEach(session, able);
	if (claimed.length === 0) return asking.map(() => []);
	const { nowMs } = session;
	const leases: LeaseTerms[] = [];
	const forbidden: Directive[] = [];
	const events: DomainEvent[] = [];
	const resolutions = await judgeAgain(session, claimed);
	for (const [at, { directive, territoryId }] of claimed.entries()) {
		const resolution = resolutions[at] as Resolution;
		if (resolution.verdict === "forbidden") {
			forbidden.push(directive);
			events.push(revalidated(directive, "warn", { action: "canceled", reason: "policy_now_forbidden" }));
			continue;
		}
		const changed = renewed(directive, resolution, services);
		if (changed !== undefined) events.push(revalidated(directive, "info", { action: "capabilities_updated" }));
		const terms = {
			directive,
			territoryId,
			leaseId: newId<string>(nowMs),
			expiresAt: nowMs + services.settings.leaseMs,
		};
		leases.push({ ...terms, ...(changed === undefined ? {} : { changed }) });
	}
	const values = { finished_at: nowMs, end_reason: "policy_forbidden" } as const;
	await changeAll(
		session,
		forbidden.map((directive) => ({ directive, event: "cancel", values })),
	);
	const given = await lease(session, leases);
	await noteEvents(session, events);
	const origins = new Map(claimed.map(({ directive, origin }) => [directive.id, origin]));
	const leased = given.flatMap((directive) => {
		const origin = origins.get(directive.id);
		return origin === undefined ? [] : [{ directive, origin, atMs: nowMs }];
	});
	return asking.map(({ territory }) => leased.filter(({ directive }) => directive.territory_id === territory.id));
}

/** Those that run the same ask together. */
async function claimEach(session: Session, asking: readonly Asking[]): Promise<readonly Claimed[]> {
	const held = await heldBy(
		session,
		asking.map(({ territory }) => territory.id),
	);
	const alike = Map.groupBy(asking, (one) => JSON.stringify([one.territory.account_id, runnableBy(one)]));
	const claimed: Claimed[] = [];
	for (const [first, ...others] of alike.values()) {
		if (first === undefined) continue;
		const most = [first, ...others].map(({ territory, body }): [string, number] => {
			const free = maxConcurrent(territory) - (held.get(territory.id) ?? 0);
			const wanted = Math.min(Math.max(Math.trunc(body.max_directives_to_claim ?? 1) || 1, 1), MOST_CLAIMS);
			return [territory.id, Math.min(wanted, free)];
		});
		const terms = { accountId: first.territory.account_id, most: new Map(most), ...runnableBy(first) };
		claimed.push(...(await claimable(session, terms)));
	}
	return claimed;
}

function runnableBy({ territory, body }: Asking): Pick<Claim, "profiles" | "runs"> {
	const profiles = body.supported_sandbox_profiles?.length ? body.supported_sandbox_profiles : ["untrusted"];
	return {
		profiles: [...new Set(profiles)].filter((profile) => isSandboxHealthy(territory, profile)),
		runs: body.workload_schemas?.includes(WORKLOAD_SCHEMA) ? "workloads" : "specifications",
	};
}

async function judgeAgain(session: Session, claimed: readonly Claimed[]): Promise<readonly Resolution[]> {
	const policies = await applicablePolicies(
		session,
		claimed.map(({ directive }) => ({
			accountId: directive.account_id,
			userId: directive.requested_by_user_id,
			facilityId: directive.facility_id,
		})),
	);
	const at = timeOf(session.nowMs);
	return claimed.map(({ directive }, index) => resolve(askedOf(directive), policies[index] ?? [], at));
}

/**
 * What is stored anew when the policies give other capabilities now: also the workload and the decision that names it. Approvals of
 * the workload before don't pass on to one that may do more; policies only ever narrow what was asked, so it never may.
 */
function renewed(directive: Directive, resolution: Resolution, services: Services) {
	const effective = jsonText(resolution.effective);
	if (effective === directive.effective_capabilities) return undefined;
	const limits = jsonOf<Record<string, number>>(directive.limits);
	const asked = { ...directive, image: imageOf(directive), artifacts: artifactPatternsOf(directive), limits };
	const workload = workloadOf({ ...asked, effective: resolution.effective });
	const decision = { ...decisionOf(workload, resolution), verdict: "allow" as const };
	return {
		effective_capabilities: effective,
		policy_snapshot: jsonText(resolution.snapshot),
		workload: canonicalJson(workload as unknown as Json),
		workload_digest: digestOfJson(workload as unknown as Json),
		decision: jsonText(signDecision({ decision, approvals: [] }, services.keys.signer())),
	};
}

function revalidated(
	{ account_id: accountId, id: directiveId }: Directive,
	severity: "info" | "warn",
	payload: Readonly<Record<string, string>>,
): DomainEvent {
	return { accountId, type: "directive.lease_policy_revalidated", severity, directiveId, payload };
}

/** Section 5.1, and after it what existing nodes ignore. */
function leaseOf({ directive, origin, atMs }: Leased, services: Services) {
	const { id, territory_id, lease_id } = directive;
	const claims = { directiveId: id, territoryId: territory_id ?? "", leaseId: lease_id };
	const said = Object.fromEntries(Object.entries(origin).filter(([, value]) => value !== null));
	const successions = services.keys.successions?.() ?? [];
	return {
		directive_id: id,
		directive_token: services.tokens.issue(claims, atMs),
		spec: {
			directive_id: id,
			facility: { id: directive.facility_id, mount: "/workspace", ...said },
			sandbox_profile: directive.sandbox_profile,
			command: directive.command,
			shell: directive.shell ?? "/bin/sh",
			cwd: directive.cwd ?? "/workspace",
			timeout_seconds: directive.timeout_seconds,
			limits: jsonOf<Record<string, number>>(directive.limits),
			capabilities: jsonOf<Record<string, never>>(directive.effective_capabilities),
			artifacts: jsonOf<Record<string, never>>(directive.artifacts_manifest),
		},
		lease_id: lease_id ?? id,
		workload: jsonOf<never>(directive.workload),
		decision: directive.decision === null ? null : jsonOf<Json>(directive.decision),
		...(successions.length > 0 && { key_successions: [...successions] }),
	};
}
