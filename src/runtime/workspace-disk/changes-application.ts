import {
	closeSync,
	constants,
	fchmodSync,
	fchownSync,
	fstatSync,
	futimesSync,
	mkdirSync,
	openSync,
	unlinkSync,
} from "node:fs";
import { join } from "node:path";
import { printablePath } from "../../host/index.ts";
import { judgeTree, type KnownEntries, MAX_DEPTH } from "./baseline.ts";
import type { ChangeRecord } from "./changes-record.ts";
import type { SpooledChanges } from "./changes-spool.ts";
import { below, codeOf, namesIn, openFolderBelow, statBelow } from "./open-folder.ts";
import { type Place, putFile, putLink, removeTree, writeContents } from "./replacement.ts";

/** Why a change was not brought in. */
export type RefusalReason =
	/** An entry that stays read-only, such as the policies that govern the workspace. */
	| "protected"
	/** The host's entry is not the one that the guest was shown. */
	| "conflict"
	/** Nothing of the workspace would be left: see `wipe.ts`. */
	| "removes-everything"
	/** What should be its folder is none now: a link or a file took its place. */
	| "not-a-folder"
	| "mount-point"
	| "too-deep"
	| "not-permitted"
	| "no-space"
	| "failed";

export interface RefusedChange {
	/** Printable. */
	readonly path: string;
	readonly reason: RefusalReason;
	/** Where the guest's version of a file in conflict is kept; null when there is none. */
	readonly keptAs: string | null;
}

export interface AppliedChanges {
	readonly files: number;
	readonly folders: number;
	readonly links: number;
	readonly removed: number;
	/** Bytes of the files. */
	readonly bytes: number;
	/** The first thousand; `refusedCount` are there in all. */
	readonly refused: readonly RefusedChange[];
	readonly refusedCount: number;
	/** Devices, sockets and pipes that the workload made: they are never brought in. Printable; the first thousand. */
	readonly skipped: readonly string[];
	readonly skippedCount: number;
}

export interface ApplicationParts {
	readonly changes: SpooledChanges;
	/** The workspace, owned by the caller. */
	readonly rootFd: number;
	/** Raw names. */
	readonly protected: ReadonlySet<string>;
	readonly known: KnownEntries | null;
	readonly owner: Place["owner"];
	readonly keepDirectory: string;
	readonly pace: () => Promise<void>;
}

/** A folder of the stream whose entries are being brought in. */
interface Frame {
	/** Null when its own record was refused, and so is all below it. */
	readonly fd: number | null;
	readonly refusal: RefusalReason | null;
	/** Raw path. */
	readonly path: string;
	/** What the guest was shown in it; null without a baseline, undefined when it was shown no such folder. */
	readonly known: KnownEntries | null | undefined;
	/** Set when what the stream does not name in it must go. */
	readonly named: Set<string> | null;
	/** Applied once its entries are in; null leaves what is there. */
	readonly final: { readonly mode: number | null; readonly modifiedSeconds: number } | null;
}

const LISTED = 1000;
/** Names of errno(3) that mean the same to a person. */
const REASONS: Readonly<Record<string, RefusalReason>> = {
	EACCES: "not-permitted",
	EPERM: "not-permitted",
	EROFS: "not-permitted",
	ENOSPC: "no-space",
	EDQUOT: "no-space",
	EFBIG: "no-space",
	EBUSY: "mount-point",
	ELOOP: "not-a-folder",
	ENOTDIR: "not-a-folder",
};

class Refused extends Error {
	readonly reason: RefusalReason;
	constructor(reason: RefusalReason) {
		super(reason);
		this.reason = reason;
	}
}

/** Brings well-formed changes into a workspace, one entry after the other; what can't be brought in is said and left. */
export class Application {
	readonly #parts: ApplicationParts;
	readonly #frames: Frame[] = [];
	readonly #counts = { files: 0, folders: 0, links: 0, removed: 0, bytes: 0 };
	readonly #refused: RefusedChange[] = [];
	readonly #skipped: string[] = [];
	#refusedCount = 0;
	#skippedCount = 0;
	#keptCount = 0;

