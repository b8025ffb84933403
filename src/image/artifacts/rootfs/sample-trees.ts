/** Random trees, and a tree as plain text, for tests that make one in one way and look at it in another. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import {
	bytesContent,
	type DirectoryNode,
	directoryNode,
	entriesOf,
	type LeafNode,
	type NodeMeta,
	type RootfsNode,
	type RootfsTree,
	type Xattr,
} from "./tree.ts";

const names = fc.oneof(
	fc.stringMatching(/^[a-c]{1,2}$/),
	fc.stringMatching(/^[!-.0-~]{1,12}$/).filter((name) => name !== "." && name !== ".."),
	fc.constantFrom("-", "...", " ", "é\u{1f600}", "x".repeat(255), "y".repeat(150)),
);
const rawNames = names.map((name) => Buffer.from(name, "utf8").toString("latin1").slice(0, 255));

/** VFS_CAP_REVISION_2 with cap_net_raw: the kernel shows no other value of this name than one that means something. */
const CAPABILITY: Xattr = {
	name: "security.capability",
	value: Buffer.from("0100000200200000000000000000000000000000", "hex"),
};

const xattrs: fc.Arbitrary<readonly Xattr[]> = fc.uniqueArray(
	fc.oneof(
		fc.constant(CAPABILITY),
		fc.record({
			name: fc.constantFrom("security.x", "user.a", "user.b", "trusted.x", "user.long".padEnd(200, "g")),
			value: fc.uint8Array({ maxLength: 300 }),
		}),
	),
	{ maxLength: 3, selector: ({ name }) => name },
);

const metas: fc.Arbitrary<NodeMeta> = fc.record({
	mode: fc.oneof(fc.constantFrom(0o755, 0o644, 0o4755, 0o1777), fc.integer({ min: 0, max: 0o7777 })),
	uid: fc.oneof(fc.constantFrom(0, 1000), fc.constantFrom(65535, 65536, 4_000_000_000)),
	gid: fc.constantFrom(0, 42, 70_000),
	mtimeS: fc.constant(0),
	mtimeNs: fc.constant(0),
	xattrs: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: xattrs }),
});

/** Of what is neither file nor folder: the kernel shows no `user.` xattrs there. */
const specialMetas = metas.map((meta) => ({
	...meta,
	xattrs: meta.xattrs.filter(({ name }) => !name.startsWith("user.")),
}));

const sizes = fc.oneof(
	fc.integer({ min: 0, max: 40 }),
	fc.constantFrom(4000, 4064, 4065, 4095, 4096, 4097, 8192, 70_000, 1_200_000),
);
const bodies = fc.tuple(sizes, fc.integer({ min: 1, max: 255 })).map(([size, seed]) => {
	const body = Buffer.alloc(size, Buffer.from([seed, 1, 2, 3]));
	// A run of zeros in the middle of the longest.
	return size > 1_000_000 ? body.fill(0, 5000, size - 100) : body;
});

const leaves: fc.Arbitrary<LeafNode> = fc.oneof(
	{
		weight: 5,
		arbitrary: fc.record({ kind: fc.constant("file" as const), meta: metas, content: bodies.map(bytesContent) }),
	},
	{
		weight: 2,
		arbitrary: fc.record({
			kind: fc.constant("symlink" as const),
			meta: metas.map((meta) => ({ ...meta, mode: 0o777, xattrs: [] })),
			target: fc.constantFrom("/etc/passwd", "../..", "a", "t".repeat(4095), "u".repeat(150)),
		}),
	},
	fc.record({
		kind: fc.constantFrom("character-device" as const, "block-device" as const),
		meta: specialMetas,
		major: fc.integer({ min: 0, max: 4095 }),
		minor: fc.integer({ min: 0, max: 0xfffff }),
	}),
	fc.record({ kind: fc.constant("fifo" as const), meta: specialMetas }),
);

interface Sprig {
	readonly name: string;
	readonly leaf: LeafNode | undefined;
	readonly meta: NodeMeta;
	readonly inner: readonly Sprig[];
	/** Makes it a second name of a leaf that stood before. */
	readonly again: number | undefined;
}

const MOST_DEPTH = 4;

function sprigs(depth: number): fc.Arbitrary<Sprig> {
	return fc.record({
		name: rawNames,
		leaf: fc.option(leaves, { nil: undefined }),
		meta: metas,
		inner: depth === 0 ? fc.constant([]) : fc.array(sprigs(depth - 1), { maxLength: 5 }),
		again: fc.option(fc.nat(20), { nil: undefined, freq: 6 }),
	});
}

/** Trees with all kinds of nodes, hard links among them. */
export const randomTrees: fc.Arbitrary<RootfsTree> = fc
	.record({ meta: metas, inner: fc.array(sprigs(MOST_DEPTH), { maxLength: 12 }) })
	.map(({ meta, inner }) => {
		const root = directoryNode({ ...meta, xattrs: [] });
		fill(root, inner, []);
		return { root };
	});

function fill(directory: DirectoryNode, inner: readonly Sprig[], known: LeafNode[]): void {
	for (const sprig of inner) {
		const second = sprig.again === undefined ? undefined : known[sprig.again];
		const node: RootfsNode = second ?? sprig.leaf ?? directoryNode(sprig.meta);
		directory.children.set(sprig.name, node);
		if (node.kind === "directory") fill(node, sprig.inner, known);
		else known.push(node);
	}
}

/** A tree as lines, sorted: everything of it that an image must keep. */
export function linesOf(tree: RootfsTree, attachments: "all" | "without-xattrs" = "all"): readonly string[] {
	const groups = new Map<RootfsNode, number>();
	return [...entriesOf(tree)].map(({ path, node }) => {
		const { mode, uid, gid, xattrs: own } = node.meta;
		if (!groups.has(node)) groups.set(node, groups.size);
		const named = (attachments === "all" ? own : []).toSorted((left, right) => (left.name < right.name ? -1 : 1));
		const attached = named.map(({ name, value }) => `${name}=${Buffer.from(value).toString("hex")}`);
		const head = [JSON.stringify(path), `#${groups.get(node)}`, mode.toString(8), uid, gid];
		return [...head, contentOf(node), ...attached].join(" ");
	});
}

function contentOf(node: RootfsNode): string {
	switch (node.kind) {
		case "file": {
			const bytes = Buffer.alloc(node.content.sizeBytes);
			const reader = node.content.open();
			reader.read(bytes, 0, bytes.length);
			reader.close();
			return `file ${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}`;
		}
		case "symlink":
			return `symlink ${JSON.stringify(node.target)}`;
		case "character-device":
		case "block-device":
			return `${node.kind} ${node.major}:${node.minor}`;
		case "directory":
		case "fifo":
			return node.kind;
	}
}
