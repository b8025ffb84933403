import type { Host, StartedProgram, StartOptions } from "../../../host/index.ts";
import { fail } from "./failures.ts";

/** A program and the Debian package that has it. */
const PACKAGES = {
	"apt-get": "apt",
	"apt-cache": "apt",
	"apt-config": "apt",
	"/usr/lib/apt/apt-helper": "apt",
	"dpkg-deb": "dpkg",
	xz: "xz-utils",
} as const;
export type Program = keyof typeof PACKAGES;

/** Throws VouchError `kernel-program-missing`. */
export async function pathOfProgram(host: Host, program: Program): Promise<string> {
	const path = await host.findProgram(program);
	if (path === undefined) throw fail("kernel-program-missing", { program, package: PACKAGES[program] });
	return path;
}

export interface Finished {
	readonly exitCode: number;
	readonly stdout: Buffer;
	readonly stderr: string;
}

/** Runs a program to its end with all of its output, of which more than `limitBytes` is an error; the signal ends it. */
export async function runToEnd(
	host: Host,
	argv: readonly [string, ...string[]],
	options: StartOptions & { readonly input?: Uint8Array; readonly limitBytes: number },
): Promise<Finished> {
	const { input, limitBytes, ...rest } = options;
	const program: StartedProgram = host.start(argv, rest);
	program.stdin.end(input ?? "");
	const chunks: Buffer[] = [];
	let length = 0;
	for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
		length += chunk.length;
		// The rest is read away, so that the program ends.
		if (length <= limitBytes) chunks.push(chunk);
	}
	const { exitCode, stderr } = await program.ended;
	options.signal?.throwIfAborted();
	if (length > limitBytes) throw new RangeError(`${argv[0]} wrote more than ${limitBytes} bytes`);
	return { exitCode, stdout: Buffer.concat(chunks), stderr };
}
