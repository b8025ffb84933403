import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

export const program = join(import.meta.dirname, "../../bin/vouch");

export interface Ended {
	/** Exit code, or 128 + N as a shell shows a signal. */
	readonly code: number;
	readonly stdout: Buffer;
	readonly stderr: string;
}

export interface Going {
	readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
	readonly ended: Promise<Ended>;
	/** Resolves when stdout or stderr has shown this text. */
	shows(text: string): Promise<void>;
}

export interface Setting {
	/** All of stdin; null leaves it open for the test to write. */
	readonly input?: string | Buffer | null;
	readonly environment?: Readonly<Record<string, string>>;
	readonly directory?: string;
	/** Another user's id, whom only root can start it as. */
	readonly user?: number;
	/** A terminal of 100 columns around it, by script(1); stdout is then what the terminal shows. */
	readonly screen?: "terminal";
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGABRT: 6, SIGKILL: 9, SIGTERM: 15 };

/** Vouch as a person has it who never had it before: through bin/vouch, with a home and a workspace of its own. */
export class FrontDoor {
	readonly directory = realpathSync(mkdtempSync(join(tmpdir(), "vouch-door-")));
	readonly workspace = join(this.directory, "workspace");
	readonly data = join(this.directory, "data/vouch");
	readonly runtime = join(this.directory, "runtime/vouch");
	readonly environment: NodeJS.ProcessEnv = {
		PATH: process.env.PATH,
		HOME: join(this.directory, "home"),
		XDG_DATA_HOME: join(this.directory, "data"),
		XDG_CACHE_HOME: join(this.directory, "cache"),
		XDG_RUNTIME_DIR: join(this.directory, "runtime"),
		TERM: "xterm",
	};
	readonly #started: Going[] = [];

	constructor() {
		for (const name of ["home", "runtime", "workspace"]) mkdirSync(join(this.directory, name), { mode: 0o700 });
	}

	start(args: readonly string[], setting: Setting = {}): Going {
		const { input = "", environment = {}, directory = this.workspace, screen, user } = setting;
		const [file, ...rest] = screen === "terminal" ? onTerminal([program, ...args]) : [program, ...args];
		const child = spawn(file, rest, {
			cwd: directory,
			env: { ...this.environment, ...environment },
			stdio: ["pipe", "pipe", "pipe"],
			...(user === undefined ? {} : { uid: user, gid: user }),
		});
		child.stdin.on("error", () => {});
		if (input !== null) child.stdin.end(input);
		const going: Going = {
			process: child,
			ended: endOf(child),
			shows: (text) => shown(child, text),
		};
		this.#started.push(going);
		return going;
	}

	run(args: readonly string[], setting?: Setting): Promise<Ended> {
		return this.start(args, setting).ended;
	}

	/** Runs and expects success; what it printed, parsed. */
	async json<T>(...args: readonly string[]): Promise<T> {
		const { code, stdout, stderr } = await this.run([...args, "--json"]);
		assert.equal(code, 0, stderr);
		return JSON.parse(stdout.toString());
	}

	/** Names of private folders of live runs: none are left after a run. */
	liveFolders(): readonly string[] {
		try {
			return readdirSync(this.runtime);
		} catch {
			return [];
		}
	}

	/** Kills what still runs and removes everything. */
	async close(): Promise<void> {
		for (const { process: child } of this.#started) if (child.exitCode === null) child.kill("SIGKILL");
		await Promise.all(this.#started.map(({ ended }) => ended));
		rmSync(this.directory, { recursive: true, force: true });
	}
}

function onTerminal(argv: readonly string[]): readonly [string, ...string[]] {
	return ["script", "--quiet", "--return", "--command", `stty cols 100; exec ${argv.join(" ")}`, "/dev/null"];
}

function endOf(child: Going["process"]): Promise<Ended> {
	const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
		const chunks: Buffer[] = [];
		stream.on("data", (chunk: Buffer) => chunks.push(chunk));
		return chunks;
	});
	return new Promise((resolve, reject) => {
		child.once("error", reject);
		child.once("close", (code, signal) =>
			resolve({
				code: code ?? 128 + (SIGNAL_NUMBERS[signal ?? ""] ?? 0),
				stdout: Buffer.concat(stdout ?? []),
				stderr: Buffer.concat(stderr ?? []).toString(),
			}),
		);
	});
}

function shown(child: Going["process"], text: string): Promise<void> {
	return new Promise((resolve, reject) => {
		let seen = "";
		const look = (chunk: Buffer): void => {
			seen += chunk.toString();
			if (seen.includes(text)) resolve();
		};
		child.stdout.on("data", look);
		child.stderr.on("data", look);
		child.once("close", () => reject(new Error(`it ended without showing ${JSON.stringify(text)}: ${seen}`)));
	});
}

/** Process ids whose command line holds this text. */
export function processesWith(text: string): readonly number[] {
	return readdirSync("/proc").flatMap((name) => {
		if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
		return commandLineOf(name).includes(text) ? [Number(name)] : [];
	});
}

function commandLineOf(pid: string): string {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
	} catch {
		return "";
	}
}

/** However loaded the machine is: what takes longer never comes. */
const PATIENT_MS = 60_000;

/** Waits until it holds; fails with what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
	const end = Date.now() + PATIENT_MS;
	while (!(await holds())) {
		if (Date.now() > end) assert.fail(`not within ${PATIENT_MS} ms: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 25));
	}
}

/** Every file below a folder. */
export function filesBelow(directory: string): readonly string[] {
	return readdirSync(directory, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => join(entry.parentPath, entry.name));
}
