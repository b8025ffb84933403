import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Ending, NetworkSpec, Supervised, SupervisionSpec, SupervisorEvent } from "./host.ts";
import { realHost } from "./real-host.ts";

/** Parts that the tests of this folder share: a plain spec, the network of a gated run, and a gate that records. */
export function specOf(argv: readonly [string, ...string[]], changes: Partial<SupervisionSpec> = {}): SupervisionSpec {
	return {
		wrapper: [],
		controlGroups: [],
		resourceLimits: [],
		privateMounts: null,
		network: null,
		descriptors: [],
		argv,
		environment: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" },
		workingDirectory: "/",
		signalTarget: "program",
		diskWriteBytes: null,
		afterwards: [],
		...changes,
	};
}

export const bash = (script: string): readonly [string, ...string[]] => ["/bin/bash", "-c", script];

export interface Outcome extends Ending {
	readonly stdout: string;
	readonly stderr: string;
	readonly events: readonly SupervisorEvent[];
	readonly programPid: number;
	readonly supervisorPid: number;
}

/** Runs a spec to its end with all its output. */
export async function runToEnd(
	spec: SupervisionSpec,
	during: (run: Supervised) => void = (run) => run.stdin.end(),
): Promise<Outcome> {
	const run = await realHost().supervise(spec);
	const events: SupervisorEvent[] = [];
	run.onEvent((event) => events.push(event));
	during(run);
	const [stdout, stderr, ending] = await Promise.all([textOf(run.stdout), textOf(run.stderr), run.ended]);
	return { ...ending, stdout, stderr, events, programPid: run.programPid, supervisorPid: run.supervisorPid };
}

/** All of a stream, by its events: another listener on `data` in the same turn misses nothing. */
export function textOf(stream: Readable): Promise<string> {
	const parts: Buffer[] = [];
	return new Promise((resolve, reject) => {
		stream.on("data", (part: Buffer) => parts.push(part));
		stream.on("error", reject);
		stream.on("close", () => resolve(Buffer.concat(parts).toString("utf8")));
	});
}

/** Text that `ip -batch` and `nft -f` read: the shape that the egress folder plans. */
export function networkOf(gateSocket: string, changes: Partial<NetworkSpec> = {}): NetworkSpec {
	return {
		gateCommands: `link set lo up
link add gate0 address 02:00:00:00:00:01 type veth peer name eth0 address 02:00:00:00:00:02 netns @SANDBOX_PID@
address add 10.0.2.1/24 dev gate0
address add fd00:766f::1/64 dev gate0 nodad
link set gate0 up
neighbour replace 10.0.2.2 lladdr 02:00:00:00:00:02 dev gate0 nud permanent
neighbour replace fd00:766f::2 lladdr 02:00:00:00:00:02 dev gate0 nud permanent
route add local 0.0.0.0/0 dev lo table main
route add local ::/0 dev lo table main
`,
		sandboxCommands: `link set lo up
address add 10.0.2.2/24 dev eth0
address add fd00:766f::2/64 dev eth0 nodad
link set eth0 up
neighbour replace 10.0.2.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
neighbour replace fd00:766f::1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
route add default via 10.0.2.1 dev eth0
route add default via fd00:766f::1 dev eth0
`,
		firewall: `table inet vouch {
	chain capture {
		type nat hook prerouting priority dstnat;
		iifname "gate0" meta l4proto tcp redirect to :15001
	}
}
`,
		redirectPort: 15001,
		resolverAddress: "10.0.2.1",
		gateInterface: "gate0",
		sandboxInterface: "eth0",
		loopbackListeners: [],
		gateSocket,
		maxConnections: 64,
		...changes,
	};
}

export interface RecordingGate extends AsyncDisposable {
	readonly path: string;
	/** Header lines in the order they came. */
	readonly headers: string[];
}

/** A gate that reads each stream's header line and leaves the rest to `serve`. */
export async function recordingGate(serve: (socket: Socket, header: string) => void): Promise<RecordingGate> {
	const folder = await mkdtemp(join(tmpdir(), "vouch-test-"));
	const path = join(folder, "gate");
	const headers: string[] = [];
	const open = new Set<Socket>();
	const server = createServer({ allowHalfOpen: true }, (socket) => {
		open.add(socket);
		socket.on("error", () => {});
		socket.on("close", () => open.delete(socket));
		readHeader(socket, (header) => {
			headers.push(header);
			serve(socket, header);
		});
	});
	await new Promise<void>((resolve) => server.listen(path, resolve));
	return {
		path,
		headers,
		async [Symbol.asyncDispose]() {
			for (const socket of open) socket.destroy();
			server.close();
			await rm(folder, { recursive: true, force: true });
		},
	};
}

function readHeader(socket: Socket, found: (header: string) => void): void {
	let seen = Buffer.alloc(0);
	const take = () => {
		const part: Buffer | null = socket.read();
		if (part === null) return;
		seen = Buffer.concat([seen, part]);
		const end = seen.indexOf(10);
		if (end < 0) return;
		socket.off("readable", take);
		if (end + 1 < seen.length) socket.unshift(seen.subarray(end + 1));
		found(seen.toString("latin1", 0, end));
	};
	socket.on("readable", take);
}

/** Process ids whose command line holds `mark`. */
export async function processesWith(mark: string): Promise<string[]> {
	const found = await realHost().run(["pgrep", "-f", "--", mark]);
	return found.stdout.split("\n").filter((line) => line !== "");
}

/** Waits until `holds` does, at most a minute, however loaded the machine is; whether it did. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<boolean> {
	for (let attempt = 0; attempt < 3000; attempt++) {
		if (await holds()) return true;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
	return false;
}

/** What a test that needs more than this machine grants prints as its reason, or false to run it. */
export const needsRoot =
	process.geteuid?.() === 0 ? false : "needs root: it makes network namespaces or control groups";
