import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** What an attacker would like to reach on this machine, all of it made for one test and watched by it. */
export interface Machine {
	readonly workspace: string;
	/** A folder beside the workspace, with a secret. */
	readonly outside: string;
	readonly secretFile: string;
	readonly secret: string;
	readonly victim: ChildProcess;
	readonly victimPid: number;
	/** Listeners on the host, and how many connections each has had. */
	readonly unixSocket: string;
	readonly abstractName: string;
	readonly port: number;
	readonly connections: Record<"unix" | "abstract" | "tcp", number>;
	close(): void;
}

export const SECRET = "correct-horse-battery-staple";

/** The compiled helper, or why there is none. */
export function compileAttack(directory: string): { readonly path: string } | { readonly missing: string } {
	const path = join(directory, "attack");
	const source = fileURLToPath(new URL("attack.c", import.meta.url));
	const compiled = spawnSync("gcc", ["-static", "-O1", "-o", path, source], { encoding: "utf8" });
	if (compiled.error !== undefined) return { missing: "gcc is not installed" };
	return compiled.status === 0 ? { path } : { missing: `gcc: ${compiled.stderr.slice(0, 300)}` };
}

export async function openMachine(attack: string): Promise<Machine> {
	const folder = mkdtempSync(join(tmpdir(), "vouch-attack-"));
	chmodSync(folder, 0o755);
	const [workspace, outside] = [join(folder, "workspace"), join(folder, "outside")];
	for (const path of [workspace, outside]) mkdirSync(path);
	const secretFile = join(outside, "secret");
	writeFileSync(secretFile, `${SECRET}\n`);
	prepareWorkspace(workspace, outside, secretFile, attack);
	const connections = { unix: 0, abstract: 0, tcp: 0 };
	const unixSocket = join(outside, "service.sock");
	const abstractName = `vouch-attack-${process.pid}`;
	const servers = await Promise.all([
		listen({ path: unixSocket }, () => connections.unix++),
		listen({ path: `\0${abstractName}` }, () => connections.abstract++),
		listen({ port: 0, host: "127.0.0.1" }, () => connections.tcp++),
	]);
	const victim = spawn("sleep", ["1000"], { env: { VOUCH_VICTIM: SECRET }, stdio: "ignore", argv0: "vouch-victim" });
	const address = servers[2].address();
	return {
		workspace,
		outside,
		secretFile,
		secret: SECRET,
		victim,
		victimPid: victim.pid ?? 0,
		unixSocket,
		abstractName,
		port: typeof address === "object" && address !== null ? address.port : 0,
		connections,
		close: () => {
			victim.kill("SIGKILL");
			for (const server of servers) server.close();
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

function prepareWorkspace(workspace: string, outside: string, secretFile: string, attack: string): void {
	copyFileSync(attack, join(workspace, "attack"));
	symlinkSync(secretFile, join(workspace, "given-link"));
	symlinkSync(outside, join(workspace, "given-folder-link"));
	symlinkSync("../outside", join(workspace, "given-relative-link"));
	mkdirSync(join(workspace, ".git", "hooks"), { recursive: true });
	writeFileSync(join(workspace, ".git", "HEAD"), "ref: refs/heads/main\n");
	copyFileSync("/usr/bin/id", join(workspace, "setuid-id"));
	chmodSync(join(workspace, "setuid-id"), 0o4755);
}

function listen(at: { path: string } | { port: number; host: string }, count: () => void): Promise<Server> {
	const server = createServer((socket) => {
		count();
		socket.destroy();
	});
	return new Promise((resolve) => server.listen(at, () => resolve(server)));
}

/** Text of a file of the machine, or undefined. */
export function textOf(path: string): string | undefined {
	try {
		return existsSync(path) ? readFileSync(path, "utf8") : undefined;
	} catch {
		return undefined;
	}
}
