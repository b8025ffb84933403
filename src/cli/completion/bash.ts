import { type CommandRow, type Flag, KNOWN, type Known } from "../command.ts";
import { groupsOf, isKnown, lookUp, quote, wordsAfter, wrapsCommand } from "./words.ts";

/**
 * Knows the command, walks to the cursor over flags and their values, and then completes a value, a flag or an operand. Readline
 * splits `--net=none` into three words, so an = between a flag and its value is stepped over.
 */
export function bashScript(rows: readonly CommandRow[]): string {
	return `# bash completion for vouch: source it, or put it in ~/.local/share/bash-completion/completions/vouch
_vouch() {
  local cur=\${COMP_WORDS[COMP_CWORD]} command=\${COMP_WORDS[1]} first=2 flags= valued= operand= wraps=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then _vouch_words ${quote(`${list(rows, [])} help`)}; return; fi
  case $command in
${groupsOf(rows)
	.map(
		(group) =>
			`    ${group}) if [ "$COMP_CWORD" -eq 2 ]; then _vouch_words ${quote(list(rows, [group]))}; return; fi
      command="$command \${COMP_WORDS[2]}" first=3 ;;`,
	)
	.join("\n")}
  esac
  case $command in
${rows.map(bashCommand).join("\n")}
    *) return ;;
  esac
  local at=$first flag=
  while [ "$at" -lt "$COMP_CWORD" ]; do
    flag=
    case \${COMP_WORDS[at]} in
      --) compopt -o default; return ;;
      -*) case " $valued " in *" \${COMP_WORDS[at]} "*)
            flag=\${COMP_WORDS[at]}; at=$((at + 1))
            if [ "\${COMP_WORDS[at]}" = = ] && [ "$at" -lt "$COMP_CWORD" ]; then at=$((at + 1)); fi ;;
          esac ;;
      *) if [ -n "$wraps" ]; then compopt -o default; return; fi ;;
    esac
    at=$((at + 1))
  done
  if [ "$at" -gt "$COMP_CWORD" ]; then _vouch_value "$command" "$flag"; return; fi
  case $cur in -*) _vouch_words "$flags --help"; return ;; esac
  case $operand in
${Object.keys(KNOWN)
	.filter(isKnown)
	.map((known) => `    ${known}) ${bashKnown(known)}`)
	.join("\n")}
    file) compopt -o default ;;
    *) _vouch_words "$operand" ;;
  esac
}
_vouch_words() {
  [ "$cur" != = ] || cur=
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}
_vouch_value() {
  case "$1 $2" in
${rows.flatMap((row) => row.flags.flatMap((flag) => bashValue(row, flag))).join("\n")}
  esac
}
complete -F _vouch vouch
`;
}

/** An image is also what a folder or an archive holds. */
function bashKnown(known: Known): string {
	return `_vouch_words "$(${lookUp(known)})"${known === "image" ? "; compopt -o default" : ""} ;;`;
}

function list(rows: readonly CommandRow[], before: readonly string[]): string {
	return wordsAfter(rows, before)
		.map(({ word }) => word)
		.join(" ");
}

function bashCommand(row: CommandRow): string {
	const valued = row.flags.filter((flag) => flag.value !== undefined);
	const [operand] = row.operands;
	const parts = {
		flags: row.flags.map((flag) => flag.name).join(" "),
		valued: valued.map((flag) => flag.name).join(" "),
		operand: operand?.choices?.join(" ") ?? operand?.completes ?? "",
		wraps: wrapsCommand(row) ? "yes" : "",
	};
	const settings = Object.entries(parts).map(([name, text]) => `${name}=${quote(text)}`);
	return `    ${quote(row.path.join(" "))}) ${settings.join(" ")} ;;`;
}

function bashValue(row: CommandRow, flag: Flag): readonly string[] {
	const pattern = `    ${quote(`${row.path.join(" ")} ${flag.name}`)})`;
	if (flag.choices !== undefined) return [`${pattern} _vouch_words ${quote(flag.choices.join(" "))} ;;`];
	if (flag.completes === undefined) return [];
	if (isKnown(flag.completes)) return [`${pattern} ${bashKnown(flag.completes)}`];
	return [`${pattern} compopt -o ${flag.completes === "file" ? "default" : "dirnames"} ;;`];
}
