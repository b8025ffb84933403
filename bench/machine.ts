import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { runProgram } from "./measure.ts";

/** What a number depends on, and nothing that names the machine or its owner. */
export interface Machine {
	readonly cores: number;
	readonly processor: string;
	readonly memoryMiB: number;
	readonly kernel: string;
	readonly system: string;
	readonly versions: Readonly<Record<string, string>>;
}

const VERSION_OF: Readonly<Record<string, readonly [string, ...string[]]>> = {
	bwrap: ["bwrap", "--version"],
	podman: ["podman", "--version"],
	crun: ["crun", "--version"],
	git: ["git", "--version"],
	tinyproxy: ["tinyproxy", "-v"],
	squid: ["squid", "-v"],
};

export async function describeMachine(programs: readonly string[]): Promise<Machine> {
	const versions: Record<string, string> = { node: process.versions.node };
	for (const program of programs) {
		const argv = VERSION_OF[program];
		if (argv === undefined) continue;
		const { stdout } = await runProgram(argv).catch(() => ({ stdout: "" }));
		versions[program] = /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? "absent";
	}
	return {
		cores: availableParallelism(),
		processor: cpus()[0]?.model ?? "unknown",
		memoryMiB: Math.round(totalmem() / 2 ** 20),
		kernel: release(),
		system: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown",
		versions,
	};
}
