import { printablePath } from "../../../host/index.ts";
import type { Layer, LayerFolder, LayerLink } from "./layer.ts";
import { Refusal } from "./source.ts";
import {
	type DirectoryNode,
	directoryNode,
	entriesOf,
	type LeafNode,
	MAX_PATH_BYTES,
	type RootfsNode,
	type RootfsTree,
} from "./tree.ts";

/** Lays a layer over what is there (OCI image-spec layer.md). Throws Refusal; the tree is of no use then. */
export function applyLayer(tree: RootfsTree, layer: Layer): void {
	new Overlaying(tree.root).apply(layer.root);
}

interface WaitingLink {
	readonly parent: DirectoryNode;
	readonly name: string;
	readonly link: LayerLink;
}

interface WaitingFolder {
	/** The folders from the root to the one that has the name. */
	readonly trail: Trail;
	readonly name: string;
	readonly folder: LayerFolder;
	readonly path: string;
}

class Overlaying {
	readonly #walk: Walk;
	readonly #root: DirectoryNode;
	/** What this layer itself put there or speaks of: no second part of it may, by another path. */
	readonly #fresh = new Set<RootfsNode>();
	readonly #described = new Set<DirectoryNode>();
	readonly #links = new Map<DirectoryNode, Map<string, WaitingLink>>();
	readonly #throughLinks: WaitingFolder[] = [];

	constructor(root: DirectoryNode) {
		this.#root = root;
		this.#walk = new Walk(root);
	}

	apply(folder: LayerFolder): void {
		this.#merge([this.#root], folder, "");
		// After all else, so that it does not matter where in the layer they stood.
		for (let waiting = this.#throughLinks.pop(); waiting !== undefined; waiting = this.#throughLinks.pop()) {
			this.#mergeThroughLink(waiting);
		}
		for (const links of this.#links.values()) for (const waiting of links.values()) this.#resolve(waiting);
	}

	#merge(trail: Trail, folder: LayerFolder, path: string): void {
		const base = trail.at(-1) ?? this.#root;
		if (folder.meta !== undefined) {
			if (this.#described.has(base)) throw twice(path);
			this.#described.add(base);
			base.meta = folder.meta;
		}
		this.#fresh.add(base);
		// Whiteouts speak of the layers below alone, so they go first.
		if (folder.opaque) base.children.clear();
		for (const name of folder.whiteouts) base.children.delete(name);
		for (const [name, child] of folder.children) {
			const at = `${path}/${name}`;
			if (this.#links.get(base)?.has(name)) throw twice(at);
			if (child.kind === "folder") this.#mergeFolder(trail, base, name, child, at);
			else if (child.kind === "leaf") this.#put(base, name, child.node, at);
			else this.#await({ parent: base, name, link: child }, at);
		}
	}

	#mergeFolder(trail: Trail, parent: DirectoryNode, name: string, folder: LayerFolder, path: string): void {
		const there = parent.children.get(name);
		if (there?.kind === "directory") {
			this.#merge([...trail, there], folder, path);
		} else if (there !== undefined && this.#fresh.has(there)) {
			throw twice(path);
		} else if (there === undefined || folder.meta !== undefined) {
			const node = directoryNode();
			parent.children.set(name, node);
			this.#merge([...trail, node], folder, path);
		} else if (there.kind === "symlink") {
			this.#throughLinks.push({ trail, name, folder, path });
		} else {
			throw new Refusal(path, "its path leads through what is no folder");
		}
	}

	/**
	 * Entries below a name that a layer further down made a symbolic link, like /bin: they go where it leads inside of the image,
	 * as every other tool that unpacks layers has it.
	 */
	#mergeThroughLink({ trail, name, folder, path }: WaitingFolder): void {
		const found = this.#walk.from(trail, [name], path);
		if (found === undefined)
			throw new Refusal(path, "its path leads through a link that leads to no folder of the image");
		if (hasWhiteouts(folder)) throw new Refusal(path, "the path of a whiteout leads through a link");
		this.#merge(found, folder, path);
	}

