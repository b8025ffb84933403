import type { Readable, Writable } from "node:stream";

/**
 * The machine as plans and drivers see it. `realHost()` is the one that touches it; `fakeHost()` answers from a script.
 */
export interface Host {
	/** Runs a short program to its end. Never through a shell; output is capped at 1 MiB. */
	run(argv: readonly [string, ...string[]], options?: RunOptions): Promise<ProgramResult>;
	/** Starts a program whose input and output are streams, for as long as it takes. Never through a shell. */
	start(argv: readonly [string, ...string[]], options?: StartOptions): StartedProgram;
	/** Absolute path of a program on PATH (and the sbin folders), or undefined. */
	findProgram(name: string): Promise<string | undefined>;
	/** Text of a small file such as those below /proc and /sys, or undefined when it can't be read. At most 1 MiB. */
	readText(path: string): Promise<string | undefined>;
	exists(path: string): Promise<boolean>;
	/** The entries of a folder, sorted by name and not followed; none when it can't be read. */
	listFolder(path: string): Promise<readonly FolderEntry[]>;
	/** Whether this process may write there, by access(2). */
	isWritable(path: string): Promise<boolean>;
	/** User id of the owner, symbolic links followed, or undefined when it isn't there. */
	ownerOf(path: string): Promise<number | undefined>;
	/** Real and effective ids of this process. */
	readonly userId: number;
	readonly groupId: number;
	/** Makes ready for a run that will come soon: `supervise` is then faster. Costs nothing that lasts when none comes. */
	expectRun(): void;
	/**
	 * Starts a supervised process: everything of it ends when the run ends or this process dies.
	 * @param go all is made ready meanwhile, and the program runs once this has resolved; when it rejects, never
	 */
	supervise(spec: SupervisionSpec, go?: Promise<unknown>): Promise<Supervised>;
}

export interface FolderEntry {
	readonly name: string;
	readonly kind: "directory" | "file" | "link" | "other";
	/** What a link says; empty for the rest. */
	readonly target: string;
}

export interface RunOptions {
	readonly input?: string | Uint8Array;
	/** Default 60 000: on a busy machine a short program takes seconds, and one that is only slow must not count as unable. */
	readonly timeoutMs?: number;
	readonly environment?: Readonly<Record<string, string>>;
	readonly workingDirectory?: string;
}

export interface StartOptions {
	/** Ends the program and all that it started. */
	readonly signal?: AbortSignal | undefined;
	readonly environment?: Readonly<Record<string, string>>;
	readonly workingDirectory?: string;
}

export interface StartedProgram {
	/** A program need not read it: what is written after its end is lost without an error. */
	readonly stdin: Writable;
	/** Must be read or resumed. */
	readonly stdout: Readable;
	/** Its end; `stdout` of the result is empty, `stderr` capped at 1 MiB. Settles when nothing of it runs; never rejects. */
	readonly ended: Promise<ProgramResult>;
}

