import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants as fsConstants, statSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable } from "node:stream";
import type { ProgramResult, RunOptions, StartedProgram, StartOptions } from "./host.ts";

const OUTPUT_LIMIT_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 60_000;
const EXIT_TIMEOUT = 124;
const EXIT_MISSING = 127;

/** Folders of system programs that an ordinary user's PATH often lacks. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];

/** Looks without a thread: a few lookups of names are over before one could take them, and what waits for this is a run. */
export async function findProgram(name: string): Promise<string | undefined> {
	if (name.includes("/")) return isProgram(name) ? name : undefined;
	const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
	for (const folder of [...folders, ...SYSTEM_FOLDERS]) {
		const path = join(folder, name);
		if (isProgram(path)) return path;
	}
	return undefined;
}

export function isProgram(path: string): boolean {
	try {
		if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
		accessSync(path, fsConstants.X_OK);
		return true;
	} catch {
		return false;
	}
}

export function runProgram(argv: readonly [string, ...string[]], options: RunOptions = {}): Promise<ProgramResult> {
	const child = spawnPiped(argv, options);
	const stdout = collect(child.stdout);
	const stderr = collect(child.stderr);
	child.stdin.on("error", () => {}); // a program need not read its input
	child.stdin.end(options.input);
	return new Promise((resolve) => {
		let timedOut = false;
		const timer = setTimeout(() => {
			timedOut = true;
			killGroup(child);
		}, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
		const settle = (exitCode: number, said = stderr()) => {
			clearTimeout(timer);
			resolve({ exitCode: timedOut ? EXIT_TIMEOUT : exitCode, stdout: stdout(), stderr: said });
		};
		child.on("error", (error) => settle(EXIT_MISSING, error.message));
		child.on("close", (code, signal) => settle(exitCodeOf(code, signal)));
	});
}

export function startProgram(argv: readonly [string, ...string[]], options: StartOptions = {}): StartedProgram {
	const { signal } = options;
	const child = spawnPiped(argv, options);
	const stderr = collect(child.stderr);
	child.stdin.on("error", () => {}); // a program need not read its input
	const kill = () => killGroup(child);
	signal?.addEventListener("abort", kill, { once: true });
	if (signal?.aborted === true) kill();
	const ended = new Promise<ProgramResult>((resolve) => {
		child.on("error", (error) => resolve({ exitCode: EXIT_MISSING, stdout: "", stderr: error.message }));
		child.on("exit", (code, killed) => {
			// What it started must not go on writing when it has ended.
			killGroup(child);
			child.once("close", () => resolve({ exitCode: exitCodeOf(code, killed), stdout: "", stderr: stderr() }));
		});
	}).finally(() => signal?.removeEventListener("abort", kill));
	return { stdin: child.stdin, stdout: child.stdout, ended };
}

function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
	return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

function spawnPiped([program, ...rest]: readonly [string, ...string[]], options: Omit<StartOptions, "signal">) {
	return spawn(program, rest, {
		stdio: ["pipe", "pipe", "pipe"],
		// A group of its own, so that ending it ends what it started as well.
		detached: true,
		...(options.environment === undefined ? {} : { env: { ...options.environment } }),
		...(options.workingDirectory === undefined ? {} : { cwd: options.workingDirectory }),
	});
}

function killGroup(child: ChildProcess): void {
	if (child.pid === undefined) return;
	try {
		process.kill(-child.pid, "SIGKILL");
	} catch {
		// Ended by itself meanwhile.
	}
}

/** Keeps the first part of a stream and reads the rest away, so that the writer never waits. */
function collect(stream: Readable): () => string {
	const parts: Buffer[] = [];
	let room = OUTPUT_LIMIT_BYTES;
	stream.on("data", (part: Buffer) => {
		if (room > 0) parts.push(part.subarray(0, room));
		room -= part.length;
	});
	return () => Buffer.concat(parts).toString("utf8");
}
