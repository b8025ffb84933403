/** Completion scripts for three shells, each in that shell's own way, all derived from the command table. */
import type { CommandRow } from "../command.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { zshScript } from "./zsh.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

export function completionScript(shell: Shell, rows: readonly CommandRow[]): string {
	return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](rows);
}
