/** Entry point of a hashing thread: takes batches of names below an open folder, answers with their contents. */
import { parentPort } from "node:worker_threads";
import { type Content, readContent } from "./content.ts";

export interface HashingRequest {
	readonly id: number;
	/** Descriptors belong to the process, so a folder opened by one thread serves all. The sender keeps it open. */
	readonly folderFd: number;
	readonly names: readonly string[];
}
export interface HashingAnswer {
	readonly id: number;
	readonly contents: readonly Content[];
}

parentPort?.on("message", ({ id, folderFd, names }: HashingRequest) => {
	const answer: HashingAnswer = { id, contents: names.map((name) => readContent(folderFd, name)) };
	parentPort?.postMessage(answer);
});