export interface ProgramResult {
	/** 128 + N when a signal ended it, 124 on timeout, 127 when it isn't there. */
	readonly exitCode: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** Exactly what the supervisor does, in this order. Data only: it is part of the launch plan. */
export interface SupervisionSpec {
	/** Wraps the supervisor itself, e.g. `podman unshare`; empty for none. */
	readonly wrapper: readonly string[];
	/** Control groups: created, given `files`, joined before exec, killed and removed at the end. */
	readonly controlGroups: readonly ControlGroup[];
	/** setrlimit(2) names without RLIMIT_, e.g. NOFILE; soft and hard alike. A lower one that already binds is kept. */
	readonly resourceLimits: readonly { readonly name: string; readonly value: number }[];
	/** A private mount namespace with these paths unmounted; null leaves the host's. */
	readonly privateMounts: { readonly unmount: readonly string[] } | null;
	/** The two network namespaces of a gated run; null leaves the host's network. */
	readonly network: NetworkSpec | null;
	/**
	 * Descriptor on which the program itself waits for one byte before it runs what it was told to, as bwrap does. It is then
	 * started while the network is still being made; without one, afterwards.
	 */
	readonly startDescriptor?: number;
	/**
	 * A terminal for what the program starts: `/proc/self/fd/DESCRIPTOR --terminal DESCRIPTOR COMMAND` makes it where it is run,
	 * and becomes COMMAND. The descriptor after it is taken too. What is written to it is the standard output.
	 */
	readonly terminal?: { readonly descriptor: number; readonly size: WindowSize };
	/** Bytes given to the program as an open read-only descriptor. One that is `argv[0]` itself is closed when it starts. */
	readonly descriptors: readonly { readonly fd: number; readonly bytes: Uint8Array }[];
	readonly argv: readonly [string, ...string[]];
	/** The program's whole environment. */
	readonly environment: Readonly<Record<string, string>>;
	readonly workingDirectory: string;
	/** Whether a signal goes to the program itself (podman passes it on) or to what runs inside it (bwrap does not). */
	readonly signalTarget: "program" | "descendants";
	/** Bytes written to disks (/proc/PID/io write_bytes over the run's processes) past which all is killed. */
	readonly diskWriteBytes: number | null;
	/** Commands run by the supervisor after the end, whatever ended it, e.g. `podman rm`. */
	readonly afterwards: readonly (readonly [string, ...string[]])[];
}

export interface WindowSize {
	readonly rows: number;
	readonly columns: number;
}

export interface ControlGroup {
	/** Absolute directory; its parent exists or is made. */
	readonly path: string;
	/** Written in order, e.g. `memory.max`. */
	readonly files: readonly { readonly name: string; readonly value: string }[];
}

/**
 * Two namespaces joined by a veth pair: the workload sits in the sandbox one, whose only way out is the gate one, which
 * has no way out at all. Every TCP connection that arrives in the gate namespace is carried over `gateSocket`.
 */
export interface NetworkSpec {
	/** `ip -batch` text run in the gate namespace. `@SANDBOX_PID@` stands for a process in the sandbox namespace. */
	readonly gateCommands: string;
	/** `ip -batch` text run in the sandbox namespace. */
	readonly sandboxCommands: string;
	/** `nft -f` text run in the gate namespace. */
	readonly firewall: string;
	/** Port in the gate namespace that the firewall redirects TCP to. */
	readonly redirectPort: number;
	/** Address in the gate namespace where UDP port 53 is answered. */
	readonly resolverAddress: string;
	readonly gateInterface: string;
	readonly sandboxInterface: string;
	/** `address:port` listeners inside the sandbox namespace, for allowed loopback destinations. */
	readonly loopbackListeners: readonly { readonly address: string; readonly port: number }[];
	/** Unix socket on which the gate accepts carried connections. */
	readonly gateSocket: string;
	/** Carried connections at once; more are closed and counted. */
	readonly maxConnections: number;
}

export interface Supervised {
	readonly stdin: Writable;
	readonly stdout: Readable;
	readonly stderr: Readable;
	/** Process id of the supervisor, and a process id inside the sandbox's namespaces. */
	readonly supervisorPid: number;
	readonly programPid: number;
	/** Sends a signal as `signalTarget` says. */
	signal(name: NodeJS.Signals): void;
	/** Of a run with a terminal: its size from now on. */
	resize(size: WindowSize): void;
	/** From now on it is killed once its processes have written so many bytes more to disks. */
	watchDisk(bytes: number): void;
	/** Kills everything at once. */
	kill(): void;
	/** What the supervisor reports while it runs: connections that ended, datagrams that were refused. */
	onEvent(listener: (event: SupervisorEvent) => void): void;
	/** Settles when the program has ended and nothing of it is left. */
	readonly ended: Promise<Ending>;
}

export type SupervisorEvent =
	| { readonly event: "connection"; readonly id: number; readonly received: number; readonly sent: number }
	| {
			/** Told at first sight of a flow; the rest of it is told once more at the end: add them up. */
			readonly event: "datagram";
			/**
			 * IP protocol number, or the EtherType plus 65536 for what isn't IP. 255 stands for all flows beyond the
			 * first 256, and, with 0 bytes, for frames that came too fast to be looked at.
			 */
			readonly protocol: number;
			readonly source: string;
			readonly destination: string;
			readonly port: number;
			readonly bytes: number;
			readonly packets: number;
	  };

export interface Ending {
	readonly exitCode: number | null;
	readonly signal: NodeJS.Signals | null;
	/** What the supervisor itself ended it for. */
	readonly cause: "program" | "killed" | "disk-write-limit" | "out-of-memory" | "failed-to-start" | "guest-failed";
	/** Set with `guest-failed`: what the machine, not the workload, did wrong. */
	readonly reason?: "verity" | "boot-timeout" | "guest-stalled" | "guest-protocol" | "guest-lost";
	/** What a person should know of the ending besides: changes that were not brought back, conflicts. */
	readonly notes?: readonly string[];
	/** Set with `failed-to-start` and `guest-failed`, and when something could not be ended: one sentence. */
	readonly message: string | null;
	/** Counters of `sandboxInterface` just before it went, or of a guest's one channel; null without a network. */
	readonly counters: InterfaceCounters | null;
}

export interface InterfaceCounters {
	readonly txBytes: number;
	readonly txPackets: number;
	readonly rxBytes: number;
	readonly rxPackets: number;
	/**
	 * Upper bound of the payload that no connection counts: what the kernel sent again (RetransSegs times the MTU), and
	 * what met a connection that the gate had already reset (OutRsts times the largest segment).
	 */
	readonly retransmittedBytes: number;
}
