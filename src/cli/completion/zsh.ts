import type { CommandRow, Flag, Operand } from "../command.ts";
import { groupsOf, IMAGE_NAMES, quote, RUN_IDS, type Word, wordsAfter, wrapsCommand } from "./words.ts";

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

/** Names, and files besides: an image is also what a folder or an archive holds. */
const IMAGES = `{compadd -- $(${IMAGE_NAMES}); _files}`;

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

function zshValues(flag: Flag): string {
	if (flag.choices !== undefined) return `(${flag.choices.join(" ")})`;
	if (flag.completes === "image") return IMAGES;
	if (flag.completes === "directory") return "_files -/";
	return flag.completes === "file" ? "_files" : " ";
}

function zshOperand(operand: Operand): string {
	if (operand.presence === "one-or-more") return quote(`*::${operand.name}:_normal`);
	const action =
		operand.choices === undefined
			? { file: "_files", run: `{compadd -- $(${RUN_IDS})}`, image: IMAGES, nothing: " " }[operand.completes]
			: `(${operand.choices.join(" ")})`;
	return quote(`:${operand.name}:${action}`);
}
