import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The real registry of Debian's package docker-registry, on a free port of this machine's loopback. */
export interface RealRegistry {
	readonly port: number;
	readonly directory: string;
	stop(): Promise<void>;
}

const PROGRAM = "/usr/bin/docker-registry";
const START_MS = 15_000;

export function registryMissing(): string | false {
	return existsSync(PROGRAM) ? false : "docker-registry is not installed: apt-get install docker-registry";
}

export async function startRegistry(
	directory: string,
	extra: Readonly<Record<string, unknown>> = {},
): Promise<RealRegistry> {
	await mkdir(directory, { recursive: true });
	const settings = {
		version: 0.1,
		log: { level: "info", accesslog: { disabled: true } },
		storage: { filesystem: { rootdirectory: join(directory, "data") } },
		http: { addr: "127.0.0.1:0" },
		...extra,
	};
	// JSON is YAML.
	await writeFile(join(directory, "config.yml"), JSON.stringify(settings));
	const child = spawn(PROGRAM, ["serve", join(directory, "config.yml")], { stdio: ["ignore", "ignore", "pipe"] });
	const port = await portOf(child);
	const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
	return {
		port,
		directory,
		stop: async () => {
			child.kill("SIGKILL");
			await ended;
		},
	};
}

function portOf(child: ChildProcess): Promise<number> {
	return new Promise((resolve, reject) => {
		let said = "";
		const give = (reason: string) => reject(new Error(`docker-registry ${reason}: ${said.slice(-500)}`));
		const timer = setTimeout(() => give("does not start"), START_MS);
		const onExit = () => give("ended");
		child.once("exit", onExit);
		child.once("error", reject);
		child.stderr?.on("data", (chunk: Buffer) => {
			said = `${said}${chunk.toString()}`.slice(-20_000);
			const match = /listening on 127\.0\.0\.1:(\d+)/.exec(said);
			if (match === null) return;
			clearTimeout(timer);
			child.off("exit", onExit);
			resolve(Number(match[1]));
		});
	});
}
