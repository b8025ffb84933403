import { createHash, type Hash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import type { Digest } from "../../core/index.ts";
import type { Answer } from "./connection.ts";
import { lossOf } from "./connection.ts";
import { Setback } from "./persistence.ts";
import { Pace, WrongAnswer } from "./reading.ts";
import { type Session, WrongContent } from "./session.ts";

export interface BlobName {
	readonly digest: Digest;
	readonly size: number;
	/** For people: "the disk". */
	readonly what: string;
}

/**
 * Gets a blob into a file: appears at `path` whole and checked, or not at all. What came so far is kept in `path.partial`
 * over lost connections, cancellation and death, and the next attempt goes on from there.
 */
export async function downloadBlob(
	session: Session,
	blob: BlobName,
	path: string,
	onBytes: (bytes: number) => void = () => {},
): Promise<void> {
	const partial = `${path}.partial`;
	// Whole since an earlier attempt, or so it seems: what is on disk is read again and believed only then.
	await rename(path, partial).catch(() => {});
	const target = await Partial.open(partial, blob, onBytes);
	try {
		await session.persist(() => receive(session, target));
		await target.file.sync();
	} finally {
		await target.file.close();
	}
	await rename(partial, path);
}

/** The beginning of a blob on disk, and the running hash of it. */
class Partial {
	readonly file: FileHandle;
	readonly blob: BlobName;
	readonly onBytes: (bytes: number) => void;
	/** Bytes that an earlier attempt left: not everything in the file was seen coming in this one. */
	inherited = 0;
	size = 0;
	#furthest = 0;
	hash: Hash = createHash("sha256");

	private constructor(file: FileHandle, blob: BlobName, onBytes: (bytes: number) => void) {
		this.file = file;
		this.blob = blob;
		this.onBytes = onBytes;
	}

	static async open(path: string, blob: BlobName, onBytes: (bytes: number) => void): Promise<Partial> {
		const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
		const partial = new Partial(file, blob, onBytes);
		if ((await file.stat()).size > blob.size) await partial.restart();
		const earlier = createReadStream(path, { fd: file.fd, autoClose: false, start: 0, highWaterMark: 1 << 20 });
		for await (const chunk of earlier as AsyncIterable<Buffer>) partial.#count(chunk);
		partial.inherited = partial.size;
		partial.#furthest = partial.size;
		return partial;
	}

	async append(chunk: Buffer): Promise<void> {
		if (this.size + chunk.length > this.blob.size)
			throw new WrongAnswer(`${this.blob.what} is longer than was announced`);
		await this.file.writev([chunk], this.size);
		this.#count(chunk);
	}

	async restart(): Promise<void> {
		await this.file.truncate(0);
		this.onBytes(-this.size);
		this.size = 0;
		this.inherited = 0;
		this.hash = createHash("sha256");
	}

	/** Since the last time that was asked. A server that makes us begin anew gets nobody nearer the end. */
	gainedBytes(): number {
		const gained = Math.max(0, this.size - this.#furthest);
		this.#furthest += gained;
		return gained;
	}

	digest(): string {
		return `sha256:${this.hash.copy().digest("hex")}`;
	}

	#count(chunk: Buffer): void {
		this.hash.update(chunk);
		this.size += chunk.length;
		this.onBytes(chunk.length);
	}
}

async function receive(session: Session, target: Partial): Promise<void> {
	const { blob } = target;
	if (target.size < blob.size || blob.size === 0) {
		const answer = await session.ask({
			method: "GET",
			to: `blobs/${blob.digest}`,
			headers: target.size === 0 ? {} : { range: `bytes=${target.size}-` },
			takes: [200, 206, 416],
		});
		await take(session, answer, target);
	}
	if (target.size < blob.size) throw new Setback("the connection was cut", { gainedBytes: target.gainedBytes() });
	if (target.digest() === blob.digest) return;
	const { inherited } = target;
	await target.restart();
	// What an earlier attempt left may have been damaged since: that is worth one whole new download.
	if (inherited > 0) throw new Setback("what an earlier attempt left was damaged");
	throw new WrongContent(blob.what, `its ${blob.size} bytes have another digest`);
}

async function take(session: Session, answer: Answer, target: Partial): Promise<void> {
	const { body, status, headers } = answer;
	try {
		if (status === 416) {
			await target.restart();
			throw new Setback("it does not go on from where the last attempt ended");
		}
		if ((headers["content-encoding"] ?? "identity") !== "identity") throw new WrongAnswer("it encodes what it sends");
		if (status === 200 && target.size > 0) await target.restart();
		if (status === 206) checkRange(headers["content-range"], target);
		checkLength(headers["content-length"], target);
		await drain(session, answer, target);
	} finally {
		body.destroy();
	}
}

async function drain(session: Session, { body }: Answer, target: Partial): Promise<void> {
	const pace = new Pace(session.patience);
	try {
		for await (const chunk of body as AsyncIterable<Buffer>) {
			pace.note(chunk.length);
			await target.append(chunk);
		}
	} catch (error) {
		if (error instanceof WrongAnswer || (error as NodeJS.ErrnoException).syscall === "write") throw error;
		const loss = lossOf(error as Error);
		throw new Setback(loss.message, { gainedBytes: target.gainedBytes(), cause: error });
	}
}

/** RFC 9110 section 14.4. */
function checkRange(text: string | undefined, { size, blob }: Partial): void {
	const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(text ?? "");
	const [, first, last, whole] = match ?? [];
	if (Number(first) !== size || Number(last) >= blob.size || (whole !== "*" && Number(whole) !== blob.size)) {
		throw new WrongAnswer(`asked for bytes from ${size} of ${blob.size}, it gives "${(text ?? "").slice(0, 60)}"`);
	}
}

function checkLength(text: string | undefined, { size, blob }: Partial): void {
	if (text !== undefined && Number(text) > blob.size - size) {
		throw new WrongAnswer(`it announces ${text} bytes of ${blob.what}, of which ${blob.size - size} are to come`);
	}
}
