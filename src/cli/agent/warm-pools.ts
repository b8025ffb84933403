import type { Logger } from "pino";
import { realHost } from "../../host/index.ts";
import { openImageStore } from "../../image/index.ts";
import { openPool } from "../../runtime/index.ts";
import { type Directories, imageDirectory } from "../directories.ts";
import type { AgentSettings } from "../settings/agent-settings.ts";

type PoolSettings = Pick<AgentSettings, "poolImages" | "poolSize" | "poolMemoryMiB">;

/**
 * Keeps machines of these images booted for directives until it is disposed. What can't be kept ready is said and left out: its
 * directives boot their own.
 */
export async function openPools(
	{ poolImages, poolSize: size, poolMemoryMiB: memoryMiB }: PoolSettings,
	directories: Directories,
	log: Logger,
): Promise<AsyncDisposableStack> {
	const pools = new AsyncDisposableStack();
	const store = openImageStore(imageDirectory(directories));
	for (const name of poolImages) {
		const onFailure = (reason: string): void =>
			log.warn({ image: name, reason }, "a machine to keep ready did not come up");
		try {
			const found = await store.resolve(name);
			if (found === undefined) throw new Error("this machine does not have that image");
			const image = { kind: "image", ...found } as const;
			const machine = { image, limits: { memoryMiB, cpuMillicores: null }, machine: null };
			const pool = await openPool({
				...machine,
				host: realHost(),
				cacheDirectory: directories.cache,
				size,
				onFailure,
			});
			pools.use(pool);
			log.info({ image: name, machines: size, memoryMiB: pool.memoryMiB }, "machines are kept ready");
		} catch (error) {
			onFailure((error as Error).message);
		}
	}
	return pools;
}
