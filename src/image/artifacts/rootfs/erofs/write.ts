import { ftruncateSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { encodeDevice, makeDisk, writeAll } from "../disk-file.ts";
import type { ContentReader, RootfsTree } from "../tree.ts";
import { encodeDirectory } from "./directory.ts";
import { BLOCK_BYTES, encodeFirstBlock, encodeInode, FLAT_INLINE, TYPE_BITS } from "./format.ts";
import { type ErofsPlan, namesOf, type PlannedInode, planErofs } from "./plan.ts";
import { AppendingWriter, SlidingWriter } from "./writers.ts";

export interface ErofsOptions {
	/** The file to make; it must not be there. It is removed again when packing fails or is interrupted. */
	readonly path: string;
	/** Seconds since 1970. */
	readonly epoch: number;
	/** Default "epoch": every time in it is the epoch. */
	readonly times?: "epoch" | "kept";
	/** 16 bytes as text with hyphens; the default is fixed. */
	readonly uuid?: string;
	/** Permissions of the file itself; default 0644. */
	readonly fileMode?: number;
	readonly signal?: AbortSignal | undefined;
	/** Content bytes written, and in all. */
	readonly progress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

const DEFAULT_UUID = "00000000-0000-4000-8000-000000000001";
/** Inodes written between two looks at the signal, as far as they have little data. */
const INODES_AT_A_TIME = 2000;

/** Packs a tree as an uncompressed erofs. The same tree gives the same bytes everywhere. */
export async function writeErofs(tree: RootfsTree, options: ErofsOptions): Promise<{ readonly sizeBytes: number }> {
	options.signal?.throwIfAborted();
	const plan = planErofs(tree, { epoch: options.epoch, times: options.times ?? "epoch" });
	await makeDisk(options.path, options.fileMode ?? 0o644, async (file) => {
		await new Writing(plan, file, options).run();
		// It may end in a hole. Not done before: ext4 takes five times as long to fill a file that has its length already.
		ftruncateSync(file, plan.blocks * BLOCK_BYTES);
	});
	return { sizeBytes: plan.blocks * BLOCK_BYTES };
}

class Writing {
	readonly #plan: ErofsPlan;
	readonly #file: number;
	readonly #options: ErofsOptions;
	readonly #meta: SlidingWriter;
	readonly #data: AppendingWriter;
	#doneBytes = 0;

	constructor(plan: ErofsPlan, file: number, options: ErofsOptions) {
		this.#plan = plan;
		this.#file = file;
		this.#options = options;
		this.#meta = new SlidingWriter(file, BLOCK_BYTES, (1 + plan.metaBlocks) * BLOCK_BYTES);
		this.#data = new AppendingWriter(file, (1 + plan.metaBlocks) * BLOCK_BYTES);
	}

	async run(): Promise<void> {
		let untilLook = INODES_AT_A_TIME;
		for (const inode of this.#plan.inodes) {
			this.#writeHead(inode);
			if (inode.node.kind === "file") await this.#copyContent(inode, inode.node.content.open());
			else this.#writeBytes(inode);
			untilLook -= 1;
			if (untilLook === 0 || this.#data.isBehind) {
				untilLook = INODES_AT_A_TIME;
				await this.#look();
			}
		}
		this.#meta.end();
		this.#data.end();
		const [root] = this.#plan.inodes;
		const first = encodeFirstBlock({
			rootNumber: root === undefined ? 0 : numberOf(root),
			inodes: this.#plan.inodes.length,
			epoch: this.#options.epoch,
			blocks: this.#plan.blocks,
			uuid: Buffer.from((this.#options.uuid ?? DEFAULT_UUID).replaceAll("-", ""), "hex"),
		});
		writeAll(this.#file, first, 0);
		this.#options.progress?.(this.#plan.contentBytes, this.#plan.contentBytes);
	}

	/** Lets everything else in this process have its turn. */
	async #look(): Promise<void> {
		this.#data.flush();
		await setImmediate();
		this.#options.signal?.throwIfAborted();
		this.#options.progress?.(this.#doneBytes, this.#plan.contentBytes);
	}

	#writeHead(inode: PlannedInode): void {
		const { node, inodeBytes, xattrs, layout } = inode;
		const isDevice = node.kind === "character-device" || node.kind === "block-device";
		const fields = {
			layout,
			mode: TYPE_BITS[node.kind] | node.meta.mode,
			links: inode.links,
			sizeBytes: inode.sizeBytes,
			location: isDevice ? encodeDevice(node.major, node.minor) : inode.block,
			serial: inode.serial,
			uid: node.meta.uid,
			gid: node.meta.gid,
			mtimeS: this.#options.times === "kept" ? node.meta.mtimeS : this.#options.epoch,
			mtimeNs: this.#options.times === "kept" ? node.meta.mtimeNs : 0,
			xattrBytes: xattrs.length,
		};
		const { buffer, at } = this.#meta.room(inode.offset, inodeBytes + xattrs.length + inlineBytesOf(inode));
		encodeInode(buffer, at, fields, inodeBytes);
		buffer.set(xattrs, at + inodeBytes);
	}

	#writeBytes(inode: PlannedInode): void {
		const bytes = this.#bytesOf(inode);
		if (bytes === undefined) return;
		const inline = inlineBytesOf(inode);
		if (bytes.length > inline) this.#data.writeBlocks(bytes.subarray(0, bytes.length - inline));
		const { buffer, at } = this.#meta.room(tailOffsetOf(inode), inline);
		buffer.set(bytes.subarray(bytes.length - inline), at);
		this.#doneBytes += bytes.length;
	}

	#bytesOf(inode: PlannedInode): Buffer | undefined {
		const { node } = inode;
		if (node.kind === "symlink") return Buffer.from(node.target, "latin1");
		if (node.kind !== "directory") return undefined;
		const entries = namesOf(node).map((name) => {
			const [child, kind] =
				name === "."
					? [inode, "directory" as const]
					: name === ".."
						? [inode.parent ?? inode, "directory" as const]
						: this.#child(node.children.get(name));
			return { name, kind, number: numberOf(child) };
		});
		return encodeDirectory(entries);
	}

	#child(node: PlannedInode["node"] | undefined): readonly [PlannedInode, PlannedInode["node"]["kind"]] {
		const inode = node === undefined ? undefined : this.#plan.byNode.get(node);
		if (node === undefined || inode === undefined) throw new TypeError("the tree changed while it was packed");
		return [inode, node.kind];
	}

	async #copyContent(inode: PlannedInode, reader: ContentReader): Promise<void> {
		try {
			const inline = inlineBytesOf(inode);
			for (let left = inode.sizeBytes - inline; left > 0; ) {
				const { buffer, at, bytes } = this.#data.room(left);
				reader.read(buffer, at, bytes);
				this.#data.used(bytes);
				left -= bytes;
				this.#doneBytes += bytes;
				if (this.#data.isBehind) await this.#look();
			}
			this.#data.pad();
			if (inline > 0) {
				const { buffer, at } = this.#meta.room(tailOffsetOf(inode), inline);
				reader.read(buffer, at, inline);
				this.#doneBytes += inline;
			}
		} finally {
			reader.close();
		}
	}
}

function numberOf({ offset }: PlannedInode): number {
	return offset / 32;
}

function inlineBytesOf({ layout, sizeBytes }: PlannedInode): number {
	return layout === FLAT_INLINE ? sizeBytes % BLOCK_BYTES : 0;
}

function tailOffsetOf({ offset, inodeBytes, xattrs }: PlannedInode): number {
	return offset + inodeBytes + xattrs.length;
}
