/**
 * What podman keeps of a run: everything below the run's private folder, shown to podman alone at one short path.
 *
 * podman refuses a `--runroot` longer than 50 characters, and Unix socket paths end at 108; so in a mount namespace of
 * podman's own the folder is mounted over /dev/shm. That also hides the lock file which all podmans share there.
 */
export const SHOWN_AT = "/dev/shm";

export const FOLDER = {
	storage: `${SHOWN_AT}/storage`,
	runRoot: `${SHOWN_AT}/run`,
	temporary: `${SHOWN_AT}/tmp`,
	runtimeState: `${SHOWN_AT}/crun`,
	root: `${SHOWN_AT}/root`,
	seccomp: `${SHOWN_AT}/seccomp.json`,
	settings: `${SHOWN_AT}/containers.conf`,
	runtime: `${SHOWN_AT}/runtime`,
} as const;

/** One file of the folder, written before podman starts. */
export interface FolderFile {
	/** Relative to the folder. */
	readonly path: string;
	readonly mode: number;
	readonly text: string;
}

/** The same place, seen from outside of podman's mount namespace. */
export function relativeToFolder(shown: string): string {
	return shown.slice(SHOWN_AT.length + 1);
}

/** podman.conf(5): crun by the script below; locks in files of this folder. */
export function settingsText(): string {
	return [
		"[engine]",
		'lock_type = "file"',
		'runtime = "crun"',
		"[engine.runtimes]",
		`crun = ["${FOLDER.runtime}"]`,
		"",
	].join("\n");
}

/**
 * Stands where podman expects crun: joins the run's control groups before the container is made, so that limits count the
 * workload and not podman, and so that crun, which is picky about how control groups are mounted, needs to make none. It names
 * crun's state folder too: podman leaves that out when it cleans up, and then waits 20 s for a clean-up that failed.
 */
export function runtimeText(crun: string, controlGroups: readonly string[]): string {
	const join = controlGroups.map((path) => `echo 0 > ${shellQuoted(`${path}/cgroup.procs`)} || exit 1`);
	return [
		"#!/bin/sh",
		'case " $* " in *" create "*)',
		...join.map((line) => `\t${line}`),
		"\t:;;",
		"esac",
		`exec ${shellQuoted(crun)} --root ${FOLDER.runtimeState} "$@"`,
		"",
	].join("\n");
}

function shellQuoted(text: string): string {
	return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Run by sh with the folder, then the version 2 mount to hide (or nothing), then podman's own words. */
export const PRELUDE = [
	`mount --bind "$1" ${SHOWN_AT}`,
	'if [ -n "$2" ]; then mount -t tmpfs -o ro,mode=755 none "$2"; fi',
	"shift 2",
	'exec "$@"',
].join(" && ");
