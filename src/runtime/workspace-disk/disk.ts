import { closeSync, realpathSync, rmSync, statSync, truncateSync } from "node:fs";
import { posix } from "node:path";
import { printablePath } from "../../host/index.ts";
import type { DirectoryNode, RootfsNode } from "../../image/index.ts";
import type { WorkspaceBaseline } from "./baseline.ts";
import { type DiskLimits, type DiskProblem, type Owner, SourceWalk, TooLarge } from "./disk-source.ts";
import { fail } from "./failures.ts";
import { codeOf, identityOf, messageOf, openRootFolder, rawOfText } from "./open-folder.ts";
import { paceOf } from "./pace.ts";
import { OpenChain, type ReadReport, type SourceFolder, type StaleReason } from "./source-content.ts";

export const DEFAULT_DISK_LIMITS: DiskLimits = {
	maxEntries: 1_000_000,
	// Each level keeps a descriptor open, and 1024 of them is a usual limit for a process.
	maxDepth: 256,
	maxFileBytes: 16 * 2 ** 30,
	maxTotalBytes: 64 * 2 ** 30,
};

/** Where a host path stands on the disk. */
export interface DiskPart {
	/** Absolute. May lead through links, as the user wrote it; nothing below it is followed. */
	readonly source: string;
	/** `/` for a folder that is the disk's whole root, or `/NAME`. */
	readonly at: string;
}

export interface DiskRequest {
	/** The file to make; it must not exist. */
	readonly path: string;
	readonly parts: readonly DiskPart[];
	readonly owner: Owner;
	/** The disk is exactly that large, whatever is on it: one that takes another's place must have its size. */
	readonly virtualSizeBytes?: number;
	readonly limits?: Partial<DiskLimits>;
	readonly signal?: AbortSignal;
}

export interface BuiltDisk {
	readonly fileSystem: "erofs";
	/** Of the file; much of it may be holes. */
	readonly sizeBytes: number;
	/** Of the file system in it. */
	readonly usedBytes: number;
	readonly entries: number;
	/** What the disk does not show as it is on the host. */
	readonly problems: readonly DiskProblem[];
	/** Of the part at `/`; null when there is none. */
	readonly baseline: WorkspaceBaseline | null;
}

/** A file that changes again each time is left out in the end. */
const ATTEMPTS = 3;

/**
 * A read-only file system of host paths as they are now. Everything on it belongs to `owner`; modes, times and the bytes
 * of names are kept. Nothing outside of the parts can get on it, whatever other processes do to them meanwhile. Throws
 * VouchError `disk-source-unreadable`, `disk-too-large` or `disk-not-written`, and then leaves no file.
 */
export async function buildDisk(request: DiskRequest): Promise<BuiltDisk> {
	const sources = openSources(request.parts);
	try {
		const leaveOut = new Map<string, StaleReason>();
		for (let attempt = 1; ; attempt += 1) {
			const report: ReadReport = { stale: new Map(), torn: new Set() };
			const built = await writeDisk(request, sources, { report, leaveOut });
			if (report.stale.size === 0 || attempt === ATTEMPTS) return finish(request, built, report);
			rmSync(request.path);
			for (const [path, reason] of report.stale) {
				if (reason !== "changed-while-read" || attempt === ATTEMPTS - 1) leaveOut.set(path, reason);
			}
		}
	} finally {
		for (const { fd } of sources) closeSync(fd);
	}
}

interface OpenSource {
	readonly part: DiskPart;
	/** The folder, or the one that the file is in. */
	readonly folder: SourceFolder;
	readonly fd: number;
	/** Raw name of a file; null for a folder. */
	readonly file: string | null;
}

function openSources(parts: readonly DiskPart[]): readonly OpenSource[] {
	const sources: OpenSource[] = [];
	for (const part of parts) {
		try {
			const real = realpathSync(part.source);
			const isFolder = statSync(real).isDirectory();
			if (!isFolder && part.at === "/") throw new Error("it is not a folder");
			const fd = openRootFolder(isFolder ? real : posix.dirname(real));
			const path = part.at === "/" ? "" : rawOfText(isFolder ? real : posix.dirname(real));
			const folder = { above: null, rootFd: fd, path, depth: 0 };
			sources.push({ part, folder, fd, file: isFolder ? null : rawOfText(posix.basename(real)) });
		} catch (error) {
			for (const { fd } of sources) closeSync(fd);
			throw fail("disk-source-unreadable", { source: part.source, cause: messageOf(error) }, error);
		}
	}
	return sources;
}

