import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { runProgram } from "./measure.ts";

const root = dirname(import.meta.dirname);

/** The Node that Vouch runs on. */
export const node = process.execPath;

/** The command as a user has it who installed the package: what `npm pack` holds, beside this tree's modules. */
export async function packagedVouch(directory: string): Promise<string> {
	const target = join(directory, "package");
	if (!existsSync(target)) {
		await runProgram(["npm", "pack", "--pack-destination", directory], { workingDirectory: root });
		const { version }: { version: string } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
		await runProgram(["tar", "-xf", join(directory, `vouch-${version}.tgz`), "-C", directory]);
		symlinkSync(join(root, "node_modules"), join(target, "node_modules"));
	}
	return join(target, "bin/vouch");
}

/** Runs of a bench keep their keys, journal and records in its own folder; nothing of the user's is read or written. */
export function privateEnvironment(directory: string): NodeJS.ProcessEnv {
	return {
		PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`,
		HOME: join(directory, "home"),
		XDG_DATA_HOME: join(directory, "data"),
		XDG_CACHE_HOME: join(directory, "cache"),
		XDG_RUNTIME_DIR: join(directory, "runtime"),
	};
}

/** Path of what the last run with `--receipt FILE` wrote. */
export function receiptIn(directory: string): string {
	const file = join(directory, "receipt.json");
	if (!existsSync(file)) throw new Error("the run left no receipt");
	return file;
}
