import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { z } from "zod";
import { reasonOf } from "../../core/index.ts";
import type { FlagValues } from "../command.ts";
import { fail } from "../failures.ts";

/** One setting of a program: where its value may come from, and why it is what it is when nobody says. */
export interface Setting<Schema extends z.ZodType = z.ZodType> {
	/** Dotted path in the file. */
	readonly key: string;
	readonly flag: `--${string}` | null;
	readonly environment: string;
	readonly schema: Schema;
	/** Null when there is none: then somebody must say. */
	readonly standard: z.input<Schema> | null;
	readonly reason: string;
	/** Its value is not shown. */
	readonly secret?: "secret";
}

/** A row with its literal types. */
export function setting<Schema extends z.ZodType>(row: Setting<Schema>): Setting<Schema> {
	return row;
}

export type SettingsTable = Readonly<Record<string, Setting>>;
export type ValuesOf<Table extends SettingsTable> = {
	readonly [Name in keyof Table]: z.output<Table[Name]["schema"]>;
};

/** A value and who said it. */
export interface Effective {
	readonly name: string;
	readonly key: string;
	readonly value: unknown;
	readonly from: string;
}

export interface Sources {
	/** Path of the file, or null for none. */
	readonly file: string | null;
	readonly flags: FlagValues;
	readonly environment: NodeJS.ProcessEnv;
}

/**
 * The settings of a program: a flag wins over the environment, that over the file, that over the default. Throws VouchError
 * `cli.settings-invalid` with every problem at once, also for keys that no setting has.
 */
export function readSettings<Table extends SettingsTable>(
	table: Table,
	sources: Sources,
): { readonly values: ValuesOf<Table>; readonly effective: readonly Effective[] } {
	const written = sources.file === null ? {} : readFile(sources.file);
	const problems = unknownKeys(table, written, sources.file);
	const effective: Effective[] = [];
	for (const [name, setting] of Object.entries(table)) {
		const { value, from } = sourceOf(setting, written, sources);
		const parsed = setting.schema.safeParse(value);
		if (parsed.success) effective.push({ name, key: setting.key, value: parsed.data, from });
		else problems.push(`${setting.key} (${from}): ${parsed.error.issues[0]?.message ?? "it does not fit"}`);
	}
	if (problems.length > 0) throw fail("cli.settings-invalid", { problems: problems.join("; ") });
	const values = Object.fromEntries(effective.map(({ name, value }) => [name, value])) as ValuesOf<Table>;
	return { values, effective };
}

function sourceOf(setting: Setting, written: object, { file, flags, environment }: Sources) {
	const flag = setting.flag === null ? undefined : flags.text(setting.flag);
	if (flag !== undefined) return { value: flag, from: setting.flag ?? "" };
	const variable = environment[setting.environment];
	if (variable !== undefined) return { value: variable, from: setting.environment };
	const inFile = at(written, setting.key.split("."));
	if (inFile !== undefined) return { value: inFile, from: file ?? "" };
	if (setting.standard === null)
		return { value: undefined, from: `set it with ${setting.flag ?? setting.environment}` };
	return { value: setting.standard, from: "default" };
}

function at(value: unknown, path: readonly string[]): unknown {
	const [first, ...rest] = path;
	if (first === undefined) return value;
	if (typeof value !== "object" || value === null || !Object.hasOwn(value, first)) return undefined;
	return at((value as Record<string, unknown>)[first], rest);
}

function readFile(path: string): object {
	const problem = (text: string) => fail("cli.settings-invalid", { problems: `${path}: ${text}` });
	let text: string;
	try {
		text = readFileSync(path, "utf8");
	} catch (error) {
		throw problem(reasonOf(error));
	}
	let value: unknown;
	try {
		value = parse(text) ?? {};
	} catch (error) {
		throw problem(reasonOf(error));
	}
	if (typeof value !== "object" || value === null || Array.isArray(value)) throw problem("it is no mapping of keys");
	return value;
}

/** A key that is misspelled would be a setting that silently isn't. */
function unknownKeys(table: SettingsTable, written: object, file: string | null): string[] {
	const known = Object.values(table).map(({ key }) => key);
	const visit = (value: object, prefix: string): string[] =>
		Object.entries(value).flatMap(([name, inner]) => {
			const key = `${prefix}${name}`;
			if (known.includes(key)) return [];
			const isFolder = known.some((one) => one.startsWith(`${key}.`));
			if (isFolder && typeof inner === "object" && inner !== null) return visit(inner, `${key}.`);
			return [`${key} (${file}): there is no such setting`];
		});
	return visit(written, "");
}
