import { createHash } from "node:crypto";
import type { RunId } from "../../../core/index.ts";
import { JAIL_FILES } from "./calls.ts";

/** Where the jailer puts a machine, and as whom it runs it. */
export interface Jail {
	/** `--id`; also the last but one part of `root`. */
	readonly id: string;
	readonly baseDirectory: string;
	/** What the virtual machine monitor sees as `/`. */
	readonly root: string;
	readonly userId: number;
	readonly groupId: number;
}

/**
 * Ids that no account has: above all ranges that distributions give out (subuid(5) ends well below), below the reserved end.
 * Each run has its own, so that no machine may touch another's files or processes.
 */
const FIRST_ID = 2_000_000_000;
const IDS = 2 ** 24;

/** Open files: disks, sockets, /dev/kvm and event descriptors of some devices. */
const OPEN_FILES = 256;

export function jailOf(runId: RunId, baseDirectory: string, firecracker: string): Jail {
	const id = `vouch-${runId}`;
	const number = FIRST_ID + (createHash("sha256").update(runId).digest().readUInt32LE(0) % IDS);
	const program = firecracker.split("/").at(-1) ?? "firecracker";
	return { id, baseDirectory, root: `${baseDirectory}/${program}/${id}/root`, userId: number, groupId: number };
}

/**
 * The jailer makes the root and the devices in it, enters it, gives up every right and becomes Firecracker. Its own
 * `--new-pid-ns` and `--daemonize` would leave it behind as a process that nobody waits for, so unshare(1) makes that
 * namespace around it; control groups are the supervisor's, which joined them before.
 */
export function jailerArguments(
	programs: { readonly unshare: string; readonly jailer: string; readonly firecracker: string },
	jail: Jail,
	limits: { readonly fileBytes: number },
): readonly [string, ...string[]] {
	return [
		programs.unshare,
		...["--pid", "--fork", "--kill-child=SIGKILL", "--net", "--ipc", "--"],
		programs.jailer,
		...["--id", jail.id],
		...["--exec-file", programs.firecracker],
		...["--uid", String(jail.userId), "--gid", String(jail.groupId)],
		...["--chroot-base-dir", jail.baseDirectory],
		...["--resource-limit", `no-file=${OPEN_FILES}`],
		...["--resource-limit", `fsize=${limits.fileBytes}`],
		"--",
		...["--api-sock", JAIL_FILES.api],
	];
}
