import type { CommandRow, Flag, Known } from "../command.ts";
import { groupsOf, isKnown, lookUp, quote, wordsAfter, wrapsCommand } from "./words.ts";

/**
 * `__vouch_at` asks for words by their place, since fish's own `__fish_seen_subcommand_from` finds them anywhere: `show` is a
 * command and, after `key`, another one.
 */
export function fishScript(rows: readonly CommandRow[]): string {
	const lines = [
		"# fish completion for vouch: put it in ~/.config/fish/completions/vouch.fish",
		"function __vouch_at",
		"    set -l words (commandline -opc)",
		"    set -e words[1]",
		"    for at in (seq (count $argv))",
		'        test "$words[$at]" = "$argv[$at]"; or return 1',
		"    end",
		"end",
		"function __vouch_next",
		"    test (count (commandline -opc)) -eq (math (count $argv) + 1); and __vouch_at $argv",
		"end",
		wrapping(rows),
		"complete -c vouch -f",
	];
	for (const before of [[], ...groupsOf(rows).map((group) => [group])]) {
		const condition = quote(["__vouch_next", ...before].join(" "));
		for (const { word, summary } of wordsAfter(rows, before)) {
			lines.push(`complete -c vouch -n ${condition} -a ${word} -d ${quote(summary)}`);
		}
	}
	lines.push(...rows.flatMap(fishCommand));
	return `${lines.join("\n")}\n`;
}

/** A function that says whether the cursor is past the first word of a command that Vouch is to run. */
function wrapping(rows: readonly CommandRow[]): string {
	const wrapper = rows.filter(wrapsCommand);
	const valued = new Set(wrapper.flatMap((row) => row.flags.filter((flag) => flag.value !== undefined)));
	return `function __vouch_wrapped
    set -l words (commandline -opc)
    contains -- "$words[2]" ${wrapper.map((row) => row.path[0]).join(" ")}; or return 1
    set -l skip 0
    for word in $words[3..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${[...valued].map((flag) => flag.name).join(" ")}
            set skip 1
        else if test "$word" = --; or not string match -q -- '-*' $word
            return 0
        end
    end
    return 1
end`;
}

function fishCommand(row: CommandRow): readonly string[] {
	const at = ["__vouch_at", ...row.path].join(" ");
	const condition = quote(wrapsCommand(row) ? `${at}; and not __vouch_wrapped` : at);
	const lines = row.flags.map((flag) => `complete -c vouch -n ${condition} ${fishFlag(flag)}`);
	if (wrapsCommand(row)) lines.push(`complete -c vouch -n __vouch_wrapped -F`);
	const [operand] = row.operands;
	if (operand?.choices !== undefined)
		lines.push(`complete -c vouch -n ${condition} -a ${quote(operand.choices.join(" "))}`);
	else if (isKnown(operand?.completes)) lines.push(`complete -c vouch -n ${condition} ${fishKnown(operand.completes)}`);
	else if (operand?.completes === "file") lines.push(`complete -c vouch -n ${condition} -F`);
	return lines;
}

/** An image is also what a folder or an archive holds. */
function fishKnown(known: Known): string {
	return `${known === "image" ? "-F " : ""}-a '(${lookUp(known)})'`;
}

function fishFlag(flag: Flag): string {
	const parts = [`-l ${flag.name.slice(2)}`, ...(flag.short === undefined ? [] : [`-s ${flag.short.slice(1)}`])];
	if (flag.value !== undefined) parts.push("-r");
	if (flag.choices !== undefined) parts.push(`-a ${quote(flag.choices.join(" "))}`);
	if (flag.completes === "file") parts.push("-F");
	if (isKnown(flag.completes)) parts.push(fishKnown(flag.completes));
	if (flag.completes === "directory") parts.push("-a '(__fish_complete_directories)'");
	return `${parts.join(" ")} -d ${quote(flag.summary)}`;
}
