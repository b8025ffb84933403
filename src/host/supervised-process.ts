import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants as fsConstants, openSync, unlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
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

/** Starts the supervisor, hands it the instructions and resolves when the program runs, or could not be started. */
export async function supervise(spec: SupervisionSpec): Promise<Supervised> {
	const instructions = instructionBytes(spec, await networkTools(spec));
	const binary = await supervisorBinary();
	await using meeting = await openMeeting(spec);
	const [program, ...rest] = [...spec.wrapper, binary, meeting.path];
	const child = spawn(program ?? binary, rest, {
		// A session of its own: a terminal's Ctrl-C is for Vouch to interpret.
		detached: true,
		stdio: ["ignore", "ignore", "pipe"],
		cwd: "/",
		...(spec.wrapper.length === 0 ? { env: {} } : {}),
	});
	const said = collectSaid(child);
	const control = await meetSupervisor(meeting.server, child, [program, ...rest].join(" "), said);
	const streams = openStreams(meeting.path);
	return new Conversation(control, child, streams, said).begin(instructions);
}

async function networkTools(spec: SupervisionSpec): Promise<NetworkTools | null> {
	if (spec.network === null) return null;
	const [ip, nft] = await Promise.all([findProgram("ip"), findProgram("nft")]);
	if (ip === undefined) throw fail("network-tool-missing", { tool: "ip", package: "iproute2" });
	if (nft === undefined) throw fail("network-tool-missing", { tool: "nft", package: "nftables" });
	return { ip, nft };
}

interface Meeting extends AsyncDisposable {
	readonly path: string;
	readonly server: Server;
}

/** A socket that only this user can reach, gone again once the supervisor has come. */
async function openMeeting(spec: SupervisionSpec): Promise<Meeting> {
	const given = spec.network === null ? undefined : dirname(spec.network.gateSocket);
	const usable = given !== undefined && Buffer.byteLength(given) <= LONGEST_FOLDER_BYTES;
	const folder = usable ? given : await makePrivateFolder();
	const path = join(folder, `run-${randomBytes(6).toString("hex")}`);
	const server = createServer();
	server.listen(path);
	await once(server, "listening");
	return {
		path,
		server,
		async [Symbol.asyncDispose]() {
			server.close();
			await Promise.all(["", ".0", ".1", ".2"].map((suffix) => rm(path + suffix, { force: true })));
			if (!usable) await rm(folder, { recursive: true, force: true });
		},
	};
}

/** A folder of mode 0700, in the first place that takes one. */
async function makePrivateFolder(): Promise<string> {
	const places = [process.env.XDG_RUNTIME_DIR ?? "", tmpdir()];
	for (const place of places.filter((path) => path.startsWith("/") && path.length < LONGEST_FOLDER_BYTES - 20)) {
		try {
			return await mkdtemp(join(place, "vouch-"));
		} catch {
			// A session's own folder may be gone, or not ours: the next place then.
		}
	}
	return mkdtemp("/tmp/vouch-");
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
	readonly #control: Socket;
	readonly #child: ChildProcess;
	readonly #streams: Streams;
	readonly #said: () => string;
	readonly #listeners: ((event: SupervisorEvent) => void)[] = [];
	/** Events that came before anybody listened. */
	readonly #early: SupervisorEvent[] = [];
	readonly #started = Promise.withResolvers<number>();
	readonly #ended = Promise.withResolvers<Ending>();

	constructor(control: Socket, child: ChildProcess, streams: Streams, said: () => string) {
		this.#control = control;
		this.#child = child;
		this.#streams = streams;
		this.#said = said;
	}

	async begin(instructions: Uint8Array): Promise<Supervised> {
		const splitter = new LineSplitter();
		this.#control.on("error", () => {}); // seen as its close
		this.#control.on("data", (part: Buffer) => {
			for (const line of splitter.lines(part)) this.#hear(line);
		});
		this.#control.on("close", () => this.#settleUnreported());
		this.#control.write(instructions);
		const programPid = await this.#started.promise;
		return {
			...this.#streams,
			supervisorPid: this.#child.pid ?? 0,
			programPid,
			signal: (name) => this.#say(`signal ${constants.signals[name]}`),
			kill: () => this.#say("kill"),
			onEvent: (listener) => this.#listen(listener),
			ended: this.#ended.promise,
		};
	}

	#say(command: string): void {
		if (this.#control.writable) this.#control.write(`${command}\n`);
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
			this.#control.destroy();
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
				this.#control.end();
		}
	}

	/** The supervisor itself was killed or crashed; nothing to do when its ending had been heard. */
	#settleUnreported(): void {
		this.#started.resolve(0);
		this.#ended.resolve({
			exitCode: null,
			signal: "SIGKILL",
			cause: "killed",
			message: `The supervisor ended without a report. ${this.#said()}`.trim(),
			counters: null,
		});
	}
}
