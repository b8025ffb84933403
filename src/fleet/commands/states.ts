import type { COMMAND_STATES } from "../../api/people/schema.ts";

export type CommandState = (typeof COMMAND_STATES)[number];

/** What may happen to a device command (conduits section 1.10). */
const COMMAND_EVENTS = {
	approve: { from: ["awaiting_approval"], to: "queued" },
	reject: { from: ["awaiting_approval"], to: "canceled" },
	dispatch: { from: ["queued"], to: "dispatched" },
	complete: { from: ["dispatched"], to: "completed" },
	fail: { from: ["queued", "dispatched"], to: "failed" },
	time_out: { from: ["queued", "dispatched", "awaiting_approval"], to: "timed_out" },
	cancel: { from: ["queued", "dispatched", "awaiting_approval"], to: "canceled" },
} as const satisfies Readonly<Record<string, { from: readonly CommandState[]; to: CommandState }>>;
export type CommandEvent = keyof typeof COMMAND_EVENTS;

export function isEnded(state: CommandState): boolean {
	return state === "completed" || state === "failed" || state === "timed_out" || state === "canceled";
}

/** The state after the event, or undefined when it can't happen in this one. */
export function afterCommandEvent(state: CommandState, event: CommandEvent): CommandState | undefined {
	const { from, to } = COMMAND_EVENTS[event];
	return (from as readonly CommandState[]).includes(state) ? to : undefined;
}
