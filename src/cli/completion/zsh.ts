import type { CommandRow, Flag, Known, Operand } from "../command.ts";
import { groupsOf, isKnown, lookUp, quote, type Word, wordsAfter, wrapsCommand } from "./words.ts";

export function zshScript(rows: readonly CommandRow[]): string {
	return `#compdef vouch
# zsh completion for vouch: put it in a folder of $fpath as _vouch, or source it after compinit
_vouch() {
  local -a commands; local command=$words[2]
  if (( CURRENT == 2 )); then commands=(${described(wordsAfter(rows, []))}); _describe command commands; return; fi
  case $command in
${groupsOf(rows)
	.map(
		(group) =>
			`    ${group}) if (( CURRENT == 3 )); then commands=(${described(wordsAfter(rows, [group]))}); _describe command commands; return; fi
      command="$command $words[3]"; shift 2 words; (( CURRENT -= 2 )) ;;`,
	)
	.join("\n")}
    *) shift words; (( CURRENT-- )) ;;
  esac
  case $command in
${rows.map(zshCommand).join("\n")}
  esac
}
if [[ $funcstack[1] == _vouch ]]; then _vouch "$@"; else compdef _vouch vouch; fi
`;
}

/** An image is also what a folder or an archive holds. */
function zshKnown(known: Known): string {
	return `{compadd -- $(${lookUp(known)})${known === "image" ? "; _files" : ""}}`;
}

function described(words: readonly Word[]): string {
	return words.map(({ word, summary }) => quote(`${word}:${summary}`)).join(" ");
}

function zshCommand(row: CommandRow): string {
	// After the first word of the wrapped command no flag is Vouch's.
	const stop = wrapsCommand(row) ? "-A '-*' " : "";
	const specs = ["'--help[show help]'", ...row.flags.map(zshFlag), ...row.operands.map(zshOperand)];
	return `    ${quote(row.path.join(" "))}) _arguments -s ${stop}${specs.join(" ")} ;;`;
}

function zshFlag(flag: Flag): string {
	const repeat = flag.repeats === undefined ? "" : "*";
	// `=` after the name: the value may follow it or be the next word.
	const value = flag.value === undefined ? "" : `:${plain(flag.value)}:${zshValues(flag)}`;
	const name = flag.value === undefined ? flag.name : `${flag.name}=`;
	return quote(`${repeat}${name}[${plain(flag.summary)}]${value}`);
}

/** Text without the characters that end a part of an _arguments spec. */
function plain(text: string): string {
	return text.replace(/[[\]:\\]/g, " ").trim();
}

function zshValues({ choices, completes }: Pick<Flag, "choices"> & { readonly completes?: string }): string {
	if (choices !== undefined) return `(${choices.join(" ")})`;
	if (isKnown(completes)) return zshKnown(completes);
	if (completes === "directory") return "_files -/";
	return completes === "file" ? "_files" : " ";
}

function zshOperand(operand: Operand): string {
	if (operand.presence === "one-or-more") return quote(`*::${operand.name}:_normal`);
	return quote(`:${operand.name}:${zshValues(operand)}`);
}
