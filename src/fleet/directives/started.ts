import { noteEvents } from "../domain-events.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { textOf } from "../rows.ts";
import type { Services } from "../services.ts";
import { updateEach } from "../store/bulk.ts";
import { changeAll, type Directive } from "../store/queue.ts";
import type { Session } from "../store/store.ts";
import type { DirectiveRow } from "../store/tables.ts";
import { together } from "../store/together.ts";
import { type Holder, heldDirectives, holderOf } from "./held.ts";
import { oddClock } from "./node-clock.ts";
import { type DirectiveState, isTerminal } from "./states.ts";

type Started = Parameters<Handlers["nodes.started"]>[1]["body"];

interface Report {
	readonly holder: Holder;
	readonly body: Started;
}

/** Conduits section 2.3.5. Told twice, it answers alike; told with other versions, it refuses. */
export function started({ settings }: Services): Handlers["nodes.started"] {
	const startEach = together(
		"transaction",
		async (session, reports: readonly Report[]) => {
			const held = await heldDirectives(
				session,
				reports.map(({ holder }) => holder),
			);
			const told = held.map((directive, at) => {
				const body = reports[at]?.body;
				return { directive, versions: versionsOf(directive, body), startedAt: body?.started_at };
			});
			const isFirst = ({ directive }: Begun) => directive.state === "leased";
			await begin(session, told.filter(isFirst), settings.leaseMs);
			const again = told.filter((one) => !isFirst(one));
			await updateEach(
				session,
				"directives",
				again.map(({ directive: { id }, versions }) => ({ id, values: versions })),
			);
			return told.map((one) => {
				const state = isFirst(one) ? "running" : (one.directive.state as DirectiveState);
				return { ok: true, directive_id: one.directive.id, state, duplicate: !isFirst(one) } as const;
			});
		},
		({ holder }) => holder.directiveId,
	);
	return async ({ identity, store }, { body }) => {
		return { status: 200, body: await startEach(store, { holder: holderOf(identity), body }) };
	};
}

type Versions = Pick<DirectiveRow, "sandbox_version" | "nexus_version">;

function versionsOf(directive: Directive, body: Started | undefined): Versions {
	const state = directive.state as DirectiveState;
	const conflict = (reason: string) => refusal("invalid-state", { what: `Starting ${directive.id}`, reason });
	if (state !== "leased" && state !== "running" && !isTerminal(state)) throw conflict(`it is ${state}`);
	const told = { sandbox_version: textOf(body?.sandbox_version), nexus_version: textOf(body?.nexus_version) };
	for (const name of ["sandbox_version", "nexus_version"] as const) {
		if (told[name] !== null && directive[name] !== null && told[name] !== directive[name])
			throw conflict(`its ${name} is already another`);
	}
	return {
		sandbox_version: directive.sandbox_version ?? told.sandbox_version,
		nexus_version: directive.nexus_version ?? told.nexus_version,
	};
}

export interface Begun {
	readonly directive: Directive;
	readonly versions?: Versions;
	/** By its node's clock, which is only looked at. */
	readonly startedAt?: string | null | undefined;
}

/** Leased directives that run from now on; answers what they are then. */
export async function begin(session: Session, begun: readonly Begun[], leaseMs: number): Promise<readonly Directive[]> {
	const { nowMs } = session;
	const changes = begun.map(({ directive, versions }) => {
		const times = { attempts: directive.attempts + 1, started_at: nowMs, lease_expires_at: nowMs + leaseMs };
		return { directive, event: "start", values: { ...versions, ...times } } as const;
	});
	const running = await changeAll(session, changes);
	await noteEvents(session, [
		...begun.flatMap(({ directive, startedAt }) => oddClock(directive, { started_at: startedAt }, nowMs)),
		...running.map(({ id, account_id, territory_id, created_at, sandbox_version }) => ({
			accountId: account_id,
			type: "directive.started",
			territoryId: territory_id,
			directiveId: id,
			payload: { time_to_start_ms: nowMs - created_at, territory_id, sandbox_version },
		})),
	]);
	return running;
}

/** Section 2.3.6. */
export function directiveHeartbeat(services: Services): Handlers["nodes.directiveHeartbeat"] {
	const renewEach = together(
		"transaction",
		async (session, holders: readonly Holder[]) => {
			const held = await heldDirectives(session, holders);
			const { nowMs } = session;
			const values = { lease_expires_at: nowMs + services.settings.leaseMs, last_heartbeat_at: nowMs };
			const updates = held.map(({ id, state }) => {
				if (state === "running") return { id, values };
				throw refusal("invalid-state", { what: `A heartbeat for ${id}`, reason: `it is ${state}` });
			});
			await updateEach(session, "directives", updates);
			return held.map((directive) => ({ directive, nowMs }));
		},
		({ directiveId }) => directiveId,
	);
	return async ({ identity, store }) => {
		const beat = await renewEach(store, holderOf(identity));
		const { id, territory_id, lease_id, cancel_requested_at } = beat.directive;
		const claims = { directiveId: id, territoryId: territory_id ?? "", leaseId: lease_id };
		const directive_token = services.tokens.issue(claims, beat.nowMs);
		const cancel_requested = cancel_requested_at !== null;
		return { status: 200, body: { cancel_requested, lease_renewed: true, directive_token } };
	};
}
