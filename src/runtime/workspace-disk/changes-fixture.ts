import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** One record as a guest would send it, or as it should not: every field can be a lie. Paths have one character per byte. */
export interface SentRecord {
	readonly kind: string;
	readonly path?: string;
	readonly contents?: string | Buffer;
	readonly mode?: number;
	readonly modifiedNs?: bigint;
	/** Instead of the number of bytes that follow. */
	readonly size?: bigint;
	readonly reserved?: number;
}

export function recordBytes(record: SentRecord): Buffer {
	const path = Buffer.from(record.path ?? "", "latin1");
	const contents =
		typeof record.contents === "string" ? Buffer.from(record.contents, "latin1") : (record.contents ?? Buffer.alloc(0));
	const header = Buffer.alloc(24);
	header.write(record.kind, 0, 1, "latin1");
	header.writeUInt8(record.reserved ?? 0, 1);
	header.writeUInt16LE(path.length, 2);
	header.writeUInt32LE(record.mode ?? (record.kind === "E" ? 0 : 0o644), 4);
	header.writeBigUInt64LE(record.size ?? BigInt(contents.length), 8);
	header.writeBigInt64LE(record.modifiedNs ?? (record.kind === "E" ? 0n : 1_600_000_000_000_000_000n), 16);
	return Buffer.concat([header, path, contents]);
}

export const file = (path: string, contents: string | Buffer = "new", mode = 0o644): SentRecord => {
	return { kind: "F", path, contents, mode };
};
export const folder = (path: string, mode = 0o755): SentRecord => ({ kind: "D", path, mode });
export const opaque = (path: string, mode = 0o755): SentRecord => ({ kind: "O", path, mode });
export const link = (path: string, target: string): SentRecord => ({ kind: "L", path, contents: target });
export const removed = (path: string): SentRecord => ({ kind: "X", path });
export const END: SentRecord = { kind: "E" };

export function streamBytes(records: readonly SentRecord[]): Buffer {
	return Buffer.concat([...records, END].map(recordBytes));
}

/** In pieces as a channel would cut them. */
export async function* inPieces(bytes: Buffer, pieceBytes = 65_536): AsyncGenerator<Uint8Array> {
	for (let offset = 0; offset < bytes.length; offset += pieceBytes) yield bytes.subarray(offset, offset + pieceBytes);
}

/** Everything in a folder, one line each, sorted: path, kind, mode, contents. Names in latin1. */
export function listing(root: string): readonly string[] {
	const walk = (path: string): readonly string[] =>
		readdirSync(Buffer.from(join(root, path), "latin1"), { encoding: "latin1" })
			.sort()
			.flatMap((name) => {
				const inner = path === "" ? name : `${path}/${name}`;
				const absolute = Buffer.from(join(root, inner), "latin1");
				const stats = lstatSync(absolute);
				const mode = (stats.mode & 0o7777).toString(8);
				if (stats.isDirectory()) return [`${inner} folder ${mode}`, ...walk(inner)];
				if (stats.isSymbolicLink()) return [`${inner} -> ${readlinkSync(absolute, { encoding: "latin1" })}`];
				return [`${inner} file ${mode} ${stats.isFile() ? readFileSync(absolute, "latin1") : "special"}`];
			});
	return walk("");
}
