import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { runProgram } from "./measure.ts";
import { node } from "./vouch.ts";

/**
 * A network namespace joined to this one by a veth pair, as a sandbox is: the rivals' clients sit in it, so that their
 * bytes go the way that ours do. The addresses are of the range kept for benchmarks (RFC 2544).
 */
export interface Path {
	readonly outside: string;
	/** Put before a command to run it inside. */
	readonly enter: readonly [string, ...string[]];
	close(): Promise<void>;
}

export async function openPath(): Promise<Path> {
	const name = `vouch-bench-${process.pid}`;
	const [outside, inside] = ["198.19.255.1", "198.19.255.2"];
	const close = async () => {
		await runProgram(["ip", "netns", "delete", name], { expected: [1] });
	};
	const commands: readonly (readonly [string, ...string[]])[] = [
		["ip", "netns", "add", name],
		["ip", "link", "add", "vouchbench0", "type", "veth", "peer", "name", "eth0", "netns", name],
		["ip", "address", "add", `${outside}/30`, "dev", "vouchbench0"],
		["ip", "link", "set", "vouchbench0", "up"],
		["ip", "-n", name, "address", "add", `${inside}/30`, "dev", "eth0"],
		["ip", "-n", name, "link", "set", "eth0", "up"],
		["ip", "-n", name, "link", "set", "lo", "up"],
	];
	try {
		for (const command of commands) await runProgram(command);
	} catch (error) {
		await close();
		throw error;
	}
	return { outside, enter: ["ip", "netns", "exec", name], close };
}

export interface Service {
	readonly ports: readonly number[];
	stop(): Promise<void>;
}

/** The server behind all proxies, on each of these addresses. */
export async function startOrigin(addresses: readonly string[]): Promise<Service> {
	const child = spawn(node, [join(import.meta.dirname, "gate-origin.ts"), ...addresses], {
		stdio: ["pipe", "pipe", "inherit"],
	});
	let text = "";
	for await (const part of child.stdout) {
		text += String(part);
		if (text.split("\n").length > addresses.length) break;
	}
	const ports = text.trim().split("\n").map(Number);
	return { ports, stop: () => ended(child) };
}

export function startTinyproxy(directory: string, address: string, port: number): Promise<Service> {
	const file = join(directory, "tinyproxy.conf");
	const settings = [
		`Listen ${address}`,
		`Port ${port}`,
		"Timeout 600",
		"MaxClients 512",
		"LogLevel Critical",
		`LogFile "${join(directory, "tinyproxy.log")}"`,
		"DisableViaHeader Yes",
	];
	writeFileSync(file, `${settings.join("\n")}\n`);
	return startProxy(["tinyproxy", "-d", "-c", file], address, port);
}

/** Caches and logs nothing: what is left is the proxy. */
export function startSquid(directory: string, address: string, port: number): Promise<Service> {
	const file = join(directory, "squid.conf");
	const settings = [
		`http_port ${address}:${port}`,
		"http_access allow all",
		"cache deny all",
		"cache_mem 0",
		"access_log none",
		"cache_log /dev/null",
		"cache_store_log none",
		"pid_filename none",
		"netdb_filename none",
		"pinger_enable off",
		"via off",
		"forwarded_for delete",
		"shutdown_lifetime 0 seconds",
		"coredump_dir /",
	];
	writeFileSync(file, `${settings.join("\n")}\n`);
	return startProxy(["squid", "-N", "-f", file], address, port);
}

async function startProxy(argv: readonly [string, ...string[]], address: string, port: number): Promise<Service> {
	const [program, ...args] = argv;
	const child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] });
	for (let tries = 0; tries < 100; tries += 1) {
		if (await accepts(address, port)) return { ports: [port], stop: () => ended(child) };
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	await ended(child);
	throw new Error(`${program} did not listen on ${address}:${port}`);
}

function accepts(host: string, port: number): Promise<boolean> {
	const { promise, resolve } = Promise.withResolvers<boolean>();
	const socket = connect({ host, port });
	socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
	return promise.finally(() => socket.destroy());
}

async function ended(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const { promise, resolve } = Promise.withResolvers<void>();
	child.once("close", () => resolve());
	child.stdin?.end();
	child.kill("SIGTERM");
	await promise;
}
