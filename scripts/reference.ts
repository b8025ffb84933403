/**
 * Writes the pages of docs/reference that derive from tables: commands, failures, schemas.
 *
 *   node_modules/.bin/node scripts/reference.ts
 */
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { commandRows } from "../src/cli/index.ts";
import type { FailureRow } from "../src/core/index.ts";
import { ledgerEntrySchema, ledgerSummarySchema, networkRulesSchema, reasonCodeSchema } from "../src/egress/schema.ts";
import { receiptFileSchema, receiptStatementSchema } from "../src/evidence/schema.ts";
import { policyDocumentSchema } from "../src/governance/schema.ts";

export const REGENERATE = "node_modules/.bin/node scripts/reference.ts";
const root = dirname(import.meta.dirname);

type Row = (typeof commandRows)[number];
type Schema = z.core.JSONSchema.BaseSchema;

/** Text of every generated page by its path from the root. */
export async function referencePages(): Promise<ReadonlyMap<string, string>> {
	return new Map([
		["docs/reference/commands.md", commandsPage()],
		["docs/reference/failures.md", failuresPage(await failureTables())],
		["docs/reference/receipt.md", receiptPage()],
		["docs/reference/ledger.md", ledgerPage()],
		["docs/reference/receipt.schema.json", schemaText(receiptSchema())],
		["docs/reference/policy.schema.json", schemaText(z.toJSONSchema(policyDocumentSchema, { io: "input" }))],
	]);
}

