import { closeSync, constants, ftruncateSync, openSync, rmSync } from "node:fs";
import type { Host } from "../../host/index.ts";
import { fail } from "./failures.ts";
import { messageOf, SAFE_CREATE } from "./open-folder.ts";

export interface ScratchRequest {
	/** The file to make, which must not exist, or one that is there: it stays the same file, and loses what was in it. */
	readonly path: string;
	readonly place: "new" | "there";
	readonly sizeBytes: number;
	readonly host: Host;
}

/** Fixed, as everything about a disk that might take another's place in a saved machine. */
const UUID = "00000000-0000-4000-8000-000000000002";

/**
 * mke2fs(8): without a journal, for nothing on it outlives the run; nothing set aside for root or for growing; tables that
 * are holes already stay holes. So it takes 5 ms and 200 KiB whatever its size.
 */
const OPTIONS = [
	...["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-U", UUID],
	...["-O", "^has_journal,^resize_inode,^metadata_csum_seed"],
	...["-E", `lazy_itable_init=1,nodiscard,root_owner=0:0,hash_seed=${UUID}`],
];

/** An empty ext4 of that size, mostly holes. Throws VouchError `disk-not-written`, and then leaves no file. */
export async function scratchDisk({ path, sizeBytes, place, host }: ScratchRequest): Promise<void> {
	const refuse = (cause: string, error?: unknown) => fail("disk-not-written", { path, cause }, error);
	const program = await host.findProgram("mkfs.ext4");
	if (program === undefined) throw refuse("mkfs.ext4 is not installed (package e2fsprogs)");
	try {
		const fd = openSync(path, place === "new" ? SAFE_CREATE : constants.O_WRONLY | constants.O_NOFOLLOW, 0o600);
		try {
			ftruncateSync(fd, 0);
			ftruncateSync(fd, sizeBytes);
		} finally {
			closeSync(fd);
		}
	} catch (error) {
		throw refuse(messageOf(error), error);
	}
	const made = await host.run([program, ...OPTIONS, path]);
	if (made.exitCode === 0) return;
	rmSync(path, { force: true });
	throw refuse(made.stderr.trim() || `mkfs.ext4 ended with ${made.exitCode}`);
}
