import { createHash } from "node:crypto";
import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Digest, digestSchema, reasonOf } from "../../core/index.ts";
import { fail } from "../failures.ts";
import { measureFile } from "../store/index.ts";

export interface DigestOptions {
	readonly cacheDirectory: string;
	readonly signal?: AbortSignal | undefined;
}

/** Clocks of the kernel and of file systems lag: a state this young might still change without looking different. */
const SETTLED_MS = 2000;

/**
 * The SHA-256 of a file, remembered for as long as its device, inode, size and both times are the same and were old enough when
 * it was read ("racy git"). Throws VouchError `image-source-unreadable` or `image-source-changed`.
 */
export async function rememberedDigest(path: string, { cacheDirectory, signal }: DigestOptions): Promise<Digest> {
	const place = join(cacheDirectory, "files", createHash("sha256").update(path).digest("hex"));
	const before = stateOf(path);
	const [state, text] = textOf(place).split("\n");
	const known = digestSchema.safeParse(text);
	if (state === before.text && known.success) return known.data;
	const startMs = Date.now();
	const { digest } = await measureFile(path, { signal }).catch((error: unknown) => {
		signal?.throwIfAborted();
		throw fail("image-source-unreadable", { source: path, reason: reasonOf(error) }, error);
	});
	if (stateOf(path).text !== before.text) throw fail("image-source-changed", { source: path });
	if (before.youngestMs < startMs - SETTLED_MS) await keep(place, `${before.text}\n${digest}\n`);
	return digest;
}

function stateOf(path: string): { readonly text: string; readonly youngestMs: number } {
	let stats: BigIntStats;
	try {
		stats = statSync(path, { bigint: true });
	} catch (error) {
		throw fail("image-source-unreadable", { source: path, reason: reasonOf(error) }, error);
	}
	const { dev, ino, size, mtimeNs, ctimeNs } = stats;
	const youngestMs = Math.max(Number(mtimeNs / 1_000_000n), Number(ctimeNs / 1_000_000n));
	return { text: `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`, youngestMs };
}

function textOf(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return "";
	}
}

/** Losing it costs time, so a cache that can't be written is no failure. */
async function keep(path: string, text: string): Promise<void> {
	try {
		await mkdir(dirname(path), { recursive: true, mode: 0o700 });
		const temporary = `${path}.${process.pid}.new`;
		await writeFile(temporary, text, { mode: 0o600 });
		await rename(temporary, path);
	} catch {
		// As said.
	}
}
