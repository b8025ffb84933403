import { randomBytes } from "node:crypto";
import { closeSync, constants, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type ChangeLimits, ChangesReader } from "./changes-reader.ts";
import type { ChangeRecord } from "./changes-record.ts";
import { fail } from "./failures.ts";

/** A whole stream, well-formed, with the contents of its files in a file that has no name any more. */
export interface SpooledChanges extends Disposable {
	readonly records: readonly ChangeRecord[];
	/** Contents of one record in pieces, each valid until the next; `null` stands for that many zero bytes. */
	contents(record: ChangeRecord): Iterable<Buffer | { readonly zeroBytes: number }>;
}

const CHUNK_BYTES = 1 << 20;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** Receives the stream to its end. Until then nothing is known to be whole, so nothing of it is used. */
export async function spoolChanges(
	stream: AsyncIterable<Uint8Array>,
	request: {
		readonly directory: string;
		readonly limits: ChangeLimits;
		readonly signal: AbortSignal | undefined;
		readonly pace: () => Promise<void>;
	},
): Promise<SpooledChanges> {
	const { directory, limits, signal, pace } = request;
	const path = join(directory, `changes-${randomBytes(8).toString("hex")}`);
	const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
	try {
		unlinkSync(path);
		const out = new SparseWriter(fd);
		const reader = new ChangesReader(limits, (bytes, offset) => out.write(bytes, offset));
		for await (const chunk of inTime(stream, limits, signal)) {
			reader.push(chunk);
			await pace();
		}
		reader.finish();
		out.end(reader.totalBytes);
		return {
			records: reader.records,
			contents: (record) => contentsOf(fd, record),
			[Symbol.dispose]: () => closeSync(fd),
		};
	} catch (error) {
		closeSync(fd);
		throw error;
	}
}

/** Collects small pieces, and leaves out whole pieces of zeros: a guest's empty petabyte must cost no disk. */
class SparseWriter {
	readonly #fd: number;
	readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
	#used = 0;
	#position = 0;

	constructor(fd: number) {
		this.#fd = fd;
	}

	/** Offsets follow each other without a gap. */
	write(bytes: Buffer, _offset: number): void {
		let rest = bytes;
		while (rest.length > 0) {
			const taken = rest.copy(this.#chunk, this.#used);
			this.#used += taken;
			rest = rest.subarray(taken);
			if (this.#used === CHUNK_BYTES) this.#flush();
		}
	}

	end(totalBytes: number): void {
		this.#flush();
		ftruncateSync(this.#fd, totalBytes);
	}

	#flush(): void {
		const bytes = this.#chunk.subarray(0, this.#used);
		if (!isZero(bytes)) writeWhole(this.#fd, bytes, this.#position);
		this.#position += this.#used;
		this.#used = 0;
	}
}

export function isZero(bytes: Buffer): boolean {
	return bytes.equals(ZEROS.subarray(0, bytes.length));
}

export function writeWhole(fd: number, bytes: Buffer, position: number): void {
	for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

function* contentsOf(fd: number, record: ChangeRecord): Generator<Buffer | { readonly zeroBytes: number }> {
	const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, record.sizeBytes));
	for (let done = 0; done < record.sizeBytes; ) {
		const wanted = Math.min(chunk.length, record.sizeBytes - done);
		const read = readSync(fd, chunk, 0, wanted, record.offset + done);
		if (read === 0) throw new Error("the spooled changes are shorter than they were");
		const bytes = chunk.subarray(0, read);
		yield read >= 4096 && isZero(bytes) ? { zeroBytes: read } : bytes;
		done += read;
	}
}

/** The stream, ended with a failure when it stands still or takes too long. Its own end is not waited for then. */
async function* inTime(
	stream: AsyncIterable<Uint8Array>,
	limits: ChangeLimits,
	signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
	const source = stream[Symbol.asyncIterator]();
	// One promise per piece: racing all of them against one long-lived promise would keep every piece in memory.
	let interrupt: (reason: unknown) => void = () => {};
	const { receiveTimeoutMs, stallTimeoutMs } = limits;
	const late = (cause: string) => interrupt(fail("changes-timed-out", { cause }));
	const stall = setTimeout(() => late(`nothing came for ${stallTimeoutMs} ms`), stallTimeoutMs);
	const total = setTimeout(() => late(`it was not done after ${receiveTimeoutMs} ms`), receiveTimeoutMs);
	const onAbort = () => interrupt(signal?.reason);
	signal?.addEventListener("abort", onAbort);
	let done = false;
	try {
		while (true) {
			signal?.throwIfAborted();
			stall.refresh();
			const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
				interrupt = reject;
				source.next().then(resolve, reject);
			});
			done = next.done === true;
			if (next.done === true) return;
			yield next.value;
		}
	} finally {
		clearTimeout(stall);
		clearTimeout(total);
		signal?.removeEventListener("abort", onAbort);
		if (!done) source.return?.()?.catch(() => {});
	}
}
