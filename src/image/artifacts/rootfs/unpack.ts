import { constants } from "node:fs";
import { chmod, link, mkdir, open, symlink } from "node:fs/promises";
import { rawOfText, systemPathOf } from "./raw-text.ts";
import { entriesOf, type FileNode, type RootfsNode, type RootfsTree } from "./tree.ts";

const COPIED_BYTES = 1 << 20;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Writes a tree into a folder that it makes: contents, links, modes without setuid, one owner. Devices and pipes are left out,
 * since every sandbox has its own. A tree's names lead nowhere else, and nobody else may write there meanwhile.
 */
export async function unpackTree(tree: RootfsTree, folder: string, signal?: AbortSignal): Promise<void> {
	const base = rawOfText(folder);
	const firstPaths = new Map<RootfsNode, string | Buffer>();
	const folders: (readonly [path: string | Buffer, mode: number])[] = [];
	for (const { path, node } of entriesOf(tree)) {
		signal?.throwIfAborted();
		const to = systemPathOf(path === "" ? base : `${base}/${path}`);
		const first = firstPaths.get(node);
		if (first !== undefined) {
			await link(first, to);
			continue;
		}
		switch (node.kind) {
			case "directory":
				await mkdir(to, { mode: 0o700 });
				// Whoever unpacked it can always enter and remove it.
				folders.push([to, (node.meta.mode & 0o1777) | 0o700]);
				break;
			case "file":
				await writeContent(node, to);
				firstPaths.set(node, to);
				break;
			case "symlink":
				await symlink(systemPathOf(node.target), to);
				firstPaths.set(node, to);
				break;
			case "character-device":
			case "block-device":
			case "fifo":
				break;
		}
	}
	for (const [path, mode] of folders) await chmod(path, mode);
}

async function writeContent({ content, meta }: FileNode, to: string | Buffer): Promise<void> {
	await using file = await open(to, CREATE, 0o600);
	const reader = content.open();
	try {
		const piece = Buffer.allocUnsafe(Math.min(COPIED_BYTES, content.sizeBytes));
		for (let left = content.sizeBytes; left > 0; ) {
			const bytes = Math.min(left, piece.length);
			reader.read(piece, 0, bytes);
			await file.writeFile(piece.subarray(0, bytes));
			left -= bytes;
		}
	} finally {
		reader.close();
	}
	await file.chmod(meta.mode & 0o777);
}
