import type { RootfsNode } from "../tree.ts";
import type { SquashfsCompression } from "./compression.ts";
import { encodeXattrs, fieldBytes, NO_XATTRS, referenceOf } from "./format.ts";
import { encodeTable, MetadataRun } from "./metadata.ts";

/** Each set of xattrs once, however many inodes have it. */
export class XattrTable {
	readonly #compression: SquashfsCompression;
	readonly #run: MetadataRun;
	readonly #entries: Buffer[] = [];
	readonly #known = new Map<string, number>();
	readonly #indexes = new Map<RootfsNode, number>();

	constructor(compression: SquashfsCompression) {
		this.#compression = compression;
		this.#run = new MetadataRun(compression);
	}

	/** The name of an xattr that squashfs has no way to store; undefined when all are. */
	add(node: RootfsNode): string | undefined {
		const { xattrs } = node.meta;
		if (xattrs.length === 0 || this.#indexes.has(node)) return undefined;
		const bytes = encodeXattrs(xattrs);
		if ("refused" in bytes) return bytes.refused;
		const key = bytes.toString("latin1");
		const known = this.#known.get(key) ?? this.#entries.length;
		if (known === this.#entries.length) {
			const reference = Buffer.alloc(8);
			reference.writeBigUInt64LE(referenceOf(this.#run.write(bytes)));
			const counts = fieldBytes([
				[4, xattrs.length],
				[4, bytes.length],
			]);
			this.#entries.push(Buffer.concat([reference, counts]));
			this.#known.set(key, known);
		}
		this.#indexes.set(node, known);
		return undefined;
	}

	indexOf(node: RootfsNode): number {
		return this.#indexes.get(node) ?? NO_XATTRS;
	}

	/** The table at that byte of the disk; nothing at all when there are no xattrs. */
	encode(tableAt: number): { readonly bytes: Buffer; readonly listAt: number | undefined } {
		if (this.#entries.length === 0) return { bytes: Buffer.alloc(0), listAt: undefined };
		const values = this.#run.end();
		const head = () =>
			fieldBytes([
				[8, tableAt],
				[4, this.#entries.length],
				[4, 0],
			]);
		const { bytes, listAt } = encodeTable(
			Buffer.concat(this.#entries),
			tableAt + values.length,
			this.#compression,
			head,
		);
		return { bytes: Buffer.concat([values, bytes]), listAt };
	}
}
