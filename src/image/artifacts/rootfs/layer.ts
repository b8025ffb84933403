import { equalBytes } from "../../../core/index.ts";
import { printablePath } from "../../../host/index.ts";
import type { Budget } from "./budget.ts";
import { checkDevice } from "./devices.ts";
import { checkedTarget, partsOf } from "./entry-path.ts";
import { Refusal } from "./source.ts";
import { type ByteStore, spanOf } from "./stores.ts";
import type { TarEntry } from "./tar/reader.ts";
import { type Content, type LeafNode, MAX_OWNER, type NodeMeta } from "./tree.ts";
import { keptXattrs } from "./xattr-rules.ts";

/** What one layer says, before it is laid over those below. */
export interface LayerFolder {
	readonly kind: "folder";
	/** Undefined when only its contents are spoken of. */
	meta: NodeMeta | undefined;
	/** Nothing of the layers below shows in it. */
	opaque: boolean;
	/** Names of the layers below that are gone. */
	readonly whiteouts: Set<string>;
	readonly children: Map<string, LayerNode>;
}

export interface LayerLink {
	readonly kind: "link";
	/** From the root of the image. */
	readonly target: readonly string[];
	/** Printable. */
	readonly shown: string;
}

export type LayerNode = LayerFolder | LayerLink | { readonly kind: "leaf"; readonly node: LeafNode };

/** Whether `.wh.` means what OCI image-spec layer.md says; in a plain archive it is a name like any other. */
export type WhiteoutRule = "whiteouts" | "plain-names";

const [WHITEOUT, RESERVED, OPAQUE] = [".wh.", ".wh..wh.", ".wh..wh..opq"];

/**
 * Gathers the entries of one layer. Their order does not matter, so one name must not mean two things: a second entry for it is
 * refused unless it says the same.
 */
export class Layer {
	readonly root: LayerFolder = newFolder();
	readonly #budget: Budget;
	readonly #whiteouts: WhiteoutRule;
	#entries = 0;
	readonly #twins: { readonly shown: string; readonly left: Content; readonly right: Content }[] = [];

	constructor(budget: Budget, whiteouts: WhiteoutRule) {
		this.#budget = budget;
		this.#whiteouts = whiteouts;
	}

	get entries(): number {
		return this.#entries;
	}

	/** Throws Refusal. The store is where the entry's contents are, or will be when `finish` is called. */
	add(entry: TarEntry, store: ByteStore): void {
		const shown = printablePath(entry.path);
		this.#entries += 1;
		this.#budget.countEntry(shown, memoryOf(entry));
		const parts = partsOf(entry.path, this.#budget.limits.maxDepth);
		if (this.#whiteouts === "whiteouts" && parts.some((part) => part.startsWith(WHITEOUT))) {
			this.#addWhiteout(parts, shown);
		} else if (entry.kind === "directory") {
			this.#addFolder(this.#folderAt(parts, shown), entry, shown);
		} else {
			this.#addLeaf(parts, entry, store);
		}
	}

	/** All of the layer has come. */
	finish(): void {
		for (const { shown, left, right } of this.#twins) {
			if (!sameContents(left, right)) throw new Refusal(shown, TWO_MEANINGS);
		}
		this.#twins.length = 0;
	}

	#addLeaf(parts: readonly string[], entry: TarEntry, store: ByteStore): void {
		const shown = printablePath(entry.path);
		const name = parts.at(-1);
		if (name === undefined) throw new Refusal(shown, "the root can only be a folder");
		const parent = this.#folderAt(parts.slice(0, -1), shown);
		const node = entry.kind === "hardlink" ? this.#link(entry, shown) : leafOf(entry, store);
		const there = parent.children.get(name);
		if (there === undefined) parent.children.set(name, node);
		else this.#compare(there, node, shown);
	}