	#put(parent: DirectoryNode, name: string, node: LeafNode, path: string): void {
		const there = parent.children.get(name);
		if (there !== undefined && this.#fresh.has(there)) throw twice(path);
		this.#fresh.add(node);
		parent.children.set(name, node);
	}

	#await(waiting: WaitingLink, path: string): void {
		const { parent, name } = waiting;
		const there = parent.children.get(name);
		if (there !== undefined && this.#fresh.has(there)) throw twice(path);
		// What it replaces is gone before anything is looked up: a link can't mean what it stands in place of.
		parent.children.delete(name);
		const links = this.#links.get(parent) ?? new Map<string, WaitingLink>();
		this.#links.set(parent, links.set(name, waiting));
	}

	/** A link may lead to another link of the layer, which may come later: the whole row of them gets the node at its end. */
	#resolve(start: WaitingLink): void {
		const row: WaitingLink[] = [];
		const seen = new Set<WaitingLink>();
		let node: RootfsNode | undefined;
		for (let waiting: WaitingLink | undefined = start; waiting !== undefined; ) {
			const { target, shown }: LayerLink = waiting.link;
			if (seen.has(waiting)) throw new Refusal(shown, "it is a hard link to itself");
			seen.add(waiting);
			row.push(waiting);
			const parent: DirectoryNode | undefined = this.#walk.from([this.#root], target.slice(0, -1), shown)?.at(-1);
			const name = target.at(-1) ?? "";
			node = parent?.children.get(name);
			waiting = node === undefined && parent !== undefined ? this.#links.get(parent)?.get(name) : undefined;
		}
		if (node === undefined || node.kind === "directory") {
			const what = node === undefined ? "what the image does not have" : "a folder";
			throw new Refusal(row.at(-1)?.link.shown ?? "", `it is a hard link to ${what}`);
		}
		for (const { parent, name } of row) parent.children.set(name, node);
	}
}

function hasWhiteouts(folder: LayerFolder): boolean {
	const inner = [...folder.children.values()];
	return (
		folder.opaque || folder.whiteouts.size > 0 || inner.some((child) => child.kind === "folder" && hasWhiteouts(child))
	);
}

function twice(path: string): Refusal {
	return new Refusal(path, "the layer has it twice, once through a link");
}

/** fs/namei.c MAXSYMLINKS. */
const MAX_LINKS = 40;
/** Parts of paths looked up for one layer: an honest one needs a few for each hard link. */
const MAX_STEPS = 20_000_000;

/** The folders from the root of the image to one, the root first. */
type Trail = readonly DirectoryNode[];

/** Walks as chroot(2) would have it: `/` and `..` never lead out of the image. */
class Walk {
	readonly #root: DirectoryNode;
	#steps = 0;

	constructor(root: DirectoryNode) {
		this.#root = root;
	}

	/** The folder that a path leads to from another, links on the way and at the end followed; undefined when there is none. */
	from(start: Trail, parts: readonly string[], shown: string): Trail | undefined {
		let trail = [...start];
		let links = 0;
		const ahead = [...parts].reverse();
		for (let part = ahead.pop(); part !== undefined; part = ahead.pop()) {
			this.#steps += 1;
			if (this.#steps > MAX_STEPS) throw new Refusal(shown, "the links of the layer lead through too many folders");
			if (part === "" || part === ".") continue;
			if (part === "..") {
				if (trail.length > 1) trail.pop();
				continue;
			}
			const node = trail.at(-1)?.children.get(part);
			if (node?.kind === "directory") trail.push(node);
			else if (node?.kind === "symlink" && links < MAX_LINKS) {
				links += 1;
				if (node.target.startsWith("/")) trail = [this.#root];
				ahead.push(...node.target.split("/").reverse());
			} else return undefined;
		}
		return trail;
	}
}

/** Links may have put folders below folders that were deep already. Throws Refusal when the whole is too deep to be used. */
export function checkDepth(tree: RootfsTree, maxDepth: number): void {
	for (const { path, node } of entriesOf(tree)) {
		const isTooDeep = path.length > MAX_PATH_BYTES || (node.kind === "directory" && path.split("/").length > maxDepth);
		if (isTooDeep) throw new Refusal(printablePath(path).slice(0, 200), `it is over ${maxDepth} folders deep`);
	}
}
