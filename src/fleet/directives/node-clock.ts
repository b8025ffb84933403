import type { DomainEvent } from "../domain-events.ts";
import type { Directive } from "../store/queue.ts";

/** A node's clock is its own: what it says counts when it lies between the beginning and now. */
export function timeTold(text: string | null | undefined, startedAt: number, nowMs: number): number {
	const told = Date.parse(text ?? "");
	return told >= startedAt && told <= nowMs ? told : nowMs;
}

/** Clocks differ; one that is that far ahead is wrong, or lies. */
const CLOCK_TOLERANCE_MS = 300_000;

/** What is noted of a time that a node told, named as it told it. */
export function oddClock(
	{ id, account_id, territory_id }: Directive,
	told: Readonly<Record<string, string | null | undefined>>,
	nowMs: number,
): readonly DomainEvent[] {
	const about = { accountId: account_id, territoryId: territory_id, directiveId: id };
	return Object.entries(told).flatMap(([member, text]): readonly DomainEvent[] => {
		const aheadMs = Date.parse(text ?? "") - nowMs;
		if (!(aheadMs > CLOCK_TOLERANCE_MS)) return [];
		const payload = { [member]: text, ahead_ms: aheadMs };
		return [{ ...about, type: "node.clock_refused", severity: "warn", payload }];
	});
}