function page(title: string, source: string, ...blocks: readonly string[]): string {
	return `${[`# ${title}`, `<!-- Written by scripts/reference.ts from ${source}. Change that, then run: ${REGENERATE} -->`, ...blocks].join("\n\n")}\n`;
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
	const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
	return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const code = (text: string): string => `\`${text}\``;

function commandsPage(): string {
	const contents = commandRows.map((row) => [
		`[${code(`vouch ${row.path.join(" ")}`)}](#vouch-${row.path.join("-")})`,
		row.summary,
	]);
	return page(
		"Commands",
		"the command table (`src/cli/commands`)",
		markdownTable(["command", "what it does"], contents),
		'Every command also has `--help`. A failure of Vouch itself exits 125 (`vouch verify`: 2), prints one sentence and its code on stderr, or with `--json` one document `{"error": {"code", "sentence", "details"}}` on stdout; the codes are in [failures](failures.md). Colour is left out where stderr is no terminal or `NO_COLOR` is set.',
		...commandRows.map(commandSection),
	);
}

function commandSection(row: Row): string {
	const operands = row.operands.map(({ name, presence, summary, choices }) => [
		code({ required: `<${name}>`, optional: `[${name}]`, "one-or-more": `<${name}...>` }[presence]),
		`${summary}${choices === undefined ? "" : `: ${choices.map(code).join(", ")}`}`,
	]);
	const flags = row.flags.map((flag) => [
		[
			...(flag.short === undefined ? [] : [code(flag.short)]),
			code(`${flag.name}${flag.value === undefined ? "" : ` ${flag.value}`}`),
		].join(", "),
		`${flag.summary}${flag.choices === undefined ? "" : `: ${flag.choices.map(code).join(", ")}`}${flag.repeats === undefined ? "" : " (may repeat)"}`,
	]);
	const examples = row.examples.flatMap(({ says, command }) => [`# ${says.replace(/:$/, "")}`, command]);
	return [
		`## vouch ${row.path.join(" ")}`,
		row.description.replaceAll("\n", " "),
		...(operands.length + flags.length === 0
			? []
			: [markdownTable(["argument", "what it means"], [...operands, ...flags])]),
		...(examples.length === 0 ? [] : [`\`\`\`\n${examples.join("\n")}\n\`\`\``]),
	].join("\n\n");
}

interface FailureTable {
	readonly path: string;
	readonly rows: readonly (readonly [string, FailureRow])[];
}

/** Every folder's table. A `failures.ts` exports its rows, or what `defineFailures` made of them. */
async function failureTables(): Promise<readonly FailureTable[]> {
	const paths = globSync("src/**/failures.ts", { cwd: root }).sort();
	return Promise.all(
		paths.map(async (path) => {
			const loaded: Record<string, unknown> = await import(pathToFileURL(join(root, path)).href);
			const rows = Object.values(loaded).flatMap((value) => rowsIn(value));
			return { path, rows };
		}),
	);
}

function rowsIn(value: unknown): readonly (readonly [string, FailureRow])[] {
	if (typeof value !== "object" || value === null) return [];
	if ("table" in value) return rowsIn(value.table);
	const entries: [string, unknown][] = Object.entries(value);
	return entries.flatMap(([name, row]) => (isFailureRow(row) ? [[name, row] as const] : []));
}

function isFailureRow(value: unknown): value is FailureRow {
	return typeof value === "object" && value !== null && "sentence" in value;
}

const RETRIES = { never: "no", safe: "yes", unknown: "only after looking" } as const;

function failuresPage(tables: readonly FailureTable[]): string {
	return page(
		"Failures",
		"every `failures.ts`",
		"What a failure says: what was being done, to what, what was wrong, what to do. `{names}` are filled in. *Mends* is who can: the caller, the operator of the machine, or us, when it is a bug. *Again* is whether trying once more may help.",
		...tables.map(({ path, rows }) =>
			[
				`## ${path.split("/").slice(1, -1).join("/")}`,
				markdownTable(
					["code", "mends", "again", "HTTP", "what it says"],
					rows.map(([name, { audience, retry, status, sentence }]) => [
						code(name),
						audience,
						RETRIES[retry],
						String(status),
						/^\{\w+\}$/.test(sentence) ? "*the problem itself, in a sentence*" : sentence,
					]),
				),
			].join("\n\n"),
		),
	);
}

function receiptSchema(): object {
	const { $schema, ...file } = z.toJSONSchema(receiptFileSchema);
	const { $schema: _, ...statement } = z.toJSONSchema(receiptStatementSchema);
	return {
		$schema,
		title: "A Vouch receipt file",
		description: "envelope.payload is the base64 of a JSON document of the form $defs.statement.",
		...file,
		$defs: { statement },
	};
}

function schemaText(schema: object): string {
	return `${JSON.stringify(schema, null, "\t")}\n`;
}

function receiptPage(): string {
	const statement = z.toJSONSchema(receiptStatementSchema);
	const fields = fieldsOf(statement).filter(({ path }) => !path.startsWith("predicate.ledgerEntries[]."));
	return page(
		"Receipt: every member",
		"`src/evidence/schema.ts`",
		"What the parts mean: [the receipt](../concepts/receipt.md). The same for programs: [receipt.schema.json](receipt.schema.json). Members of `ledgerEntries`: [ledger](ledger.md).",
		"## The file",
		fieldTable(fieldsOf(z.toJSONSchema(receiptFileSchema))),
		"## The statement, which is the envelope's payload",
		fieldTable(fields),
	);
}

function ledgerPage(): string {
	return page(
		"Ledger: every member",
		"`src/egress/schema.ts`",
		"## An entry: one attempt to reach something",
		fieldTable(fieldsOf(z.toJSONSchema(ledgerEntrySchema))),
		`Reason codes: ${reasonCodeSchema.options.map(code).join(", ")}.`,
		"## The summary",
		fieldTable(fieldsOf(z.toJSONSchema(ledgerSummarySchema))),
		"## The rules of a run",
		fieldTable(fieldsOf(z.toJSONSchema(networkRulesSchema))),
	);
}

interface Field {
	readonly path: string;
	readonly type: string;
}

/** Members of an object schema, depth first, as dotted paths. */
function fieldsOf(schema: Schema, path = ""): readonly Field[] {
	const variants = variantsOf(schema);
	const own = path === "" ? [] : [{ path, type: [...new Set(variants.map(typeOf))].join(" or ") }];
	const inner = variants.flatMap((variant) => {
		const items = variant.items;
		if (isSchema(items)) return fieldsOf(items, `${path}[]`).filter((field) => field.path !== `${path}[]`);
		return Object.entries(variant.properties ?? {}).flatMap(([name, member]) =>
			isSchema(member) ? fieldsOf(member, path === "" ? name : `${path}.${name}`) : [],
		);
	});
	return [...new Map([...own, ...inner].map((field) => [`${field.path} ${field.type}`, field])).values()];
}

function isSchema(value: unknown): value is Schema {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function variantsOf(schema: Schema): readonly Schema[] {
	return (schema.anyOf ?? schema.oneOf ?? [schema]).flatMap((variant) =>
		isSchema(variant) && variant !== schema ? variantsOf(variant) : [schema],
	);
}

function typeOf(schema: Schema): string {
	if (schema.const !== undefined) return code(JSON.stringify(schema.const));
	if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(", ");
	if (schema.type === "array") {
		const items = isSchema(schema.items) ? variantsOf(schema.items).map(typeOf).join(" or ") : "anything";
		return `list of ${items}`;
	}
	if (schema.type === "integer") return "whole number";
	if (schema.format === "date-time") return "time, RFC 3339";
	if (schema.pattern?.startsWith("^sha256:") === true) return "digest, `sha256:` and 64 hex digits";
	return [schema.type ?? "anything"].flat().join(" or ");
}

function fieldTable(fields: readonly Field[]): string {
	return markdownTable(
		["member", "type"],
		fields.map(({ path, type }) => [code(path), type]),
	);
}

if (import.meta.main) {
	for (const [path, text] of await referencePages()) {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), text);
		process.stdout.write(`${path}\n`);
	}
}
