import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants as fsConstants, mkdtempSync, openSync, rmSync, unlinkSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fail } from "./failures.ts";
import type { Ending, Supervised, SupervisionSpec, SupervisorEvent } from "./host.ts";
import { instructionBytes, type NetworkTools } from "./instruction-records.ts";
import { findProgram } from "./program-run.ts";
import { supervisorBinary } from "./supervisor-binary.ts";
import { LineSplitter, type Report, readReport } from "./supervisor-report.ts";

const CONNECT_TIMEOUT_MS = 30_000;
/** sun_path of unix(7) holds 108 bytes with its NUL; the rest is our socket's own name. */
const LONGEST_FOLDER_BYTES = 80;
const SAID_LIMIT_BYTES = 4096;

/** The supervisors of one process's runs. Starting one takes time that a run can spare while it is still being decided. */
export class Supervisors {
	#early: Promise<Supervisor> | undefined;

	/** Starts one for a run that will come soon. It knows nothing of it yet; when no run comes, it ends with this process. */
	expectRun(): void {
		this.#early ??= startSupervisor([], undefined);
		// Whoever supervises a run with it gets its failure.
		this.#early.catch(() => {});
	}

	/** Hands a supervisor the instructions; resolves when the program runs, or could not be started. */
	async supervise(spec: SupervisionSpec, go?: Promise<unknown>): Promise<Supervised> {
		// It may reject before anybody waits for it.
		go?.catch(() => {});
		const start = go === undefined ? "at-once" : "held";
		const instructions = instructionBytes(spec, await networkTools(spec), start);
		const supervisor = (await this.#takeEarly(spec)) ?? (await startSupervisor(spec.wrapper, spec.network?.gateSocket));
		return new Conversation(supervisor).begin(instructions, go);
	}

	async #takeEarly({ wrapper }: SupervisionSpec): Promise<Supervisor | undefined> {
		const early = this.#early;
		if (early === undefined || wrapper.length > 0) return undefined;
		this.#early = undefined;
		const supervisor = await early;
		const isThere = supervisor.child.exitCode === null && supervisor.child.signalCode === null;
		return isThere ? supervisor : undefined;
	}
}

/** One that has come to the meeting place and waits for its instructions. */
interface Supervisor {
	readonly child: ChildProcess;
	readonly control: Socket;
	readonly streams: Streams;
	readonly said: () => string;
}

/** @param gateSocket beside which they meet, if its path is short enough */
async function startSupervisor(wrapper: readonly string[], gateSocket: string | undefined): Promise<Supervisor> {
	const known = supervisorBinary();
	const binary = typeof known === "string" ? known : await known;
	using meeting = openMeeting(gateSocket);
	const [program, ...rest] = [...wrapper, binary, meeting.path];
	const child = spawn(program ?? binary, rest, {
		// A session of its own: a terminal's Ctrl-C is for Vouch to interpret.
		detached: true,
		stdio: ["ignore", "ignore", "pipe"],
		cwd: "/",
		...(wrapper.length === 0 ? { env: {} } : {}),
	});
	const said = collectSaid(child);
	const control = await meetSupervisor(meeting.server, child, [program, ...rest].join(" "), said);
	const supervisor = { child, control, streams: openStreams(meeting.path), said };
	// Waiting for a run must not keep this process from ending.
	for (const handle of handlesOf(supervisor)) handle.unref();
	return supervisor;
}

function handlesOf({ child, control }: Supervisor): readonly { ref(): void; unref(): void }[] {
	return [child, control, ...(child.stderr instanceof Socket ? [child.stderr] : [])];
}

async function networkTools(spec: SupervisionSpec): Promise<NetworkTools | null> {
	if (spec.network === null) return null;
	const [ip, nft] = await Promise.all([findProgram("ip"), findProgram("nft")]);
	if (ip === undefined) throw fail("network-tool-missing", { tool: "ip", package: "iproute2" });
	if (nft === undefined) throw fail("network-tool-missing", { tool: "nft", package: "nftables" });
	return { ip, nft };
}

interface Meeting extends Disposable {
	readonly path: string;
	readonly server: Server;
}

/** A socket that only this user can reach, gone again once the supervisor has come. */
function openMeeting(gateSocket: string | undefined): Meeting {
	const given = gateSocket === undefined ? undefined : dirname(gateSocket);
	const usable = given !== undefined && Buffer.byteLength(given) <= LONGEST_FOLDER_BYTES;
	const folder = usable ? given : makePrivateFolder();
	const path = join(folder, `run-${randomBytes(6).toString("hex")}`);
	// It listens when this returns, and says so later.
	const server = createServer().listen(path);
	const clearAway = (): void => {
		for (const suffix of ["", ".0", ".1", ".2"]) rmSync(path + suffix, { force: true });
		if (!usable) rmSync(folder, { recursive: true, force: true });
	};
	// A run that is refused ends this process while its supervisor is still on the way. If it is killed, the supervisor does it.
	process.once("exit", clearAway);
	return {
		path,
		server,
		[Symbol.dispose]() {
			process.off("exit", clearAway);
			server.close();
			clearAway();
		},
	};
}

/** A folder of mode 0700, in the first place that takes one. */
function makePrivateFolder(): string {
	const places = [process.env.XDG_RUNTIME_DIR ?? "", tmpdir()];
	for (const place of places.filter((path) => path.startsWith("/") && path.length < LONGEST_FOLDER_BYTES - 20)) {
		try {
			return mkdtempSync(join(place, "vouch-"));
		} catch {
			// A session's own folder may be gone, or not ours: the next place then.
		}
	}
	return mkdtempSync("/tmp/vouch-");
}

