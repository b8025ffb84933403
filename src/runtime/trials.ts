import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { digestOf, hexOfDigest } from "../core/index.ts";
import type { Host } from "../host/index.ts";

/**
 * What a trial said, or null when it succeeded. One that succeeded is not made again while all that it depends on is the same: the
 * boot, the program's file, the settings, and this process's own namespaces and rights. One that failed is not remembered.
 */
export async function tryOnce(
	host: Host,
	cacheDirectory: string,
	subject: { readonly program: string; readonly settings: readonly string[] },
	trial: () => Promise<string | null>,
): Promise<string | null> {
	const remembered = join(folderOf(cacheDirectory), await identityOf(host, subject));
	if (existsSync(remembered)) return null;
	const said = await trial();
	if (said === null) remember(remembered, folderOf(cacheDirectory));
	return said;
}

/** For those who want to know how it is now, and when a run could not be started although its trial was. */
export function forgetTrials(cacheDirectory: string): void {
	rmSync(folderOf(cacheDirectory), { recursive: true, force: true });
}

function folderOf(cacheDirectory: string): string {
	return join(cacheDirectory, "trials");
}

/** Comfort: where nothing can be written, the next run makes its trial again. */
function remember(path: string, folder: string): void {
	try {
		mkdirSync(folder, { recursive: true, mode: 0o700 });
		writeFileSync(path, "", { mode: 0o600 });
	} catch {
		// A full or read-only disk is no reason against a run.
	}
}

async function identityOf(
	host: Host,
	{ program, settings }: { readonly program: string; readonly settings: readonly string[] },
): Promise<string> {
	const paths = ["/proc/sys/kernel/random/boot_id", "/proc/self/attr/current", ...settings];
	const [status, namespaces, ...texts] = await Promise.all([
		host.readText("/proc/self/status"),
		host.listFolder("/proc/self/ns"),
		...paths.map((path) => host.readText(path)),
	]);
	const rights = (status ?? "").split("\n").filter((line) => /^(?:Uid|Gid|Cap\w+|NoNewPrivs|Seccomp):/.test(line));
	const file = statSync(program, { bigint: true, throwIfNoEntry: false });
	const facts = [program, file?.dev, file?.ino, file?.size, file?.mode, file?.mtimeNs, ...rights, ...texts];
	const all = [...facts, ...namespaces.map(({ target }) => target)].map(String).join("\0");
	return hexOfDigest(digestOf(all)).slice(0, 32);
}
