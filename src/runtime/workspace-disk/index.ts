/**
 * workspace-disk: host folders as a disk for a guest, and the guest's changes back in the folder.
 *
 * Hides     walking folders that others change meanwhile, the changes stream, conflicts, names that are not text.
 * Promises  a disk shows what was there and says what it does not show; changes arrive whole files at a time, or not.
 * Never     follows a link of a workspace, on the way out or back in; never mounts anything or parses a guest's file system.
 * Start at  `disk.ts` for the way in, `changes.ts` for the way back.
 */
export type { WorkspaceBaseline } from "./baseline.ts";
export { applyChanges, type ChangesRequest } from "./changes.ts";
export type { AppliedChanges, RefusalReason, RefusedChange } from "./changes-application.ts";
export { type ChangeLimits, DEFAULT_CHANGE_LIMITS } from "./changes-reader.ts";
export { type BuiltDisk, buildDisk, DEFAULT_DISK_LIMITS, type DiskPart, type DiskRequest } from "./disk.ts";
export type { DiskLimits, DiskProblem, Owner } from "./disk-source.ts";
export { type ScratchRequest, scratchDisk } from "./scratch-disk.ts";
