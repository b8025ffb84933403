import { formWords, reasonOf, VouchError } from "../core/index.ts";
import type { CommandRow } from "./command.ts";
import { fail } from "./failures.ts";
import { buildProgram, helpShown, runProgram } from "./program.ts";
import { paint } from "./screen.ts";
import { programVersion } from "./version.ts";

/** Exit code of Vouch's own failures: never mistaken for the command's (as env(1), timeout(1) and container tools have it). */
export const OWN_FAILURE = 125;

// A command checks each schema once or twice: compiling a parser for it first, as zod does, costs more than it saves. Set as zod
// itself does it, which is loaded later, and by the commands that check something.
const forZod: typeof globalThis & { __zod_globalConfig?: object } = globalThis;
forZod.__zod_globalConfig = Object.assign(forZod.__zod_globalConfig ?? {}, { jitless: true, customError: formWords });

/** Runs one command line of these commands; sets the exit code. The only place that turns a failure into text. */
export async function runCommandLine(known: readonly CommandRow[], argv: readonly string[]): Promise<void> {
	for (const stream of [process.stdout, process.stderr]) stream.on("error", unlessGone);
	const wantsJson = argv.slice(0, endOfOwn(argv)).includes("--json");
	try {
		const program = buildProgram(rowsFor(known, argv), programVersion(), (code) => {
			process.exitCode = code;
		});
		if (argv.length === 0) {
			program.outputHelp();
			return;
		}
		if ((await runProgram(program, argv)) === helpShown) process.exitCode = 0;
	} catch (error) {
		process.exitCode = argv[0] === "verify" ? 2 : OWN_FAILURE;
		report(error, wantsJson ? "json" : "text");
	}
}

/** Those of the command that is named first; all, for help and for words that are none. */
function rowsFor(known: readonly CommandRow[], [first]: readonly string[]): readonly CommandRow[] {
	const named = known.filter(({ path }) => path[0] === first);
	return named.length === 0 ? known : named;
}

/** A reader that went away (`vouch runs | head -1`) is no failure: what is left is written to nobody. */
function unlessGone(error: NodeJS.ErrnoException): void {
	if (error.code !== "EPIPE") throw error;
}

function endOfOwn(argv: readonly string[]): number {
	const dashes = argv.indexOf("--");
	return dashes === -1 ? argv.length : dashes;
}

const UNUSABLE: ReadonlySet<string> = new Set(["EACCES", "EDQUOT", "ENOSPC", "ENOTDIR", "EPERM", "EROFS"]);

/** A folder that can't be used, or a full disk, is the machine's to mend and no fault of Vouch's. */
function aboutFiles(error: unknown): VouchError | undefined {
	const { code = "", path, syscall } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
	const isOfFiles = UNUSABLE.has(code) && (path !== undefined || syscall === "write");
	return isOfFiles
		? fail("cli.files-unusable", { path: path ?? "a file", problem: reasonOf(error) }, error)
		: undefined;
}

function report(error: unknown, form: "json" | "text"): void {
	const known = error instanceof VouchError ? error : aboutFiles(error);
	const sentence = known?.message ?? `Vouch failed in a way that is its own fault: ${String(error)}. Please report it.`;
	const code = known?.code ?? "bug";
	if (form === "json") {
		process.stdout.write(`${JSON.stringify({ error: { code, sentence, details: known?.details ?? {} } }, null, 2)}\n`);
	} else {
		process.stderr.write(`${paint("red", "vouch:")} ${sentence} ${paint("dim", `[${code}]`)}\n`);
	}
	const stack = process.env.VOUCH_DEBUG === "1" && error instanceof Error ? error.stack : undefined;
	if (stack !== undefined) process.stderr.write(`${stack}\n`);
}
