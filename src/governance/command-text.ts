/** What of an argv can be read as text: the line a person would type, and the scripts that a shell in it would run. */

const SHELL_NAMES = new Set(["sh", "bash", "dash", "zsh", "ksh", "ash", "busybox"]);
/** Programs that run what follows them; `sudo` and `su` are shapes of their own. */
const CARRIERS = new Set(["env", "nice", "nohup", "timeout", "setsid", "time", "command", "exec", "busybox", "stdbuf"]);

export interface CommandText {
	/** The text that shapes are looked for in: a shell's script and what it is given, else the words joined by blanks. */
	readonly inspected: string;
	/** The words themselves, then those of each simple command in a shell's script, split at blanks without any quoting. */
	readonly commands: readonly (readonly string[])[];
}

export function readCommand(argv: readonly string[]): CommandText {
	const script = scriptOf(argv);
	if (script === undefined) return { inspected: argv.join(" "), commands: withCarried(argv) };
	const inner = script.text
		.split(/[;&|\n\r(){}`]+|\$\(/)
		.map((part) =>
			part
				.trim()
				.split(/\s+/)
				.filter((word) => word !== ""),
		)
		.filter((words) => words.length > 0);
	return {
		inspected:
			[...script.before, script.text].join(" ") + (script.given.length > 0 ? `\n${script.given.join(" ")}` : ""),
		commands: [...withCarried(argv), ...inner.flatMap(withCarried)],
	};
}

/** Program name without its folder. */
export function programName(word: string): string {
	return word.slice(word.lastIndexOf("/") + 1);
}

interface Script {
	/** Words before the shell: `sudo` must not vanish because a shell follows it. */
	readonly before: readonly string[];
	readonly text: string;
	/** `$0`, `$1`…: a script such as `"$@"` runs them. */
	readonly given: readonly string[];
}

function scriptOf(argv: readonly string[]): Script | undefined {
	const shell = argv.findIndex((word) => SHELL_NAMES.has(programName(word)));
	if (shell === -1) return undefined;
	const flag = argv.findIndex((word, index) => index > shell && /^-[a-zA-Z]*c[a-zA-Z]*$/.test(word));
	// Between the shell and -c only options stand: `sh build.sh -c release` has no inline script.
	const optionsOnly = argv
		.slice(shell + 1, flag)
		.every((word) => /^[-+]|^(?:\w*sh|pipefail|errexit|nounset)$/.test(word));
	const text = argv[flag + 1];
	if (flag === -1 || text === undefined || !optionsOnly) return undefined;
	return { before: argv.slice(0, shell), text, given: argv.slice(flag + 2) };
}

/** A command, and the one it carries: `env A=1 nice -n 5 curl x` is also `curl x`. */
function withCarried(words: readonly string[]): (readonly string[])[] {
	const found = [words];
	for (let rest = words; CARRIERS.has(programName(rest[0] ?? "")); ) {
		const next = rest.findIndex((word, index) => index > 0 && !/^-|^\w+=|^[\d.]+[smhd]?$/.test(word));
		if (next === -1) break;
		rest = rest.slice(next);
		found.push(rest);
	}
	return found;
}
