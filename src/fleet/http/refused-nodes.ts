import { VouchError } from "../../core/index.ts";
import { noteEvent } from "../domain-events.ts";
import type { Store } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";

/** Entries about one territory in a minute: more says nothing new, and a node that lies should not fill the store. */
const MOST_A_MINUTE = 30;
const MINUTE_MS = 60_000;
const MAX_TERRITORIES = 10_000;

export interface RefusedReport {
	readonly territory: TerritoryRow;
	readonly directiveId: string | null;
	/** Method and path. */
	readonly what: string;
	readonly address: string;
}

/**
 * Audits what a known territory was refused: another's directive, a lease that is over, an ending that contradicts an earlier
 * one, a receipt that does not fit. A node that lies, or one whose credentials somebody else has, shows there.
 */
export class RefusedNodes {
	readonly #store: Store;
	#countedSince = 0;
	readonly #counts = new Map<string, number>();

	constructor(store: Store) {
		this.#store = store;
	}

	/** What is wrong with a request's form alone is not worth an entry, nor is asking too often. */
	async note(report: RefusedReport, error: unknown, nowMs: number): Promise<void> {
		if (!(error instanceof VouchError) || error.row.status === 429 || error.row.status >= 500) return;
		const { territory, directiveId, what, address } = report;
		if (!this.#counts.has(territory.id) && this.#counts.size >= MAX_TERRITORIES) return;
		if (nowMs - this.#countedSince >= MINUTE_MS) {
			this.#counts.clear();
			this.#countedSince = nowMs;
		}
		const count = (this.#counts.get(territory.id) ?? 0) + 1;
		this.#counts.set(territory.id, count);
		if (count > MOST_A_MINUTE) return;
		await this.#store.transaction(async (session) => {
			const own = await session.db
				.selectFrom("directives")
				.select("id")
				.where("id", "=", directiveId ?? "")
				.where("account_id", "=", territory.account_id)
				.executeTakeFirst();
			await noteEvent(session, {
				accountId: territory.account_id,
				type: "node.refused",
				severity: "warn",
				territoryId: territory.id,
				directiveId: own?.id ?? null,
				payload: { request: what, address, code: error.code, reason: error.message },
			});
		});
	}
}
