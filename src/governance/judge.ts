import type { DriverName, Workload } from "../runtime/schema.ts";
import { matchesCommand } from "./command-patterns.ts";
import { type CommandText, readCommand } from "./command-text.ts";
import {
	coversDestination,
	type DestinationSet,
	EVERYWHERE,
	overlapsDestination,
	parseDestination,
} from "./destinations.ts";
import { LIMIT_ROWS } from "./limits.ts";
import { isCovered, pathsOverlap } from "./paths.ts";
import type { Policy } from "./policy.ts";
import { deny, type Finding, needsApproval } from "./reasons.ts";
import type { Lists } from "./schema.ts";
import { evaluateApproval } from "./tiers.ts";

/** All that one policy has against one workload. Each section is judged alone, and silence is no finding. */
export function judge(workload: Workload, policy: Policy): Finding[] {
	return [
		...judgeIsolation(workload, policy),
		...judgeNetwork(workload, policy),
		...judgePaths(workload, policy),
		...judgeCommands(readCommand(workload.argv), policy),
		...judgeLimits(workload, policy),
		...judgeTiers(workload, policy),
	];
}

/** The drivers that a workload may end up with: those that isolate when it names none, since only naming `host` gives it. */
const ISOLATING: readonly DriverName[] = ["bwrap", "container", "firecracker", "qemu", "cartesi"];

function judgeIsolation({ isolation }: Workload, { source, rules }: Policy): Finding[] {
	const { allow, approve = [], deny: denied = [] } = rules.isolation;
	return (isolation === null ? ISOLATING : [isolation]).flatMap((driver) => {
		const details = { source, driver, allowed: [...(allow ?? []), ...approve].join(", ") || "nothing" };
		if (denied.includes(driver)) return [deny("isolation-denied", details)];
		if (approve.includes(driver)) return [needsApproval("isolation-approval", details)];
		return allow === undefined || allow.includes(driver) ? [] : [deny("isolation-not-allowed", details)];
	});
}

function judgeNetwork({ network }: Workload, { source, rules }: Policy): Finding[] {
	const { mode } = network;
	const findings: Finding[] = [];
	if (rules.modes !== undefined && !rules.modes.includes(mode)) {
		findings.push(deny("network-mode-not-allowed", { source, mode, allowed: rules.modes.join(", ") || "nothing" }));
	}
	if (mode === "none") return findings;
	const refused = network.deny.flatMap((text) => readRule(text, "workload-deny").sets);
	const asked = [...network.allow, ...network.http.map(({ destination }) => destination)];
	for (const text of new Set(asked)) {
		const { sets, findings: unreadable } = readRule(text, "workload-allow");
		findings.push(...unreadable, ...sets.flatMap((set) => judgeDestination(set, refused, source, rules.destinations)));
	}
	if (mode === "unrestricted") {
		// Naming the mode in `modes` is what allows it; `allow` then says which private addresses may be spelled.
		const named = rules.modes?.includes(mode) ?? false;
		const lists = named ? { ...rules.destinations, allow: undefined } : rules.destinations;
		findings.push(...judgeDestination({ ...EVERYWHERE, text: "an unrestricted network" }, refused, source, lists));
	}
	return findings;
}

function readRule(
	text: string,
	origin: "workload-allow" | "workload-deny",
): { sets: DestinationSet[]; findings: Finding[] } {
	const set = parseDestination(text, origin);
	if (!("problem" in set)) return { sets: [set], findings: [] };
	return { sets: [], findings: [deny("destination-unreadable", { requested: text, problem: set.problem })] };
}

function judgeDestination(
	asked: DestinationSet,
	refused: readonly DestinationSet[],
	source: string,
	{ allow, approve = [], deny: denied = [] }: Lists<DestinationSet>,
): Finding[] {
	const requested = asked.text;
	// What the run itself refuses it does not reach: `--deny` makes a broad request fit a policy's exceptions.
	const reached = (entry: DestinationSet) =>
		overlapsDestination(entry, asked) && !coversDestination(refused, entry) && !coversDestination(refused, asked);
	const findings = [
		...denied.filter(reached).map((entry) => deny("destination-denied", { source, requested, entry: entry.text })),
		...approve
			.filter(reached)
			.map((entry) => needsApproval("destination-approval", { source, requested, entry: entry.text })),
	];
	if (allow !== undefined && !coversDestination([...allow, ...approve], asked)) {
		findings.push(deny("destination-not-allowed", { source, requested }));
	}
	return findings;
}

