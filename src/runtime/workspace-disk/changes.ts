import { closeSync, fstatSync } from "node:fs";
import type { WorkspaceBaseline } from "./baseline.ts";
import { Application, type AppliedChanges } from "./changes-application.ts";
import { type ChangeLimits, DEFAULT_CHANGE_LIMITS } from "./changes-reader.ts";
import { spoolChanges } from "./changes-spool.ts";
import { fail } from "./failures.ts";
import { identityOf, messageOf, openRootFolder, rawOfText } from "./open-folder.ts";
import { paceOf } from "./pace.ts";
import { wipeOf } from "./wipe.ts";

export interface ChangesRequest {
	/** The workspace on the host. */
	readonly folder: string;
	/** Names directly in it that no change may touch. */
	readonly protected: readonly string[];
	/** From `buildDisk`; null: what the host changed meanwhile is overwritten. */
	readonly baseline: WorkspaceBaseline | null;
	/** Private, outside of the workspace, on a disk with room: contents wait here, and files in conflict stay here. */
	readonly keepDirectory: string;
	readonly limits?: Partial<ChangeLimits>;
	readonly signal?: AbortSignal;
}

/**
 * Brings a guest's changes into the workspace. The whole stream is read first: until its end was seen and all of it is
 * well-formed the workspace is untouched. Then each file is replaced whole. Throws VouchError `changes-malformed`,
 * `changes-too-large`, `changes-cut-short`, `changes-timed-out` or `workspace-exchanged`.
 */
export async function applyChanges(
	stream: AsyncIterable<Uint8Array>,
	request: ChangesRequest,
): Promise<AppliedChanges> {
	const { folder, signal, baseline } = request;
	const pace = paceOf(signal);
	const kept = new Set(request.protected.map(rawOfText));
	using changes = await spoolChanges(stream, {
		directory: request.keepDirectory,
		limits: { ...DEFAULT_CHANGE_LIMITS, ...request.limits },
		signal,
		pace,
	});
	const rootFd = openFolder(folder);
	try {
		if (baseline !== null && baseline.identity !== identityOf(rootFd)) throw fail("workspace-exchanged", { folder });
		const refusal = wipeOf(changes.records, { baseline, protected: kept });
		if (refusal !== null) return refusal;
		const application = new Application({
			changes,
			rootFd,
			protected: kept,
			known: baseline?.entries ?? null,
			owner: ownerFor(rootFd),
			keepDirectory: request.keepDirectory,
			pace,
		});
		return await application.run();
	} finally {
		closeSync(rootFd);
	}
}

/** What root brings back belongs to whom the workspace belongs; an ordinary user's files are the user's anyway. */
function ownerFor(rootFd: number): { userId: number; groupId: number } | null {
	if (process.geteuid?.() !== 0) return null;
	const { uid, gid } = fstatSync(rootFd);
	return { userId: uid, groupId: gid };
}

function openFolder(folder: string): number {
	try {
		return openRootFolder(folder);
	} catch (error) {
		throw fail("workspace-exchanged", { folder, cause: messageOf(error) }, error);
	}
}
