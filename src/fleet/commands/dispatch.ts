import { sql } from "kysely";
import { evaluateDevice, mergeCapabilities } from "../../governance/index.ts";
import { noteEvent } from "../domain-events.ts";
import { dimensionsOf } from "../policies/applicable.ts";
import { jsonText, timeOf } from "../rows.ts";
import type { Session } from "../store/store.ts";
import type { CommandRow } from "../store/tables.ts";
import { hasChannel } from "../territories/channels.ts";
import { afterCommandEvent, type CommandEvent, type CommandState, isEnded } from "./states.ts";

export type DispatchedVia = "websocket" | "push_notification" | "poll";

/** The command, locked until the transaction ends. */
export async function lockCommand(session: Session, commandId: string): Promise<CommandRow | undefined> {
	const query = session.db.selectFrom("commands").selectAll().where("id", "=", commandId);
	return (session.kind === "postgres" ? query.forUpdate() : query).executeTakeFirst();
}

/** Lets an event happen to a locked command. Throws TypeError when it can't: callers look first. */
export async function changeCommand(
	session: Session,
	command: CommandRow,
	event: CommandEvent,
	values: Partial<CommandRow> = {},
): Promise<CommandRow> {
	const state = afterCommandEvent(command.state as CommandState, event);
	if (state === undefined) throw new TypeError(`${event} can't happen to a command that is ${command.state}`);
	const ended = isEnded(state) ? { completed_at: session.nowMs } : {};
	return session.db
		.updateTable("commands")
		.set({ ...ended, ...values, state, updated_at: session.nowMs })
		.where("id", "=", command.id)
		.returningAll()
		.executeTakeFirstOrThrow();
}

/** Conduits section 4.5: by WebSocket where there is one, else it waits to be fetched. */
export async function dispatch(
	session: Session,
	command: CommandRow,
): Promise<{ readonly command: CommandRow; readonly via: DispatchedVia }> {
	if (!(await hasChannel(session, command.territory_id))) return { command, via: "poll" };
	const dispatched = await changeCommand(session, command, "dispatch", { dispatched_at: session.nowMs });
	session.wake({ kind: "command-dispatched", territoryId: command.territory_id, commandId: command.id });
	return { command: dispatched, via: "websocket" };
}

export interface Gate {
	readonly verdict: "allowed" | "denied" | "needs_approval";
	readonly reason: string;
	readonly policyIds: readonly string[];
	readonly snapshot: string;
}

/** The device gate of section 6.5: every active policy of the account, and those for all accounts, whatever its scope. */
export async function judgeCommand({ db, nowMs }: Session, accountId: string, capability: string): Promise<Gate> {
	const rows = await db
		.selectFrom("policies")
		.selectAll()
		.where("active", "=", 1)
		.where((is) => is.or([is("account_id", "is", null), is("account_id", "=", accountId)]))
		.orderBy("priority")
		.orderBy("id")
		.execute();
	const { device } = mergeCapabilities(rows.map(dimensionsOf));
	const evaluated_at = timeOf(nowMs);
	if (device === null) {
		const snapshot = jsonText({ evaluated_at, policies_applied: [] });
		return { verdict: "allowed", reason: "no policy speaks of devices", policyIds: [], snapshot };
	}
	const { verdict, reason } = evaluateDevice(capability, device);
	const policyIds = rows.map(({ id }) => id);
	const snapshot = jsonText({ evaluated_at, capability, verdict, reason, policies_applied: policyIds });
	return { verdict, reason, policyIds, snapshot };
}

type Open = "queued" | "dispatched" | "awaiting_approval";
/** Its requester reads this. */
const WHY_LATE: Readonly<Record<Open, string>> = {
	queued: "its device did not fetch it in time",
	dispatched: "its device did not answer in time",
	awaiting_approval: "nobody approved it in time",
};

/** Commands whose time is over, each ended by itself; approval waiting counts (section 1.10). */
export async function timeOutCommands(session: Session): Promise<number> {
	const open = await session.db
		.selectFrom("commands")
		.select("id")
		// As the index `commands_open` has it.
		.where("state", "in", sql<string>`('queued', 'dispatched', 'awaiting_approval')`)
		.where(sql<boolean>`created_at + timeout_seconds * 1000 < ${session.nowMs}`)
		.orderBy("created_at")
		.limit(200)
		.execute();
	let count = 0;
	for (const { id } of open) {
		const command = await lockCommand(session, id);
		if (command === undefined || isEnded(command.state as CommandState)) continue;
		await changeCommand(session, command, "time_out", { error_message: WHY_LATE[command.state as Open] });
		const { account_id: accountId, capability, territory_id } = command;
		const age_seconds = Math.floor((session.nowMs - command.created_at) / 1000);
		const payload = { command_id: id, capability, territory_id, age_seconds };
		const about = { accountId, territoryId: territory_id, commandId: id };
		await noteEvent(session, { ...about, type: "command.timed_out", payload });
		count += 1;
	}
	return count;
}
