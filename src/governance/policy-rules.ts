import type { Limits } from "../runtime/schema.ts";
import { limitsSchema } from "../runtime/schema.ts";
import { type DestinationSet, parseDestination } from "./destinations.ts";
import { LIMIT_ROWS } from "./limits.ts";
import { normalizePath } from "./paths.ts";
import type { PolicyRules } from "./policy.ts";
import type { Lists, PolicyDocument, WrittenLimits } from "./schema.ts";

export interface RuleProblem {
	readonly path: readonly PropertyKey[];
	readonly problem: string;
}
export type CompiledPolicy =
	| { readonly kind: "rules"; readonly rules: PolicyRules }
	| { readonly kind: "invalid"; readonly problems: readonly RuleProblem[] };

/** From what is written to what can be judged by, or every entry that means nothing. */
export function compilePolicy(document: PolicyDocument): CompiledPolicy {
	const problems: RuleProblem[] = [];
	const { isolation = {}, network = {}, paths = {}, commands = {}, limits = {}, approval = {} } = document;
	const { modes, ...destinations } = network;
	const rules: PolicyRules = {
		isolation,
		destinations: compileLists(destinations, ["network"], problems, readDestination),
		modes,
		write: compileLists(paths.write ?? {}, ["paths", "write"], problems, readPath),
		read: compileLists(paths.read ?? {}, ["paths", "read"], problems, readPath),
		commands,
		maximum: compileLimits(limits.max ?? {}, ["limits", "max"], problems),
		standard: compileLimits(limits.default ?? {}, ["limits", "default"], problems),
		approval,
	};
	for (const { written, limit } of LIMIT_ROWS) {
		const { [limit]: standard = null } = rules.standard;
		const { [limit]: maximum = null } = rules.maximum;
		if (standard !== null && maximum !== null && standard > maximum) {
			problems.push({ path: ["limits", "default", written], problem: "it is more than the maximum above." });
		}
	}
	return problems.length === 0 ? { kind: "rules", rules } : { kind: "invalid", problems };
}

type Read<Item> = (text: string, list: keyof Lists<string>) => { value: Item } | { problem: string };

const readDestination: Read<DestinationSet> = (text, list) => {
	const parsed = parseDestination(text, list === "allow" ? "policy-allow" : "policy-deny");
	return "problem" in parsed ? { problem: `${text}: ${parsed.problem}.` } : { value: parsed };
};

const readPath: Read<string> = (text) => {
	if (/^(?:\/|workspace(?::|$)|host:\/)/.test(text) && !/[*?[\]]/.test(text.replace(/:\*\*$/, ""))) {
		return { value: normalizePath(text) };
	}
	return { problem: `${text}: write an absolute path such as /workspace/src; it covers all below it, without * or ?.` };
};

function compileLists<Item>(
	lists: Lists<string>,
	path: readonly string[],
	problems: RuleProblem[],
	read: Read<Item>,
): Lists<Item> {
	const compile = (list: keyof Lists<string>): Item[] | undefined =>
		lists[list]?.flatMap((text, index) => {
			const result = read(text, list);
			if ("value" in result) return [result.value];
			problems.push({ path: [...path, list, index], problem: result.problem });
			return [];
		});
	return { allow: compile("allow"), approve: compile("approve"), deny: compile("deny") };
}

function compileLimits(written: WrittenLimits, path: readonly string[], problems: RuleProblem[]): Partial<Limits> {
	const limits: Partial<Limits> = {};
	for (const row of LIMIT_ROWS) {
		const value = written[row.written];
		if (value === undefined) continue;
		const read = row.read(value);
		if (read !== undefined && limitsSchema.shape[row.limit].safeParse(read).success) limits[row.limit] = read;
		else problems.push({ path: [...path, row.written], problem: `${value} does not fit: write ${row.form}.` });
	}
	return limits;
}
