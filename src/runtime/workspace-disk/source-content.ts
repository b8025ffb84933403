import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { printablePath } from "../../host/index.ts";
import type { Content, ContentReader } from "../../image/index.ts";
import { below, codeOf, openFolderBelow, SAFE_READ } from "./open-folder.ts";

/** A folder that was walked, and how to get there again: each part by itself, following nothing. */
export interface SourceFolder {
	/** Null for a source itself, which stays open. */
	readonly above: { readonly folder: SourceFolder; readonly name: string } | null;
	readonly rootFd: number;
	/** Raw: below the workspace (itself empty), or absolute for further host paths. */
	readonly path: string;
	readonly depth: number;
}

/** The way to the folder whose files are being read, as open descriptors: a disk of 50,000 files can't hold them all. */
export class OpenChain implements Disposable {
	readonly #open: { readonly folder: SourceFolder; readonly fd: number }[] = [];

	fdOf(folder: SourceFolder): number {
		if (folder.above === null) return folder.rootFd;
		const known = this.#open[folder.depth - 1];
		if (known?.folder === folder) return known.fd;
		const parentFd = this.fdOf(folder.above.folder);
		this.#closeFrom(folder.depth - 1);
		const fd = openFolderBelow(parentFd, folder.above.name);
		this.#open.push({ folder, fd });
		return fd;
	}

	#closeFrom(index: number): void {
		for (const { fd } of this.#open.splice(index)) closeSync(fd);
	}

	[Symbol.dispose](): void {
		this.#closeFrom(0);
	}
}

export interface SourceFile {
	readonly folder: SourceFolder;
	readonly name: string;
	readonly sizeBytes: number;
	/** Modification and change times, to see whether it held still. */
	readonly times: string;
}

export type StaleReason = "permission" | "vanished" | "io-error" | "changed-while-read";

/** What became of files while they were read. */
export interface ReadReport {
	/** Raw paths of files that a reader can't be given whole: the disk has to be made again. */
	readonly stale: Map<string, StaleReason>;
	/** Printable paths of files that were written meanwhile: what was read is of no one moment. */
	readonly torn: Set<string>;
}

export function timesOf({ mtimeNs, ctimeNs }: { mtimeNs: bigint; ctimeNs: bigint }): string {
	return `${mtimeNs}:${ctimeNs}`;
}

/** A file's contents, exactly as many bytes as it had when its folder was walked. What is missing reads as zeros. */
export function sourceContent(chain: OpenChain, file: SourceFile, report: ReadReport): Content {
	return { sizeBytes: file.sizeBytes, open: () => new SourceReader(chain, file, report) };
}

class SourceReader implements ContentReader {
	readonly #file: SourceFile;
	readonly #report: ReadReport;
	readonly #fd: number | null;
	#position = 0;

	constructor(chain: OpenChain, file: SourceFile, report: ReadReport) {
		this.#file = file;
		this.#report = report;
		this.#fd = this.#open(chain);
	}

	#open(chain: OpenChain): number | null {
		const { folder, name, sizeBytes } = this.#file;
		let fd: number | null = null;
		try {
			fd = openSync(below(chain.fdOf(folder), name), SAFE_READ);
			const stats = fstatSync(fd);
			if (stats.isFile() && stats.size >= sizeBytes) return fd;
			this.#stale("changed-while-read");
		} catch (error) {
			if (codeOf(error) === "") throw error;
			this.#stale(staleReason(codeOf(error)));
		}
		if (fd !== null) closeSync(fd);
		return null;
	}

	read(into: Buffer, offset: number, length: number): void {
		let done = 0;
		while (this.#fd !== null && done < length) {
			const read = this.#readSome(this.#fd, into, offset + done, length - done);
			if (read === 0) break;
			done += read;
			this.#position += read;
		}
		if (done === length) return;
		into.fill(0, offset + done, offset + length);
		if (this.#fd !== null) this.#stale("changed-while-read");
	}

	#readSome(fd: number, into: Buffer, offset: number, length: number): number {
		try {
			return readSync(fd, into, offset, length, this.#position);
		} catch (error) {
			if (codeOf(error) === "") throw error;
			this.#stale("io-error");
			return 0;
		}
	}

	close(): void {
		if (this.#fd === null) return;
		const stats = fstatSync(this.#fd, { bigint: true });
		closeSync(this.#fd);
		if (timesOf(stats) !== this.#file.times) this.#report.torn.add(printablePath(this.#path()));
	}

	#stale(reason: StaleReason): void {
		if (!this.#report.stale.has(this.#path())) this.#report.stale.set(this.#path(), reason);
	}

	#path(): string {
		const { folder, name } = this.#file;
		return folder.path === "" ? name : `${folder.path}/${name}`;
	}
}

function staleReason(code: string): StaleReason {
	if (code === "EACCES" || code === "EPERM") return "permission";
	if (code === "ENOENT") return "vanished";
	return code === "ELOOP" || code === "ENOTDIR" || code === "ENXIO" ? "changed-while-read" : "io-error";
}
