import { Argument, Command, CommanderError, Option } from "commander";
import type { CommandRow, Flag } from "./command.ts";
import { FlagValues } from "./command.ts";
import { fail } from "./failures.ts";

/**
 * The commander program of a table of rows. Misspelt commands and flags are answered with the nearest right one.
 * Failures of usage are thrown as `cli.usage`; help and version end as `helpShown`.
 */
export const helpShown = Symbol("help was shown");

export function buildProgram(rows: readonly CommandRow[], version: string, onAction: (code: number) => void): Command {
	const program = new Command("vouch")
		.description("Runs code you don't trust, gates every byte that leaves, and returns a receipt anyone can check.")
		.version(version, "-V, --version", "print the version")
		.enablePositionalOptions()
		// Each has its own help for the rest.
		.configureHelp({ subcommandTerm: (command) => command.name() })
		.exitOverride()
		.configureOutput({ outputError: () => {} })
		.addHelpText("after", `\nEvery command has its own help with examples: vouch help run`);
	for (const row of rows) addRow(program, row, wordsBelow(row, rows), onAction);
	return program;
}

/** What may stand after a command that is a command by itself: `vouch policies show`. */
function wordsBelow({ path }: CommandRow, rows: readonly CommandRow[]): readonly string[] {
	const below = rows.filter((row) => row.path.length > path.length && path.every((word, at) => row.path[at] === word));
	return below.map((row) => row.path[path.length] ?? "");
}

function addRow(program: Command, row: CommandRow, below: readonly string[], onAction: (code: number) => void): void {
	const words = row.path.slice(0, -1);
	const parent = words.reduce((at, word) => groupOf(at, word), program);
	const command = parent
		.command(row.path.at(-1) ?? row.path[0])
		.summary(row.summary)
		.description(row.description.replaceAll("\n", " "))
		.exitOverride()
		.configureOutput({ outputError: () => {} })
		.addHelpText("after", helpOfExamples(row));
	for (const operand of row.operands) {
		const names = {
			required: `<${operand.name}>`,
			optional: `[${operand.name}]`,
			"one-or-more": `<${operand.name}...>`,
		};
		const argument = new Argument(names[operand.presence], operand.summary);
		command.addArgument(operand.choices === undefined ? argument : argument.choices([...operand.choices]));
		if (operand.presence === "one-or-more") command.passThroughOptions();
	}
	for (const flag of row.flags) command.addOption(optionOf(flag));
	if (below.length > 0) command.allowExcessArguments();
	command.action(async (...given: unknown[]) => {
		const [unknown] = below.length > 0 ? command.args : [];
		if (unknown !== undefined) throw unknownCommand(row, unknown, below);
		const operands = given.slice(0, row.operands.length).flat() as (string | undefined)[];
		const action = await row.load();
		const flags = new FlagValues(valuesOf(row.flags, command.opts()));
		onAction(await action({ operands: operands.filter((word) => word !== undefined), flags }));
	});
}

function unknownCommand({ path }: CommandRow, word: string, known: readonly string[]): Error {
	const near = known.find((each) => each.startsWith(word) || [...each].sort().join() === [...word].sort().join());
	const hint = near === undefined ? `It takes ${known.join(", ")}.` : `Did you mean ${near}?`;
	return fail("cli.usage", { problem: `Unknown command '${[...path, word].join(" ")}'. ${hint}` });
}

function groupOf(parent: Command, word: string): Command {
	const found = parent.commands.find((command) => command.name() === word);
	const about: Readonly<Record<string, string>> = {
		facility: "workspaces of a fleet",
		image: "verifiable images of machines",
		journal: "the append-only log of receipts",
		key: "this node's signing key",
		policy: "what runs may do",
	};
	return (
		found ??
		parent
			.command(word)
			.description(about[word] ?? "")
			.exitOverride()
			.configureOutput({ outputError: () => {} })
	);
}

function optionOf(flag: Flag): Option {
	const names = flag.short === undefined ? flag.name : `${flag.short}, ${flag.name}`;
	const option = new Option(flag.value === undefined ? names : `${names} <${flag.value}>`, flag.summary);
	if (flag.choices !== undefined) option.choices([...flag.choices]);
	if (flag.repeats !== undefined) {
		option.argParser((value: string, before: string[] | undefined) => {
			if (flag.choices !== undefined && !flag.choices.includes(value)) {
				throw fail("cli.usage", {
					problem: `${flag.name} takes ${flag.choices.join(", ")}; it was given "${value}".`,
				});
			}
			return [...(before ?? []), value];
		});
	}
	return option;
}

function valuesOf(flags: readonly Flag[], options: Record<string, unknown>): ReadonlyMap<string, readonly string[]> {
	const values = new Map<string, readonly string[]>();
	for (const flag of flags) {
		const option = optionOf(flag);
		const value = options[option.attributeName()];
		// Of `--no-stdin` commander makes `stdin`, which is true unless the flag was given.
		if (value === undefined || value === option.negate) continue;
		values.set(flag.name, Array.isArray(value) ? value.map(String) : [typeof value === "boolean" ? "" : String(value)]);
	}
	return values;
}

function helpOfExamples(row: CommandRow): string {
	const lines = row.examples.flatMap((example) => [`  ${example.says}`, `    $ ${example.command}`, ""]);
	return lines.length === 0 ? "" : `\nExamples:\n${lines.join("\n").trimEnd()}`;
}

/** Parses and runs; returns normally when the action did, throws VouchError otherwise. */
export async function runProgram(program: Command, argv: readonly string[]): Promise<typeof helpShown | undefined> {
	try {
		await program.parseAsync([...argv], { from: "user" });
		return undefined;
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		if (error.exitCode === 0 || error.code === "commander.help") return helpShown;
		throw fail("cli.usage", { problem: usageSentence(error.message) });
	}
}

function usageSentence(message: string): string {
	const plain = message.replace(/^error: /, "").trim();
	const [first = "", ...rest] = plain.split("\n");
	const hint = rest.join(" ").replace(/^\(|\)$/g, "");
	const sentence = first.replace(/\.+$/, "");
	return `${sentence[0]?.toUpperCase() ?? ""}${sentence.slice(1)}.${hint === "" ? "" : ` ${hint}`} \`vouch --help\` lists what there is.`;
}
