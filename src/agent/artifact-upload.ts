import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { ARTIFACT_PIECE_BYTES } from "../api/conduits/schema.ts";
import { hexOfDigest } from "../core/index.ts";
import { delivered, type Waiting } from "./back-off.ts";
import type { ConduitsClient } from "./conduits-client.ts";
import type { UndeliveredReport } from "./finished-log.ts";

export interface Sending {
	readonly client: ConduitsClient;
	/** Each by its digest in hexadecimal. */
	readonly folder: string;
	/** As of now: they may be many bytes. */
	token(): string;
	readonly waiting: Waiting;
	readonly stop: AbortSignal;
	readonly log: Logger;
}

/**
 * Sends the files of an end before it, piece by piece; a piece that is there already is no loss. `kept`: the control plane could not be
 * reached, and it is tried again later. What it refuses it does not want: the end goes on without it.
 */
export async function sendArtifacts(
	{ directive_id: directive, artifacts = [] }: UndeliveredReport,
	{ client, folder, token, waiting, stop, log }: Sending,
): Promise<"sent" | "kept"> {
	for (const { name, digest, bytes: size_bytes } of artifacts) {
		const flags = constants.O_RDONLY | constants.O_NOFOLLOW;
		const file = await open(join(folder, hexOfDigest(digest)), flags).catch(() => undefined);
		if (file === undefined) {
			log.warn({ directive, artifact: name }, "an artifact is not here any more");
			continue;
		}
		try {
			let offset = 0;
			do {
				const bytes = await pieceAt(file, offset, size_bytes);
				const piece = { name, digest, size_bytes, offset, bytes };
				const reply = await delivered(() => client.report(directive, "artifacts", piece, token()), waiting, stop);
				if (reply === undefined) return "kept";
				if (reply.status >= 300) {
					log.warn({ directive, artifact: name, status: reply.status }, "the control plane does not take an artifact");
					return "sent";
				}
				offset += ARTIFACT_PIECE_BYTES;
			} while (offset < size_bytes);
		} finally {
			await file.close();
		}
	}
	return "sent";
}

async function pieceAt(file: FileHandle, offset: number, sizeBytes: number): Promise<string> {
	const piece = Buffer.alloc(Math.min(ARTIFACT_PIECE_BYTES, sizeBytes - offset));
	await file.read(piece, 0, piece.length, offset);
	return piece.toString("base64");
}
