import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { runProgram } from "./measure.ts";
import { node } from "./vouch.ts";

/** Pinned, so that a later run compares with the same thing; over 30 days old when chosen. */
const SANDBOX_RUNTIME = { name: "@anthropic-ai/sandbox-runtime", version: "0.0.81" } as const;

type Argv = readonly [string, ...string[]];

/** The npm package goes into the user's cache, not into ours: it is measured, never used. Its install scripts do not run. */
export async function sandboxRuntime(directory: string): Promise<Argv> {
	const given = process.env.XDG_CACHE_HOME;
	const cache = given !== undefined && isAbsolute(given) ? given : join(homedir(), ".cache");
	const home = join(cache, "vouch-bench", `sandbox-runtime-${SANDBOX_RUNTIME.version}`);
	const entry = join(home, "node_modules", SANDBOX_RUNTIME.name, "dist/cli.js");
	if (!existsSync(entry)) {
		mkdirSync(home, { recursive: true });
		const what = `${SANDBOX_RUNTIME.name}@${SANDBOX_RUNTIME.version}`;
		const flags = ["--prefix", home, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"];
		await runProgram(["npm", "install", ...flags, what], { workingDirectory: home });
	}
	const settings = join(directory, "srt-settings.json");
	const nothing = { allowedDomains: [], deniedDomains: [] };
	const rules = { network: nothing, filesystem: { denyRead: [], allowWrite: [directory], denyWrite: [] } };
	writeFileSync(settings, JSON.stringify(rules));
	return [node, entry, "--settings", settings, "/bin/true"];
}

/**
 * podman on the smallest root file system there is, one static program, with a store of its own.
 * The limits asked for are ones that any machine may set; podman's own defaults need CAP_SYS_RESOURCE.
 */
export async function podman(directory: string): Promise<Argv> {
	const root = join(directory, "rootfs");
	for (const folder of ["bin", "dev", "etc", "proc", "run", "sys", "tmp"]) {
		mkdirSync(join(root, folder), { recursive: true });
	}
	const program = join(directory, "true.c");
	writeFileSync(program, "int main(void) { return 0; }\n");
	await runProgram(["gcc", "-O2", "-static", "-o", join(root, "bin/true"), program]);
	const store = ["--root", join(directory, "store"), "--runroot", join(directory, "runroot")];
	const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
	const global = [...store, "--runtime", "crun", "--cgroup-manager=cgroupfs", "--log-level=error"];
	const command = ["podman", ...global, "run", "--rm", ...limits, "--network", "none", "--rootfs", root, "/bin/true"];
	// crun refuses a hybrid cgroup tree; without its v2 half in sight it works.
	const hybrid = "/sys/fs/cgroup/unified";
	if (!existsSync(hybrid)) return command as [string, ...string[]];
	return ["unshare", "-m", "sh", "-c", `umount ${hybrid} && exec "$@"`, "sh", ...command];
}
