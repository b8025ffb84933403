import type { Digest } from "../../core/index.ts";
import type { Answer } from "./connection.ts";
import { MAX_ERROR_BYTES } from "./limits.ts";
import { Setback } from "./persistence.ts";
import { readBounded, WrongAnswer } from "./reading.ts";
import { Refused, type Session } from "./session.ts";

export interface OutgoingBlob {
	readonly digest: Digest;
	readonly bytes: Uint8Array;
}

/** Puts a blob into the repository unless it is there. Says whether bytes had to be sent. */
export async function uploadBlob(
	session: Session,
	blob: OutgoingBlob,
	onBytes: (bytes: number) => void = () => {},
): Promise<"sent" | "was-there"> {
	const upload = new Upload(session, blob, onBytes);
	return session.persist(async () => {
		if (await isThere(session, blob)) {
			upload.finish();
			return upload.begun ? "sent" : "was-there";
		}
		await upload.advance();
		return "sent";
	});
}

async function isThere(session: Session, { digest, bytes }: OutgoingBlob): Promise<boolean> {
	const answer = await session.ask({ method: "HEAD", to: `blobs/${digest}`, takes: [200, 404] });
	answer.body.resume();
	const length = answer.headers["content-length"];
	if (answer.status === 200 && length !== undefined && Number(length) !== bytes.length) {
		throw new WrongAnswer(`it says that ${digest} has ${length} bytes, and it has ${bytes.length}`);
	}
	return answer.status === 200;
}

/** distribution-spec 1.1, "Pushing a blob in chunks": the registry says how far it came, and we go on from there. */
class Upload {
	readonly #session: Session;
	readonly #blob: OutgoingBlob;
	readonly #onBytes: (bytes: number) => void;
	#location: URL | undefined;
	/** Bytes that the registry has acknowledged. */
	#offset = 0;
	/** The furthest that any try came: a registry that forgets and takes the same again gets nobody nearer the end. */
	#furthest = 0;
	#reported = 0;
	/** Set when the last request ended in the middle: only the registry knows how far it came. */
	#unsure = false;

	constructor(session: Session, blob: OutgoingBlob, onBytes: (bytes: number) => void) {
		this.#session = session;
		this.#blob = blob;
		this.#onBytes = onBytes;
	}

	get begun(): boolean {
		return this.#location !== undefined;
	}

	finish(): void {
		this.#report(this.#blob.bytes.length);
	}

	/** One try: goes on where the last one ended, or begins. */
	async advance(): Promise<void> {
		try {
			if (this.#location !== undefined && this.#unsure) await this.#askHowFar();
			if (this.#location === undefined) await this.#begin();
			while (this.#offset < this.#blob.bytes.length) await this.#sendRest();
			await this.#commit();
		} catch (error) {
			this.#unsure = true;
			if (isForgotten(error) && this.#location !== undefined) {
				this.#location = undefined;
				throw new Setback(`it gave the upload up (${error.status}${error.said === "" ? "" : `, "${error.said}"`})`);
			}
			if (!(error instanceof Setback)) throw error;
			const gainedBytes = Math.max(0, this.#offset - this.#furthest);
			this.#furthest += gainedBytes;
			throw new Setback(error.message, { pauseMs: error.pauseMs, gainedBytes, cause: error });
		}
	}

	async #begin(): Promise<void> {
		const answer = await this.#session.ask({ method: "POST", to: "blobs/uploads/", takes: [202] });
		await this.#follow(answer);
		this.#offset = 0;
		this.#report(0);
	}

	async #askHowFar(): Promise<void> {
		try {
			const answer = await this.#session.ask({ method: "GET", to: this.#url(), takes: [204] });
			this.#offset = endOf(answer, this.#blob.bytes.length);
			await this.#follow(answer);
			this.#report(this.#offset);
		} catch (error) {
			if (!isForgotten(error)) throw error;
			this.#location = undefined;
		}
	}

	async #sendRest(): Promise<void> {
		const rest = this.#blob.bytes.subarray(this.#offset);
		const answer = await this.#session.ask({
			method: "PATCH",
			to: this.#url(),
			headers: {
				"content-type": "application/octet-stream",
				"content-range": `${this.#offset}-${this.#offset + rest.length - 1}`,
			},
			body: rest,
			takes: [202],
			onSent: (bytes) => this.#report(this.#reported + bytes),
		});
		const size = this.#blob.bytes.length;
		// Of one byte a registry says what it says of none; one that says nothing took what it was sent.
		const end = size === 1 || answer.headers.range === undefined ? size : endOf(answer, size);
		if (end <= this.#offset) throw new WrongAnswer("it takes none of what it is sent");
		this.#offset = end;
		await this.#follow(answer);
	}

	async #commit(): Promise<void> {
		const url = new URL(this.#url());
		url.searchParams.set("digest", this.#blob.digest);
		const answer = await this.#session.ask({ method: "PUT", to: url, takes: [201] });
		await readBounded(answer, MAX_ERROR_BYTES);
		this.finish();
	}

	async #follow(answer: Answer): Promise<void> {
		await readBounded(answer, MAX_ERROR_BYTES);
		if (answer.headers.location !== undefined) this.#location = this.#session.ownLocationOf(answer);
		else if (this.#location === undefined) throw new WrongAnswer("it does not say where to upload to");
		this.#unsure = false;
	}

	#url(): URL {
		if (this.#location === undefined) throw new TypeError("an upload has no place before it has begun");
		return this.#location;
	}

	#report(bytes: number): void {
		this.#onBytes(bytes - this.#reported);
		this.#reported = bytes;
	}
}

/** Some registries can't go on in the middle of a chunk: they forget the upload, and it begins anew. */
function isForgotten(error: unknown): error is Refused {
	return error instanceof Refused && [400, 404, 416].includes(error.status);
}

/** `Range: 0-N`, the end included. An upload that has nothing says `0-0` too. */
function endOf({ headers }: Answer, size: number): number {
	const match = /^(?:bytes=)?0-(\d+)$/.exec(headers.range ?? "");
	if (match === null) return 0;
	const end = Number(match[1]) + 1;
	if (end > size) throw new WrongAnswer(`it says that ${end} of ${size} bytes came`);
	return end === 1 ? 0 : end;
}
