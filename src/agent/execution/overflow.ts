import { constants, existsSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { copyFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Lease } from "../../api/conduits/schema.ts";
import type { Json } from "../../core/index.ts";
import { overflowFile, type RunFiles } from "../../runtime/index.ts";
import { facilityIdSchema } from "./facilities.ts";

export interface LogOverflow {
	/** Below the facility's folder, relative. */
	readonly directory: string;
	/** Of each stream. */
	readonly bytes: number;
}

const STREAMS = ["stdout", "stderr"] as const;

/**
 * Puts output beyond the limit into the facility, where the next directive finds it, and answers what the end says of it (conduits
 * section 7.11); null when there is none, or something of the command's own is in its place. Nothing of the command lives any more, so
 * what is looked at stays as it is.
 */
export async function keepOverflow(
	files: RunFiles,
	facility: string,
	{ directive_id, spec }: Pick<Lease, "directive_id" | "spec">,
	{ directory, bytes }: LogOverflow,
): Promise<Readonly<Record<string, Json>> | null> {
	const there = STREAMS.filter((stream) => existsSync(overflowFile(files[stream])));
	if (there.length === 0 || !facilityIdSchema.safeParse(directive_id).success) return null;
	const parts = [...directory.split("/"), directive_id];
	const folder = ownFolder(facility, parts);
	if (folder === undefined) return null;
	const sizes: Record<string, number> = { stdout: 0, stderr: 0 };
	for (const stream of there) {
		const path = join(folder, `${stream}.log`);
		await copyFile(overflowFile(files[stream]), path, constants.COPYFILE_EXCL);
		sizes[stream] = (await stat(path)).size;
	}
	const shown = [spec.facility.mount || "/workspace", ...parts].join("/");
	return {
		stdout_path: `${shown}/stdout.log`,
		stderr_path: `${shown}/stderr.log`,
		stdout_bytes: sizes.stdout ?? 0,
		stderr_bytes: sizes.stderr ?? 0,
		max_bytes_per_stream: bytes,
	};
}

/** Made where it is missing, the last one anew; undefined when a part of the way is anything else than a folder. */
function ownFolder(facility: string, parts: readonly string[]): string | undefined {
	let folder = facility;
	for (const [at, part] of parts.entries()) {
		folder = join(folder, part);
		// Of an attempt before, or of the command's making.
		if (at === parts.length - 1) rmSync(folder, { recursive: true, force: true });
		const found = lstatSync(folder, { throwIfNoEntry: false });
		if (found === undefined) mkdirSync(folder, { mode: 0o755 });
		else if (!found.isDirectory()) return undefined;
	}
	return folder;
}
