import type { TreeNode } from "./snapshot.ts";

export interface FileToHash {
	readonly node: TreeNode;
	readonly bytes: number;
}

/** Large enough that a message to a thread costs little beside the reading, small enough to share out. */
const BATCH_FILES = 128;
const BATCH_BYTES = 8 << 20;

/** Cuts a folder's files into pieces of work, in their order. */
export function* batchesOf(files: readonly FileToHash[]): Generator<{ nodes: TreeNode[]; bytes: number }> {
	let nodes: TreeNode[] = [];
	let bytes = 0;
	for (const file of files) {
		nodes.push(file.node);
		bytes += file.bytes;
		if (nodes.length < BATCH_FILES && bytes < BATCH_BYTES) continue;
		yield { nodes, bytes };
		nodes = [];
		bytes = 0;
	}
	if (nodes.length > 0) yield { nodes, bytes };
}
