import { WORKLOAD_SCHEMA, workloadOf } from "../../api/index.ts";
import { canonicalJson, digestOfJson, type Json, newId } from "../../core/index.ts";
import { noteEvent } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import type { Identity } from "../http/identity.ts";
import { applicablePolicies, dimensionsOf } from "../policies/applicable.ts";
import { type Resolution, resolve } from "../policies/resolve.ts";
import { jsonOf, jsonText, timeOf } from "../rows.ts";
import { MOST_CLAIMS, POLL_SECONDS, type Services } from "../services.ts";
import { change, claimable, type Directive, heldBy, lease } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import type { FacilityRow, TerritoryRow } from "../store/tables.ts";
import { isSandboxHealthy, maxConcurrent } from "../territories/capacity.ts";
import { decisionOf, signDecision } from "./decision.ts";
import { askedOf, imageOf } from "./workload.ts";

type Poll = Handlers["nodes.poll"];

/** Leases directives to a territory (conduits section 2.3.3). What is leased was judged by the policies of this moment. */
export function poll(services: Services): Poll {
	return async ({ identity, store }, { body }) => {
		const territory = territoryOf(identity);
		const profiles = body.supported_sandbox_profiles?.length ? body.supported_sandbox_profiles : ["untrusted"];
		const wanted = Math.min(Math.max(Math.trunc(body.max_directives_to_claim ?? 1) || 1, 1), MOST_CLAIMS);
		const leased = await store.transaction(async (session) => {
			const free = maxConcurrent(territory) - (await heldBy(session, territory.id));
			const found = await claimable(session, {
				accountId: territory.account_id,
				territoryId: territory.id,
				profiles: [...new Set(profiles)].filter((profile) => isSandboxHealthy(territory, profile)),
				runs: body.workload_schemas?.includes(WORKLOAD_SCHEMA) ? "workloads" : "specifications",
				most: Math.min(wanted, free),
			});
			const given: Leased[] = [];
			for (const directive of found) {
				const one = await leaseAfterLooking(session, services, territory, directive);
				if (one !== undefined) given.push(one);
			}
			return given;
		});
		const directives = await Promise.all(leased.map((one) => leaseOf(one, services)));
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

interface Leased {
	readonly directive: Directive;
	readonly facility: Pick<FacilityRow, "id" | "repo_url" | "repo_ref" | "import_path">;
	readonly atMs: number;
}

async function leaseAfterLooking(
	session: Session,
	services: Services,
	territory: TerritoryRow,
	directive: Directive,
): Promise<Leased | undefined> {
	const { db, nowMs } = session;
	const resolution = await judgeAgain(session, directive);
	if (resolution.verdict === "forbidden") {
		await change(session, directive, "cancel", { finished_at: nowMs });
		await noteRevalidation(session, directive, "warn", { action: "canceled", reason: "policy_now_forbidden" });
		return undefined;
	}
	const changed = renewed(directive, resolution, services);
	if (changed !== undefined) await noteRevalidation(session, directive, "info", { action: "capabilities_updated" });
	const held = await lease(session, directive, {
		territoryId: territory.id,
		leaseId: newId(nowMs),
		expiresAt: nowMs + services.settings.leaseMs,
		...(changed === undefined ? {} : { changed }),
	});
	const facility = await db
		.selectFrom("facilities")
		.select(["id", "repo_url", "repo_ref", "import_path"])
		.where("id", "=", directive.facility_id)
		.executeTakeFirstOrThrow();
	return { directive: held, facility, atMs: nowMs };
}

async function judgeAgain(session: Session, directive: Directive): Promise<Resolution> {
	const scope = {
		accountId: directive.account_id,
		userId: directive.requested_by_user_id,
		facilityId: directive.facility_id,
	};
	const rows = await applicablePolicies(session, scope);
	const policies = rows.map((row) => ({ id: row.id, dimensions: dimensionsOf(row) }));
	return resolve(askedOf(directive), policies, timeOf(session.nowMs));
}

/**
 * What is stored anew when the policies give other capabilities now: also the workload and the decision that names it. Approvals of
 * the workload before don't pass on to one that may do more; policies only ever narrow what was asked, so it never may.
 */
function renewed(directive: Directive, resolution: Resolution, services: Services) {
	const effective = jsonText(resolution.effective);
	if (effective === directive.effective_capabilities) return undefined;
	const limits = jsonOf<Record<string, number>>(directive.limits);
	const workload = workloadOf({ ...directive, image: imageOf(directive), limits, effective: resolution.effective });
	const decision = { ...decisionOf(workload, resolution), verdict: "allow" as const };
	return {
		effective_capabilities: effective,
		policy_snapshot: jsonText(resolution.snapshot),
		workload: canonicalJson(workload as unknown as Json),
		workload_digest: digestOfJson(workload as unknown as Json),
		decision: jsonText(signDecision({ decision, approvals: [] }, services.keys.signer())),
	};
}

function noteRevalidation(
	session: Session,
	directive: Directive,
	severity: "info" | "warn",
	payload: Readonly<Record<string, string>>,
): Promise<void> {
	const { account_id: accountId, id: directiveId } = directive;
	const type = "directive.lease_policy_revalidated";
	return noteEvent(session, { accountId, type, severity, directiveId, payload });
}

/** Section 5.1, and after it what existing nodes ignore. */
async function leaseOf({ directive, facility, atMs }: Leased, services: Services) {
	const { id, territory_id, lease_id } = directive;
	const claims = { directiveId: id, territoryId: territory_id ?? "", leaseId: lease_id };
	const { id: facilityId, ...origin } = facility;
	const said = Object.fromEntries(Object.entries(origin).filter(([, value]) => value !== null));
	return {
		directive_id: id,
		directive_token: services.tokens.issue(claims, atMs),
		spec: {
			directive_id: id,
			facility: { id: facilityId, mount: "/workspace", ...said },
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
	};
}