	constructor(parts: ApplicationParts) {
		this.#parts = parts;
		this.#frames.push({ fd: parts.rootFd, refusal: null, path: "", known: parts.known, named: null, final: null });
	}

	async run(): Promise<AppliedChanges> {
		try {
			for (const record of this.#parts.changes.records) {
				await this.#parts.pace();
				await this.#leaveTo(record.depth);
				await this.#take(record);
			}
			await this.#leaveTo(0);
		} finally {
			for (const { fd } of this.#frames.splice(1)) if (fd !== null) closeSync(fd);
		}
		return {
			...this.#counts,
			refused: this.#refused,
			refusedCount: this.#refusedCount,
			skipped: this.#skipped,
			skippedCount: this.#skippedCount,
		};
	}

	async #take(record: ChangeRecord): Promise<void> {
		const frame = this.#frames[record.depth];
		if (frame === undefined) throw new TypeError("a record below no folder");
		const path = frame.path === "" ? record.name : `${frame.path}/${record.name}`;
		frame.named?.add(record.name);
		const isFolder = record.kind === "folder" || record.kind === "opaque-folder";
		try {
			if (frame.fd === null) throw new Refused(frame.refusal ?? "failed");
			if (record.depth === 0 && this.#parts.protected.has(record.name)) throw new Refused("protected");
			if (record.depth > MAX_DEPTH) throw new Refused("too-deep");
			if (isFolder) this.#frames.push(await this.#enter(frame, frame.fd, record, path));
			else await this.#put(frame, frame.fd, record, path);
		} catch (error) {
			const reason = this.#refuse(path, error, await this.#keep(record, error));
			if (isFolder) this.#frames.push({ fd: null, refusal: reason, path, known: undefined, named: null, final: null });
		}
	}

	async #put(frame: Frame, folderFd: number, record: ChangeRecord, path: string): Promise<void> {
		const place = { folderFd, name: record.name, owner: this.#parts.owner };
		switch (record.kind) {
			case "skipped":
				this.#skippedCount += 1;
				if (this.#skipped.length < LISTED) this.#skipped.push(printablePath(path));
				return;
			case "removed":
				await this.#remove(frame, place, record.depth);
				return;
			case "file":
				await this.#mayReplace(frame, place, record.depth);
				await putFile(place, record, this.#parts.changes, this.#parts.pace);
				this.#counts.files += 1;
				this.#counts.bytes += record.sizeBytes;
				return;
			case "link":
				await this.#mayReplace(frame, place, record.depth);
				await putLink(place, record);
				this.#counts.links += 1;
				return;
			case "folder":
			case "opaque-folder":
				throw new TypeError("a folder is entered, not put");
		}
	}

	async #remove(frame: Frame, place: Place, depth: number): Promise<void> {
		if (statBelow(place.folderFd, place.name) === undefined) return;
		await this.#mayReplace(frame, place, depth);
		await removeTree(place, this.#parts.pace);
		this.#counts.removed += 1;
	}

	/** Opens the folder of a record, made first when there is none. */
	async #enter(frame: Frame, folderFd: number, record: ChangeRecord, path: string): Promise<Frame> {
		const place = { folderFd, name: record.name, owner: this.#parts.owner };
		const before = statBelow(folderFd, record.name);
		const merges = before?.isDirectory() === true;
		if (!merges) {
			if (before !== undefined) {
				await this.#mayReplace(frame, place, record.depth);
				unlinkSync(below(folderFd, record.name));
			}
			mkdirSync(below(folderFd, record.name), 0o700);
		}
		const fd = openFolderBelow(folderFd, record.name);
		try {
			const final = this.#prepareFolder(fd, record, merges ? "there-before" : "made-now", path);
			if (!merges || final.mode !== null) this.#counts.folders += 1;
			const replaces = record.kind === "opaque-folder" || frame.named !== null;
			const known = frame.known === null ? null : frame.known?.get(record.name)?.entries;
			return {
				fd,
				refusal: null,
				path,
				known: known ?? (frame.known === null ? null : undefined),
				named: replaces && merges ? new Set() : null,
				final,
			};
		} catch (error) {
			closeSync(fd);
			throw error;
		}
	}

	/** Makes it writable for as long as its entries are brought in; says what it must be afterwards. */
	#prepareFolder(
		fd: number,
		record: ChangeRecord,
		origin: "there-before" | "made-now",
		path: string,
	): NonNullable<Frame["final"]> {
		const { owner } = this.#parts;
		const stats = fstatSync(fd);
		if (origin === "made-now" && owner !== null) {
			// Another folder that was moved to this name meanwhile must not be given away.
			if (stats.uid !== process.geteuid?.() || namesIn(fd).length > 0) throw new Refused("conflict");
			fchownSync(fd, owner.userId, owner.groupId);
		}
		const mode = stats.mode & 0o7777;
		// Its own set-group-id and sticky bits are the host's to give.
		const wanted = (mode & 0o7000) | (record.mode & 0o777);
		const final = { mode: wanted === mode ? null : wanted, modifiedSeconds: record.modifiedSeconds };
		if (final.mode === null) return final;
		try {
			fchmodSync(fd, wanted | 0o700);
		} catch (error) {
			this.#refuse(path, error, null);
			return { ...final, mode: null };
		}
		return final;
	}

	/** Ends folders down to the one at this depth: now they get their own mode, and lose what the guest replaced. */
	async #leaveTo(depth: number): Promise<void> {
		while (this.#frames.length > depth + 1) {
			const frame = this.#frames.at(-1);
			if (frame === undefined) return;
			if (frame.fd !== null) await this.#finish(frame, frame.fd);
			this.#frames.pop();
			if (frame.fd !== null) closeSync(frame.fd);
		}
	}

	async #finish(frame: Frame, fd: number): Promise<void> {
		const depth = this.#frames.length - 1;
		const { named, final } = frame;
		for (const name of named === null ? [] : namesIn(fd).filter((inner) => !named.has(inner))) {
			try {
				await this.#remove(frame, { folderFd: fd, name, owner: null }, depth);
			} catch (error) {
				this.#refuse(`${frame.path}/${name}`, error, null);
			}
		}
		if (final === null) return;
		try {
			if (final.mode !== null) fchmodSync(fd, final.mode);
			futimesSync(fd, final.modifiedSeconds, final.modifiedSeconds);
		} catch (error) {
			if (final.mode !== null) this.#refuse(frame.path, error, null);
		}
	}

