import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect as dial } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "../fixtures/free-port.ts";

export const SSHD = "/usr/sbin/sshd";

/** Serves a repository over ssh on loopback, to whoever has the key that lies among the secrets. */
export async function sshDaemon(folder: string) {
	const repositories = join(folder, "repositories");
	const secrets = join(folder, "secrets");
	mkdirSync(secrets, { recursive: true, mode: 0o700 });
	makeRepository(repositories);
	const port = await freePort();
	const keyAt = (path: string): string => {
		execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path]);
		return readFileSync(`${path}.pub`, "utf8").trim();
	};
	const hostKey = keyAt(join(folder, "host"));
	const other = keyAt(join(folder, "other"));
	writeFileSync(join(folder, "authorized"), `${keyAt(join(secrets, "git-key"))}\n`);
	const line = (key: string): string => `[127.0.0.1]:${port} ${key}\n`;
	writeFileSync(join(secrets, "known_hosts"), line(hostKey));
	const settings = {
		ListenAddress: `127.0.0.1:${port}`,
		HostKey: join(folder, "host"),
		AuthorizedKeysFile: join(folder, "authorized"),
		PermitRootLogin: "prohibit-password",
		PidFile: "none",
		StrictModes: "no",
		UsePAM: "no",
	};
	writeFileSync(
		join(folder, "sshd_config"),
		Object.entries(settings)
			.map(([name, value]) => `${name} ${value}\n`)
			.join(""),
	);
	if (process.geteuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
	const child = spawn(SSHD, ["-D", "-f", join(folder, "sshd_config")], { stdio: "ignore" });
	await listens(port);
	const url = `ssh://${userInfo().username}@127.0.0.1:${port}${join(repositories, "one.git")}`;
	return { child, url, secrets, otherHostKey: line(other) };
}

interface Daemon {
	readonly child: ChildProcess;
	readonly port: number;
}

/** `one.git`, of one commit. */
function makeRepository(repositories: string): void {
	const bare = join(repositories, "one.git");
	const work = join(repositories, "work");
	mkdirSync(work, { recursive: true });
	const git = (directory: string, ...args: string[]) =>
		execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", "-C", directory, ...args], {
			stdio: "pipe",
		});
	git(work, "init", "-q", "-b", "main");
	writeFileSync(join(work, "README"), "hello\n");
	git(work, "add", "README");
	git(work, "commit", "-q", "-m", "first");
	git(work, "checkout", "-q", "-b", "release/1");
	writeFileSync(join(work, "README"), "released\n");
	git(work, "commit", "-q", "-a", "-m", "second");
	git(work, "checkout", "-q", "main");
	git(repositories, "clone", "-q", "--bare", work, bare);
}

/** Serves a repository on loopback. */
export async function gitDaemon(repositories: string): Promise<Daemon> {
	makeRepository(repositories);
	const port = await freePort();
	const child = spawn(
		"git",
		[
			"daemon",
			"--export-all",
			"--reuseaddr",
			"--listen=127.0.0.1",
			`--port=${port}`,
			`--base-path=${repositories}`,
			repositories,
		],
		{
			stdio: "ignore",
		},
	);
	await listens(port);
	return { child, port };
}

async function listens(port: number): Promise<void> {
	for (let attempt = 0; attempt < 1200; attempt++) {
		const isOpen = await new Promise<boolean>((resolve) => {
			const socket = dial(port, "127.0.0.1", () => resolve(true));
			socket.on("error", () => resolve(false));
			socket.on("connect", () => socket.destroy());
		});
		if (isOpen) return;
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	assert.fail("git daemon does not listen");
}
