import type { Host } from "../../../host/index.ts";
import { pathOfProgram, runToEnd } from "./programs.ts";
import { KernelRefusal } from "./refusal.ts";

/** What an xz file holds; more than `limitBytes` is refused. Throws KernelRefusal, VouchError or the signal's reason. */
export async function unxz(host: Host, input: Uint8Array, limitBytes: number, signal?: AbortSignal): Promise<Buffer> {
	const xz = await pathOfProgram(host, "xz");
	const words = ["--decompress", "--stdout", "--memlimit-decompress=256MiB"];
	try {
		const { exitCode, stdout, stderr } = await runToEnd(host, [xz, ...words], { input, limitBytes, signal });
		if (exitCode === 0) return stdout;
		throw new KernelRefusal(stderr.trim() || `xz ended with ${exitCode}`);
	} catch (error) {
		if (error instanceof RangeError)
			throw new KernelRefusal("it is larger than a kernel's file can be", { cause: error });
		throw error;
	}
}