/** Sandbox paths that the run can write, and host paths that it is shown. Without isolation both are everything. */
export function pathsOf({ isolation, workspace, exposed }: Workload): {
	write: readonly string[];
	read: readonly string[];
} {
	if (isolation === "host" || isolation === "darwin-automation") return { write: ["/"], read: ["/"] };
	return { write: workspace?.access === "read-write" ? ["/workspace"] : [], read: exposed };
}

/** Paths in a writable workspace that the run can't change. */
function protectedPathsOf({ isolation, workspace }: Workload): readonly string[] {
	if (isolation === "host" || isolation === "darwin-automation") return [];
	return (workspace?.protected ?? []).map((path) => `/workspace/${path}`);
}

function judgePaths(workload: Workload, { source, rules }: Policy): Finding[] {
	const { write, read } = pathsOf(workload);
	const kept = protectedPathsOf(workload);
	const withoutKept = ({ allow, approve, deny: denied }: Lists<string>): Lists<string> => ({
		allow,
		approve: approve?.filter((entry) => !isCovered(entry, kept)),
		deny: denied?.filter((entry) => !isCovered(entry, kept)),
	});
	const noIsolation = write.includes("/");
	const isolate = "Run it in a sandbox, or change that list.";
	return [
		...write.flatMap((path) =>
			judgePath(
				"write",
				path,
				source,
				withoutKept(rules.write),
				noIsolation ? isolate : "Run it with --read-only, or change that list.",
			),
		),
		...read.flatMap((path) =>
			judgePath("read", path, source, rules.read, noIsolation ? isolate : "Leave --expose out, or change that list."),
		),
	];
}

function judgePath(
	access: "write" | "read",
	requested: string,
	source: string,
	{ allow, approve = [], deny: denied = [] }: Lists<string>,
	fix: string,
): Finding[] {
	const details = { source, requested, fix };
	const touched = (entry: string) => pathsOverlap(entry, requested);
	const findings = [
		...denied.filter(touched).map((entry) => deny(`${access}-denied`, { ...details, entry })),
		...approve.filter(touched).map((entry) => needsApproval(`${access}-approval`, { ...details, entry })),
	];
	if (allow !== undefined && !isCovered(requested, [...allow, ...approve])) {
		findings.push(deny(`${access}-not-allowed`, details));
	}
	return findings;
}

function judgeCommands({ commands }: CommandText, { source, rules }: Policy): Finding[] {
	const { allow, approve = [], deny: denied = [] } = rules.commands;
	const [whole = []] = commands;
	const found = (
		pattern: string, // `deny: [curl]` means curl with whatever arguments: a rule that refuses must not be narrower than it looks.
	) => commands.find((words) => matchesCommand(pattern, words) || matchesCommand(`${pattern} *`, words));
	const name = (words: readonly string[]) => JSON.stringify(words.join(" ").slice(0, 200));
	const match = (patterns: readonly string[]) =>
		patterns.flatMap((entry) => {
			const words = found(entry);
			return words === undefined ? [] : [{ source, entry, requested: name(words) }];
		});
	const findings = [
		...match(denied).map((details) => deny("command-denied", details)),
		...match(approve).map((details) => needsApproval("command-approval", details)),
	];
	// What is allowed is the command that is started; only it counts, not a command somewhere in its script.
	if (allow !== undefined && ![...allow, ...approve].some((pattern) => matchesCommand(pattern, whole))) {
		findings.push(deny("command-not-allowed", { source, requested: name(whole) }));
	}
	return findings;
}

function judgeLimits({ limits }: Workload, { source, rules }: Policy): Finding[] {
	return LIMIT_ROWS.flatMap(({ limit, written, flag, show }) => {
		const { [limit]: maximum = null } = rules.maximum;
		const asked = limits[limit];
		if (maximum === null || (asked !== null && asked <= maximum)) return [];
		const details = { source, written, flag, maximum: show(maximum), asked: asked === null ? "no limit" : show(asked) };
		return [deny("limit-above-maximum", details)];
	});
}

function judgeTiers(workload: Workload, { source, rules }: Policy): Finding[] {
	const { isolation, network } = workload;
	const { fired } = evaluateApproval(rules.approval, {
		profile: isolation === "host" ? "host" : "untrusted",
		networkMode: network.mode,
		writesOutsideWorkspace: pathsOf(workload).write.some((path) => !isCovered(path, ["/workspace"])),
	});
	return fired.map(({ key, tier, reason }) => {
		const details = { source, key, reason };
		return tier === "forbidden" ? deny("approval-forbidden", details) : needsApproval("approval-needed", details);
	});
}
