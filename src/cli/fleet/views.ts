import type { OperationName } from "../../api/index.ts";
import { formatDurationMs } from "../../core/index.ts";
import { paint, printable, table } from "../screen.ts";

type Members = Readonly<Record<string, unknown>>;
type Column = readonly [head: string, cell: (item: Members) => string];

/** How long ago: what a list says of a time. */
const since =
	(member: string) =>
	(item: Members): string => {
		const time = item[member];
		return typeof time === "string" ? formatDurationMs(Math.max(0, Date.now() - Date.parse(time))) : "-";
	};
/** A time that may be yet to come. */
const when =
	(member: string) =>
	(item: Members): string => {
		const time = item[member];
		if (typeof time !== "string") return "-";
		const awayMs = Date.parse(time) - Date.now();
		return awayMs > 0 ? `in ${formatDurationMs(awayMs)}` : `${formatDurationMs(-awayMs)} ago`;
	};
const of =
	(member: string) =>
	(item: Members): string =>
		textOf(item[member]);
const either = (...members: readonly string[]) => {
	return (item: Members): string => textOf(members.map((member) => item[member]).find((value) => value !== null));
};
/** On the wire, `skip` is a yes that asks nobody (conduits section 6). */
const verdict = (member: string) => (item: Members) => (item[member] === "skip" ? "allowed" : textOf(item[member]));

/** Columns of lists. Everything else of an item is in `--json`, and mostly in `show`. */
const LISTS: Partial<Record<OperationName, readonly Column[]>> = {
	"directives.list": [
		["DIRECTIVE", of("id")],
		["AGE", since("created_at")],
		["STATE", of("state")],
		["EXIT", of("exit_code")],
		["FACILITY", of("facility_id")],
		["COMMAND", of("command")],
	],
	"facilities.list": [
		["FACILITY", of("id")],
		["AGE", since("created_at")],
		["NAME", of("name")],
		["KIND", of("kind")],
		["LOCKED BY", of("locked_by_directive_id")],
		["REPOSITORY", of("repo_url")],
	],
	"territories.list": [
		["TERRITORY", of("id")],
		["NAME", either("display_name", "name")],
		["KIND", of("kind")],
		["STATUS", of("status")],
		["HEARD", since("last_heartbeat_at")],
		["RUNS", of("running_directives")],
		["VERSION", of("nexus_version")],
		["LOCATION", of("location")],
	],
	"entities.list": [
		["ENTITY", of("id")],
		["NAME", either("display_name", "entity_ref")],
		["TYPE", of("entity_type")],
		["AVAILABLE", of("available")],
		["SEEN", since("last_seen_at")],
		["LOCATION", of("location")],
		["CAPABILITIES", of("capabilities")],
	],
	"policies.list": [
		["POLICY", of("id")],
		["NAME", of("name")],
		["PRIORITY", of("priority")],
		["VERSION", of("version")],
		["ACTIVE", of("active")],
		["SCOPE", either("scope_id", "scope_type")],
	],
	"policies.versions": [
		["VERSION", of("version")],
		["AGE", since("updated_at")],
		["NAME", of("name")],
		["PRIORITY", of("priority")],
		["ACTIVE", of("active")],
	],
	"audit.list": [
		["AGE", since("created_at")],
		["SEVERITY", of("severity")],
		["OUTCOME", of("outcome")],
		["EVENT", of("event_type")],
		["WHO", either("actor_user_id", "territory_id")],
		["ABOUT", either("directive_id", "command_id")],
	],
	"approvals.list": [
		["AGE", since("created_at")],
		["VERDICT", of("verdict")],
		["BY", of("approver_user_id")],
		["ABOUT", either("directive_id", "command_id")],
		["REASON", of("reason")],
	],
	"commands.list": [
		["COMMAND", of("id")],
		["AGE", since("created_at")],
		["STATE", of("state")],
		["CAPABILITY", of("capability")],
		["TERRITORY", of("territory_id")],
	],
	"users.list": [
		["USER", of("id")],
		["NAME", of("name")],
		["EMAIL", of("email")],
		["ROLE", of("role")],
		["DISABLED", of("disabled")],
	],
	"tokens.list": [
		["TOKEN", of("id")],
		["NAME", of("name")],
		["ROLE", of("role")],
		["USED", when("last_used_at")],
		["EXPIRES", when("expires_at")],
		["REVOKED", when("revoked_at")],
	],
	"enrollmentTokens.list": [
		["TOKEN", of("id")],
		["AGE", since("created_at")],
		["EXPIRES", when("expires_at")],
		["USED", when("used_at")],
		["REVOKED", when("revoked_at")],
	],
	"policies.dryRun": [
		["DIRECTIVE", of("directive_id")],
		["NOW", verdict("verdict_then")],
		["WOULD BE", verdict("verdict_now")],
		["RULES", (item) => (item.capabilities_changed === true ? "change" : "same")],
		["COMMAND", of("command")],
		["REASONS", of("reasons")],
	],
};

