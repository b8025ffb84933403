import { mkdirSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Where Vouch keeps things, by the XDG Base Directory Specification 0.8. Relative values there are ignored, as it says. */
export interface Directories {
	/** Keys, journal, runs and their receipts: `$XDG_DATA_HOME/vouch`. */
	readonly data: string;
	/** What can be made again: `$XDG_CACHE_HOME/vouch`. */
	readonly cache: string;
	/** Sockets of live runs: `$XDG_RUNTIME_DIR/vouch`, else a private folder below the temporary one. */
	readonly runtime: string;
}

export function directoriesFrom(environment: NodeJS.ProcessEnv, userId: number): Directories {
	const pick = (name: string, fallback: string): string => {
		const value = environment[name];
		return value !== undefined && isAbsolute(value) ? value : fallback;
	};
	const home = environment.HOME ?? homedir();
	return {
		data: join(pick("XDG_DATA_HOME", join(home, ".local/share")), "vouch"),
		cache: join(pick("XDG_CACHE_HOME", join(home, ".cache")), "vouch"),
		runtime: join(pick("XDG_RUNTIME_DIR", join(tmpdir(), `vouch-${userId}`)), "vouch"),
	};
}

/** The image store's folder. */
export function imageDirectory({ data }: Pick<Directories, "data">): string {
	return join(data, "images");
}

/** Where this user's things are, by the environment of this process. */
export function ownDirectories(): Directories {
	return directoriesFrom(process.env, process.geteuid?.() ?? 0);
}

export function privateDirectory(path: string): string {
	mkdirSync(path, { recursive: true, mode: 0o700 });
	return path;
}