	async #mayReplace(frame: Frame, place: Place, depth: number): Promise<void> {
		const known = frame.known === null ? null : frame.known?.get(place.name);
		const judged = await judgeTree({ folderFd: place.folderFd, name: place.name, depth, known }, this.#parts.pace);
		if (judged === "changed") throw new Refused("conflict");
		if (judged !== "unchanged") throw new Refused(judged);
	}

	/** Work that would be lost is kept beside the run's record. */
	async #keep(record: ChangeRecord, error: unknown): Promise<string | null> {
		if (record.kind !== "file" || !(error instanceof Refused) || error.reason !== "conflict") return null;
		const { fd, path } = this.#openUnusedName();
		try {
			await writeContents(fd, record, this.#parts.changes, this.#parts.pace);
		} finally {
			closeSync(fd);
		}
		return path;
	}

	/** What an earlier application kept in the same directory stays: it is somebody's work too. */
	#openUnusedName(): { fd: number; path: string } {
		while (true) {
			this.#keptCount += 1;
			const path = join(this.#parts.keepDirectory, `conflict-${this.#keptCount}`);
			try {
				const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
				return { fd: openSync(path, flags, 0o600), path };
			} catch (error) {
				if (codeOf(error) !== "EEXIST") throw error;
			}
		}
	}

	#refuse(path: string, error: unknown, keptAs: string | null): RefusalReason {
		if (!(error instanceof Refused) && codeOf(error) === "") throw error;
		const reason = error instanceof Refused ? error.reason : (REASONS[codeOf(error)] ?? "failed");
		this.#refusedCount += 1;
		if (this.#refused.length < LISTED) this.#refused.push({ path: printablePath(path), reason, keptAs });
		return reason;
	}
}