	#addFolder(folder: LayerFolder, entry: TarEntry, shown: string): void {
		const meta = metaOf(entry, entry.mode);
		if (folder.meta !== undefined && !sameMeta(folder.meta, meta)) throw new Refusal(shown, TWO_MEANINGS);
		folder.meta = meta;
	}

	#addWhiteout(parts: readonly string[], shown: string): void {
		// `.wh..wh.` anywhere: what aufs kept for itself.
		if (parts.some((part) => part.startsWith(RESERVED) && part !== OPAQUE)) return;
		const [folders, name = ""] = [parts.slice(0, -1), parts.at(-1)];
		if (folders.some((part) => part.startsWith(WHITEOUT))) {
			throw new Refusal(shown, "its path leads through a whiteout");
		}
		const parent = this.#folderAt(folders, shown);
		if (name === OPAQUE) {
			parent.opaque = true;
			return;
		}
		const removed = name.slice(WHITEOUT.length);
		if (removed === "" || removed === "." || removed === "..") {
			throw new Refusal(shown, "it removes nothing that has a name");
		}
		parent.whiteouts.add(removed);
	}

	#folderAt(parts: readonly string[], shown: string): LayerFolder {
		let folder = this.root;
		for (const part of parts) {
			let inner = folder.children.get(part);
			if (inner === undefined) {
				this.#budget.countEntry(shown, part.length);
				inner = newFolder();
				folder.children.set(part, inner);
			}
			if (inner.kind !== "folder")
				throw new Refusal(shown, "its path leads through what is no folder in the same layer");
			folder = inner;
		}
		return folder;
	}

	#link(entry: TarEntry, shown: string): LayerLink {
		const target = partsOf(checkedTarget(entry.path, entry.link), this.#budget.limits.maxDepth);
		if (target.length === 0) throw new Refusal(shown, "it is a hard link to a folder");
		return { kind: "link", target, shown };
	}

	#compare(there: LayerNode, node: LayerNode, shown: string): void {
		if (!isSame(there, node)) throw new Refusal(shown, TWO_MEANINGS);
		if (there.kind !== "leaf" || node.kind !== "leaf") return;
		if (there.node.kind !== "file" || node.node.kind !== "file") return;
		this.#twins.push({ shown, left: there.node.content, right: node.node.content });
	}
}

const TWO_MEANINGS = "the layer has it twice, and not the same";

function newFolder(): LayerFolder {
	return { kind: "folder", meta: undefined, opaque: false, whiteouts: new Set(), children: new Map() };
}

function memoryOf(entry: TarEntry): number {
	return entry.xattrs.reduce(
		(sum, { name, value }) => sum + name.length + value.length,
		entry.path.length + entry.link.length,
	);
}

function metaOf(entry: TarEntry, mode: number): NodeMeta {
	const shown = printablePath(entry.path);
	if (entry.uid > MAX_OWNER || entry.gid > MAX_OWNER) throw new Refusal(shown, "its owner is not one that Linux has");
	const xattrs = keptXattrs(entry.path, entry.xattrs);
	return { mode, uid: entry.uid, gid: entry.gid, mtimeS: 0, mtimeNs: 0, xattrs };
}

const LINK_MODE = 0o777;

function leafOf(entry: TarEntry, store: ByteStore): LayerNode {
	switch (entry.kind) {
		case "symlink": {
			const target = checkedTarget(entry.path, entry.link);
			return { kind: "leaf", node: { kind: "symlink", meta: metaOf(entry, LINK_MODE), target } };
		}
		case "character-device":
		case "block-device": {
			const { kind, major, minor } = entry;
			checkDevice(printablePath(entry.path), { kind, major, minor });
			return { kind: "leaf", node: { kind, meta: metaOf(entry, entry.mode), major, minor } };
		}
		case "fifo":
			return { kind: "leaf", node: { kind: "fifo", meta: metaOf(entry, entry.mode) } };
		case "file":
		case "directory":
		case "hardlink": {
			const content = spanOf(store, entry.offset, entry.sizeBytes);
			return { kind: "leaf", node: { kind: "file", meta: metaOf(entry, entry.mode), content } };
		}
	}
}

function sameMeta(left: NodeMeta, right: NodeMeta): boolean {
	const owners = left.mode === right.mode && left.uid === right.uid && left.gid === right.gid;
	return owners && left.xattrs.length === right.xattrs.length && left.xattrs.every(isXattrOf(right));
}

function isXattrOf({ xattrs }: NodeMeta) {
	return ({ name, value }: NodeMeta["xattrs"][number], index: number): boolean => {
		const other = xattrs[index];
		return other?.name === name && equalBytes(other.value, value);
	};
}

/** But for the contents of files, which may not have come yet. */
function isSame(left: LayerNode, right: LayerNode): boolean {
	if (left.kind === "link" && right.kind === "link") return left.target.join("/") === right.target.join("/");
	if (left.kind !== "leaf" || right.kind !== "leaf") return false;
	const [one, two] = [left.node, right.node];
	if (!sameMeta(one.meta, two.meta)) return false;
	if (one.kind === "file") return two.kind === "file" && one.content.sizeBytes === two.content.sizeBytes;
	if (one.kind === "symlink") return two.kind === "symlink" && one.target === two.target;
	if (one.kind === "fifo") return two.kind === "fifo";
	return two.kind === one.kind && one.major === two.major && one.minor === two.minor;
}

const COMPARED_BYTES = 1 << 20;

function sameContents(left: Content, right: Content): boolean {
	const [one, two] = [left.open(), right.open()];
	const [first, second] = [Buffer.alloc(COMPARED_BYTES), Buffer.alloc(COMPARED_BYTES)];
	for (let rest = left.sizeBytes; rest > 0; ) {
		const bytes = Math.min(rest, COMPARED_BYTES);
		one.read(first, 0, bytes);
		two.read(second, 0, bytes);
		if (first.compare(second, 0, bytes, 0, bytes) !== 0) return false;
		rest -= bytes;
	}
	return true;
}
