import { type ChildProcess, spawn } from "node:child_process";
import { constants as fsConstants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable } from "node:stream";
import type { ProgramResult, RunOptions } from "./host.ts";

const OUTPUT_LIMIT_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;
const EXIT_TIMEOUT = 124;
const EXIT_MISSING = 127;

/** Folders of system programs that an ordinary user's PATH often lacks. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];

export async function findProgram(name: string): Promise<string | undefined> {
	if (name.includes("/")) return (await isProgram(name)) ? name : undefined;
	const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
	for (const folder of [...folders, ...SYSTEM_FOLDERS]) {
		const path = join(folder, name);
		if (await isProgram(path)) return path;
	}
	return undefined;
}

async function isProgram(path: string): Promise<boolean> {
	try {
		await access(path, fsConstants.X_OK);
		return (await stat(path)).isFile();
	} catch {
		return false;
	}
}

export function runProgram(argv: readonly [string, ...string[]], options: RunOptions = {}): Promise<ProgramResult> {
	const [program, ...rest] = argv;
	const child = spawn(program, rest, {
		stdio: ["pipe", "pipe", "pipe"],
		// A group of its own, so that a time-out ends what it started as well.
		detached: true,
		...(options.environment === undefined ? {} : { env: { ...options.environment } }),
		...(options.workingDirectory === undefined ? {} : { cwd: options.workingDirectory }),
	});
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
		child.on("close", (code, signal) => settle(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
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
