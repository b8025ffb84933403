import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Client, connect } from "../src/api/index.ts";
import { freePort } from "../test/fixtures/free-port.ts";
import { runProgram } from "./measure.ts";
import { packagedVouch, privateEnvironment } from "./vouch.ts";

/** A control plane of its own process, and nodes beside it, as a user has them who installed the package. */
export interface FleetMachine {
	readonly owner: Client;
	readonly address: string;
	readonly server: Program;
	/** Its embedded store. */
	readonly storeFile: string;
	/** Enrolls a node and starts it; resolves when its channel is up. */
	startAgent(name: string): Promise<Program>;
	close(): Promise<void>;
}

export interface Program {
	readonly pid: number;
	/** Resolves with the first match of stdout and stderr together. */
	shows(pattern: RegExp): Promise<RegExpExecArray>;
	stop(): Promise<void>;
}

export async function openFleetMachine(directory: string): Promise<FleetMachine> {
	const vouch = await packagedVouch(directory);
	const environment = { ...privateEnvironment(directory), VOUCH_AGENT_HOST_PROFILE: "refused" };
	const data = join(directory, "server");
	const port = await freePort();
	const flags = ["--port", String(port), "--data", data, "--territory-auth", "either", "--log-level", "error"];
	const server = startProgram([vouch, "server", ...flags], environment);
	const [, token = ""] = await server.shows(/shown this once: (\S+)\n/);
	const address = `http://127.0.0.1:${port}`;
	const owner = connect({ server: address, token });
	const programs = [server];
	return {
		owner,
		address,
		server,
		storeFile: join(data, "store.sqlite"),
		async startAgent(name) {
			const folder = join(directory, name);
			const { token: once } = await owner.enrollmentTokens.create({ body: {} });
			const enroll = ["agent", "enroll", "--server", address, "--token", once, "--data", folder, "--name", name];
			await runProgram([vouch, ...enroll], { environment });
			const agent = startProgram([vouch, "agent", "--data", folder, "--log-level", "debug"], environment);
			programs.push(agent);
			await agent.shows(/the channel is up/);
			return agent;
		},
		async close() {
			for (const program of programs.toReversed()) await program.stop();
		},
	};
}

function startProgram([file = "", ...words]: readonly string[], environment: NodeJS.ProcessEnv): Program {
	const child = spawn(file, words, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
	const { promise: ended, resolve } = Promise.withResolvers<void>();
	child.once("close", () => resolve());
	let said = "";
	const hear = (chunk: Buffer): void => {
		said += chunk.toString();
	};
	child.stdout.on("data", hear);
	child.stderr.on("data", hear);
	return {
		pid: child.pid ?? 0,
		shows: (pattern) =>
			new Promise((resolve, reject) => {
				const look = (): void => {
					const found = pattern.exec(said);
					if (found !== null) resolve(found);
				};
				child.stdout.on("data", look);
				child.stderr.on("data", look);
				child.once("close", () => reject(new Error(`${words.join(" ")} ended: ${said}`)));
				look();
			}),
		async stop() {
			child.kill("SIGTERM");
			await ended;
		},
	};
}

/** What a process and all that it started hold, in MiB: resident, and with shared pages counted by their share. */
export function memoryOf(pid: number): { readonly rss: number; readonly pss: number } {
	const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
	const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1] ?? 0) / 1024;
	const own = { rss: of("Rss"), pss: of("Pss") };
	return childrenOf(pid)
		.map(memoryOf)
		.reduce((sum, one) => ({ rss: sum.rss + one.rss, pss: sum.pss + one.pss }), own);
}

function childrenOf(pid: number): readonly number[] {
	return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
		readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
	);
}