/** What to do where a list has nothing. */
const WHERE_NOTHING_IS: Partial<Record<OperationName, string>> = {
	"directives.list": "No directives. Ask for one: vouch submit -- COMMAND",
	"facilities.list": "No facilities. Make one: vouch facility create --empty --name app",
	"territories.list": "No territories. Make a token for a machine: vouch tokens enroll",
	"entities.list": "No devices. A territory of kind bridge tells of those behind it with its heartbeat.",
	"policies.list": "No policies: nothing is forbidden but what always is. Make one: vouch policies create --file FILE",
	"audit.list": "No such events.",
	"approvals.list":
		"Nobody has answered anything. What waits for an answer: vouch directives --state awaiting_approval",
	"commands.list": "No device commands. Send one: vouch commands send CAPABILITY",
	"tokens.list": "No tokens. Make one: vouch tokens create --name NAME",
	"enrollmentTokens.list": "No enrollment tokens. Make one: vouch tokens enroll",
	"users.list": "Nobody. Add somebody: vouch users add --name NAME",
};

/** An answer for people: a list as a table, anything else as its members. */
export function viewOf(operation: OperationName, answer: Members): string {
	const columns = LISTS[operation];
	if (columns === undefined) return `${membersOf(answer)}\n`;
	const items = itemsOf(answer);
	const nothing = WHERE_NOTHING_IS[operation];
	if (items.length === 0 && nothing !== undefined) return `${nothing}\n`;
	const rows = items.map((item) => columns.map(([, cell]) => cell(item)));
	const head = columns.map(([name]) => paint("dim", name, process.stdout));
	return `${table([head, ...rows])}\n${endOf(answer, items.length)}`;
}

/** One a line. */
export function idsOf(answer: Members): string {
	return itemsOf(answer)
		.map(({ id }) => `${printable(String(id))}\n`)
		.join("");
}

function itemsOf(answer: Members): readonly Members[] {
	const [items = []] = Object.values(answer).filter((value) => Array.isArray(value)) as Members[][];
	return items;
}

function endOf({ next_cursor: cursor, judged }: Members, count: number): string {
	if (typeof cursor === "string") return `There are more: --cursor ${printable(cursor)}\n`;
	return typeof judged === "number"
		? `${judged} directives were judged; ${count === 0 ? "none" : "these"} would be judged otherwise.\n`
		: "";
}

/** Members by line, in the order in which the server gave them. */
export function membersOf(answer: Members): string {
	const rows = Object.entries(answer).flatMap(([name, value]) => {
		const inner = typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
		return inner.length === 0 ? [[name, value]] : inner.map(([member, each]) => [`${name} ${member}`, each]);
	});
	const shown = rows.map(([name, value]) => [String(name).replaceAll("_", " "), textOf(value)]);
	return table(shown, Number.POSITIVE_INFINITY);
}

function textOf(value: unknown): string {
	if (value === null || value === undefined || value === "") return "-";
	if (typeof value === "boolean") return value ? "yes" : "no";
	if (Array.isArray(value)) return value.map(textOf).join(", ") || "-";
	return printable(typeof value === "object" ? JSON.stringify(value) : String(value));
}
