import { chmodSync, chownSync, constants, copyFileSync, linkSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "./failures.ts";
import type { Jail } from "./jailer.ts";

/** Puts a file of the image store into a jail: another name of it, or a copy where that is not possible. */
export function shareFile(jail: Jail, path: string, from: string): void {
	inJail(jail, path, (to) => {
		// The machine's user can't be made its owner, for another name of a file is that file.
		if ((statSync(from).mode & 0o004) === 0) throw new Error(`${from} is not readable for everybody`);
		try {
			linkSync(from, to);
		} catch (error) {
			if (!NO_LINK.includes(codeOf(error))) throw error;
			copyFileSync(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
			chmodSync(to, 0o444);
		}
	});
}

/** An empty file for the machine's own user to write. */
export function emptyFile(jail: Jail, path: string): void {
	inJail(jail, path, (to) => writeFileSync(to, "", { flag: "wx", mode: 0o600 }));
	giveFile(jail, path);
}

/** Makes the machine's own user the owner of a file that was made in the jail. */
export function giveFile(jail: Jail, path: string): void {
	inJail(jail, path, (to) => chownSync(to, jail.userId, jail.groupId));
}

/** Another file system, one without hard links, or a file with as many names as it can have. */
const NO_LINK: readonly string[] = ["EXDEV", "EPERM", "EMLINK", "EOPNOTSUPP"];

function inJail(jail: Jail, path: string, act: (to: string) => void): void {
	try {
		mkdirSync(jail.root, { recursive: true, mode: 0o755 });
		act(join(jail.root, path));
	} catch (error) {
		throw fail("jail-not-made", { file: path, reason: error instanceof Error ? error.message : String(error) }, error);
	}
}

function codeOf(error: unknown): string {
	return error instanceof Error && "code" in error ? String(error.code) : "";
}
