import type { Writable } from "node:stream";

/** Writes and resolves when more may come; what is gone takes nothing. */
export async function send(target: Writable | null, chunk: Buffer): Promise<void> {
	if (target === null || target.destroyed || chunk.length === 0 || target.write(chunk)) return;
	await new Promise<void>((resolve) => {
		const settle = (): void => {
			for (const event of ["drain", "close", "error"]) target.off(event, settle);
			resolve();
		};
		for (const event of ["drain", "close", "error"]) target.once(event, settle);
	});
}
