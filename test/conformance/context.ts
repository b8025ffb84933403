import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ProbeContext } from "../../src/runtime/index.ts";

/** What tests build once and use again: git ignores it. */
export const CACHE = join(fileURLToPath(new URL("../../", import.meta.url)), "build", "test-cache");

export const TEST_CONTEXT: ProbeContext = {
	cacheDirectory: CACHE,
	image: async () => (await import("./machine-image.ts")).machineImage(),
};
