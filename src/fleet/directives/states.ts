import type { DIRECTIVE_STATES } from "../../api/people/schema.ts";

export type DirectiveState = (typeof DIRECTIVE_STATES)[number];

/** What may happen to a directive (conduits section 1.7). `lose` and `retry` are what becomes of one whose territory died. */
export const DIRECTIVE_EVENTS = {
	lease: { from: ["queued"], to: "leased" },
	start: { from: ["leased"], to: "running" },
	succeed: { from: ["running"], to: "succeeded" },
	fail: { from: ["running"], to: "failed" },
	time_out: { from: ["running"], to: "timed_out" },
	cancel: { from: ["queued", "awaiting_approval", "leased", "running"], to: "canceled" },
	approve: { from: ["awaiting_approval"], to: "queued" },
	reject: { from: ["awaiting_approval"], to: "canceled" },
	expire_lease: { from: ["leased"], to: "queued" },
	retry: { from: ["running"], to: "queued" },
	lose: { from: ["leased", "running"], to: "failed" },
} as const satisfies Readonly<Record<string, { from: readonly DirectiveState[]; to: DirectiveState }>>;
export type DirectiveEvent = keyof typeof DIRECTIVE_EVENTS;

const TERMINAL: ReadonlySet<DirectiveState> = new Set(["succeeded", "failed", "canceled", "timed_out"]);

export function isTerminal(state: DirectiveState): boolean {
	return TERMINAL.has(state);
}

/** The state after the event, or undefined when it can't happen in this one. */
export function afterEvent(state: DirectiveState, event: DirectiveEvent): DirectiveState | undefined {
	const { from, to } = DIRECTIVE_EVENTS[event];
	return (from as readonly DirectiveState[]).includes(state) ? to : undefined;
}
