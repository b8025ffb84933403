import { rm, stat } from "node:fs/promises";
import type { RunId } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import type { RecoveryContext } from "../../driver.ts";
import { removeControlGroups } from "../../limits/index.ts";
import { diskFolder } from "./disks.ts";

/** QEMU dies with the supervisor (--die-with-parent): groups and disks can be left. */
export async function recoverQemu(runId: RunId, host: Host, { cacheDirectory }: RecoveryContext): Promise<boolean> {
	const groups = await removeControlGroups(runId, host);
	const folder = diskFolder({ cacheDirectory, runId });
	const left = await stat(folder).then(
		() => true,
		() => false,
	);
	await rm(folder, { recursive: true, force: true });
	return groups || left;
}