function collectSaid(child: ChildProcess): () => string {
	let said = "";
	child.stderr?.on("data", (part: Buffer) => {
		if (said.length < SAID_LIMIT_BYTES) said += part.toString("utf8");
	});
	return () => said.trim().slice(0, SAID_LIMIT_BYTES);
}

/** The supervisor's connection. It made three named pipes beside the socket before it came. */
async function meetSupervisor(
	server: Server,
	child: ChildProcess,
	command: string,
	said: () => string,
): Promise<Socket> {
	const abort = new AbortController();
	const timer = setTimeout(
		() => abort.abort(new Error(`nothing heard in ${CONNECT_TIMEOUT_MS} ms.`)),
		CONNECT_TIMEOUT_MS,
	);
	child.once("error", (error) => abort.abort(error));
	child.once("close", (code) => abort.abort(new Error(said() || `it ended with exit code ${code}.`)));
	try {
		const [control]: Socket[] = await once(server, "connection", { signal: abort.signal });
		if (control === undefined) throw new Error("its connection was lost.");
		return control;
	} catch (error) {
		child.kill("SIGKILL");
		const cause: unknown = abort.signal.aborted ? abort.signal.reason : error;
		const reason = cause instanceof Error ? cause.message : String(cause);
		throw fail("supervisor-lost", { command, reason }, cause);
	} finally {
		clearTimeout(timer);
	}
}

interface Streams {
	readonly stdin: Socket;
	readonly stdout: Socket;
	readonly stderr: Socket;
}

/** Our ends of the program's standard streams; once they are open their names can go. */
function openStreams(path: string): Streams {
	const open = (suffix: string, flags: number) => {
		const fd = openSync(path + suffix, flags | fsConstants.O_NONBLOCK);
		unlinkSync(path + suffix);
		return fd;
	};
	// Read from only when somebody does: an end that was met before anybody listened would be told to nobody. `net`
	// knows this option from standard input, and its types do not.
	const output = { readable: true, writable: false, manualStart: true };
	const stdin = new Socket({ fd: open(".0", fsConstants.O_WRONLY), readable: false, writable: true });
	const stdout = new Socket({ ...output, fd: open(".1", fsConstants.O_RDONLY) });
	const stderr = new Socket({ ...output, fd: open(".2", fsConstants.O_RDONLY) });
	// A program need not read its input; whoever writes it sees the stream close.
	stdin.on("error", () => {});
	return { stdin, stdout, stderr };
}

/** The lines that go back and forth with one supervisor, as a `Supervised`. */
class Conversation {
	readonly #supervisor: Supervisor;
	readonly #listeners: ((event: SupervisorEvent) => void)[] = [];
	/** Events that came before anybody listened. */
	readonly #early: SupervisorEvent[] = [];
	readonly #started = Promise.withResolvers<number>();
	readonly #ended = Promise.withResolvers<Ending>();

	constructor(supervisor: Supervisor) {
		this.#supervisor = supervisor;
	}

	async begin(instructions: Uint8Array, go: Promise<unknown> | undefined): Promise<Supervised> {
		const splitter = new LineSplitter();
		const { child, control, streams } = this.#supervisor;
		for (const handle of handlesOf(this.#supervisor)) handle.ref();
		control.on("error", () => {}); // seen as its close
		control.on("data", (part: Buffer) => {
			for (const line of splitter.lines(part)) this.#hear(line);
		});
		control.on("close", () => this.#settleUnreported());
		control.write(instructions);
		await this.#letGo(go);
		const programPid = await this.#started.promise;
		return {
			...streams,
			supervisorPid: child.pid ?? 0,
			programPid,
			signal: (name) => this.#say(`signal ${constants.signals[name]}`),
			resize: ({ rows, columns }) => this.#say(`resize ${rows} ${columns}`),
			watchDisk: (bytes) => this.#say(`watch-disk ${Math.floor(bytes)}`),
			kill: () => this.#say("kill"),
			onEvent: (listener) => this.#listen(listener),
			ended: this.#ended.promise,
		};
	}

	async #letGo(go: Promise<unknown> | undefined): Promise<void> {
		if (go === undefined) return;
		try {
			await go;
			this.#say("go");
		} catch (error) {
			this.#say("kill");
			await this.#ended.promise;
			throw error;
		}
	}

	#say(command: string): void {
		const { control } = this.#supervisor;
		if (control.writable) control.write(`${command}\n`);
	}

	#listen(listener: (event: SupervisorEvent) => void): void {
		this.#listeners.push(listener);
		for (const event of this.#early.splice(0)) listener(event);
	}

	#hear(line: string): void {
		let report: Report;
		try {
			report = readReport(line);
		} catch {
			// Not our supervisor any more: without this connection it ends the run, and so it counts as killed.
			this.#supervisor.control.destroy();
			return;
		}
		switch (report.kind) {
			case "started":
				this.#started.resolve(report.programPid);
				return;
			case "event":
				if (this.#listeners.length === 0) this.#early.push(report.event);
				for (const listener of this.#listeners) listener(report.event);
				return;
			case "ended":
				this.#started.resolve(0);
				this.#ended.resolve(report.ending);
				this.#supervisor.control.end();
		}
	}

	/** The supervisor itself was killed or crashed; nothing to do when its ending had been heard. */
	#settleUnreported(): void {
		this.#started.resolve(0);
		this.#ended.resolve({
			exitCode: null,
			signal: "SIGKILL",
			cause: "killed",
			message: `The supervisor ended without a report. ${this.#supervisor.said()}`.trim(),
			counters: null,
		});
	}
}