interface Written {
	readonly usedBytes: number;
	readonly entries: number;
	readonly problems: readonly DiskProblem[];
	readonly baseline: WorkspaceBaseline | null;
}

async function writeDisk(
	request: DiskRequest,
	sources: readonly OpenSource[],
	{ report, leaveOut }: { report: ReadReport; leaveOut: ReadonlyMap<string, StaleReason> },
): Promise<Written> {
	using chain = new OpenChain();
	const walk = new SourceWalk({
		chain,
		owner: request.owner,
		limits: { ...DEFAULT_DISK_LIMITS, ...request.limits },
		report,
		leaveOut,
		pace: paceOf(request.signal),
	});
	const { root, baseline } = await walkSources(sources, walk, request.owner);
	// Loaded here: a run that needs no disk need not wait for what builds images.
	const { writeErofs } = await import("../../image/index.ts");
	try {
		const { sizeBytes } = await writeErofs(
			{ root },
			{
				path: request.path,
				epoch: 0,
				times: "kept",
				...(request.signal === undefined ? {} : { signal: request.signal }),
			},
		);
		return { usedBytes: sizeBytes, entries: walk.entries, problems: walk.problems, baseline };
	} catch (error) {
		if (codeOf(error) === "") throw error;
		throw fail("disk-not-written", { path: request.path, cause: messageOf(error) }, error);
	}
}

async function walkSources(
	sources: readonly OpenSource[],
	walk: SourceWalk,
	owner: Owner,
): Promise<{ root: DirectoryNode; baseline: WorkspaceBaseline | null }> {
	const children = new Map<string, RootfsNode>();
	let whole: { root: DirectoryNode; baseline: WorkspaceBaseline } | null = null;
	for (const { part, folder, fd, file } of sources) {
		try {
			if (file !== null) {
				const node = walk.file(folder, fd, file);
				if (node !== undefined) children.set(rawOfText(part.at.slice(1)), node);
				continue;
			}
			const { node, known } = await walk.folder(folder, fd);
			if (part.at === "/") whole = { root: node, baseline: { identity: identityOf(fd), entries: known } };
			else children.set(rawOfText(part.at.slice(1)), node);
		} catch (error) {
			const { source } = part;
			if (error instanceof TooLarge) throw fail("disk-too-large", { source, what: error.message }, error);
			if (codeOf(error) === "") throw error;
			throw fail("disk-source-unreadable", { source, cause: messageOf(error) }, error);
		}
	}
	if (whole !== null) return whole;
	const meta = { mode: 0o755, uid: owner.userId, gid: owner.groupId, mtimeS: 0, mtimeNs: 0, xattrs: [] };
	return { root: { kind: "directory", meta, children }, baseline: null };
}

function finish(request: DiskRequest, written: Written, report: ReadReport): BuiltDisk {
	const { path, virtualSizeBytes } = request;
	const { usedBytes } = written;
	if (virtualSizeBytes !== undefined && usedBytes > virtualSizeBytes) {
		rmSync(path);
		const source = request.parts.map((part) => part.source).join(", ");
		throw fail("disk-too-large", { source, what: `it takes ${usedBytes} of ${virtualSizeBytes} bytes` });
	}
	if (virtualSizeBytes !== undefined) truncateSync(path, virtualSizeBytes);
	const changed = [...report.torn, ...[...report.stale.keys()].map(printablePath)];
	return {
		...written,
		fileSystem: "erofs",
		sizeBytes: virtualSizeBytes ?? usedBytes,
		problems: [
			...written.problems,
			...[...new Set(changed)].map((entry): DiskProblem => ({ path: entry, reason: "changed-while-read" })),
		],
	};
}
