import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { AwsClient } from "aws4fetch";
import { type BlobStore, checked } from "./blob-store.ts";
import { blobFailures } from "./failures.ts";

/** Where blobs are in an S3 store: Amazon's, or one that speaks like it. */
export interface S3Place {
	/** Base URL of the service; the bucket is the first part of the path. */
	readonly endpoint: string;
	readonly region: string;
	readonly bucket: string;
	/** Before every name; empty, or ends in a slash. */
	readonly prefix: string;
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
}

const DIGEST = /^[0-9a-f]{64}$/;
/** Each after a pause that doubles, for what S3 calls slow down. */
const RETRIES = 4;
const FIRST_RETRY_MS = 100;

/** Blobs as objects named by their digest. What is written is signed with that digest, so the store refuses other bytes. */
export class S3Blobs implements BlobStore {
	readonly #place: S3Place;
	readonly #client: AwsClient;

	constructor(place: S3Place) {
		const { accessKeyId, secretAccessKey, region } = place;
		this.#place = place;
		const retrying = { retries: RETRIES, initRetryMs: FIRST_RETRY_MS };
		this.#client = new AwsClient({ accessKeyId, secretAccessKey, region, service: "s3", ...retrying });
	}

	async put(bytes: Uint8Array): Promise<string> {
		const digest = createHash("sha256").update(bytes).digest("hex");
		// The same name has the same bytes: what is there need not be sent again.
		const known = await this.#ask("HEAD", digest);
		if (known !== undefined) return digest;
		await this.#ask("PUT", digest, bytes);
		return digest;
	}

	async read(digest: string): Promise<Buffer | undefined> {
		const response = await this.#ask("GET", digest);
		if (response === undefined) return undefined;
		const bytes = Buffer.from(await response.arrayBuffer());
		if (createHash("sha256").update(bytes).digest("hex") !== digest) throw this.#damaged(digest);
		return bytes;
	}

	async open(digest: string): Promise<{ readonly stream: Readable; readonly sizeBytes: number } | undefined> {
		const response = await this.#ask("GET", digest);
		if (response?.body == null) return undefined;
		const source = Readable.fromWeb(response.body as ReadableStream);
		const sizeBytes = Number(response.headers.get("content-length") ?? 0);
		return { stream: checked(source, digest, () => this.#damaged(digest)), sizeBytes };
	}

	async remove(digest: string): Promise<void> {
		await this.#ask("DELETE", digest);
	}

	below(name: string): BlobStore {
		return new S3Blobs({ ...this.#place, prefix: `${this.#place.prefix}${name}/` });
	}

	/** Undefined when there is no such object. Throws VouchError `blob-storage-unavailable`. */
	async #ask(
		method: "HEAD" | "GET" | "PUT" | "DELETE",
		digest: string,
		body?: Uint8Array,
	): Promise<Response | undefined> {
		if (!DIGEST.test(digest)) throw new TypeError("not a digest");
		const { endpoint, bucket, prefix } = this.#place;
		const url = `${endpoint.replace(/\/+$/, "")}/${bucket}/${prefix}${digest.slice(0, 2)}/${digest}`;
		const what = `${method} of a blob`;
		const place = `${bucket} (${endpoint})`;
		const signed = body === undefined ? {} : { body: Buffer.from(body), headers: { "x-amz-content-sha256": digest } };
		const response = await this.#client.fetch(url, { method, ...signed }).catch((error: Error) => {
			throw blobFailures.fail("blob-storage-unavailable", { what, place, problem: error.message }, error);
		});
		if (response.ok) return response;
		const said = await response.text();
		// A bucket that is not there is no absent object. HEAD has no body to tell them apart; what comes after it does.
		const isAbsent = method === "HEAD" || (method !== "PUT" && said.includes("<Code>NoSuchKey</Code>"));
		if (response.status === 404 && isAbsent) return undefined;
		throw blobFailures.fail("blob-storage-unavailable", { what, place, problem: `it answered ${response.status}` });
	}

	#damaged(digest: string): Error {
		return blobFailures.fail("blob-damaged", { digest, place: this.#place.bucket });
	}
}
