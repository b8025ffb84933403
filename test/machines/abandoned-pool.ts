/** A pool that is about to be killed: keeps one machine booted below CACHE, says so when it waits, and stays. */
import { realHost } from "../../src/host/index.ts";
import { openPool } from "../../src/runtime/index.ts";
import { machineImage } from "../conformance/machine-image.ts";

const [, , cacheDirectory = ""] = process.argv;
const pool = await openPool({
	...{ host: realHost(), cacheDirectory, image: await machineImage(), machine: null, size: 1 },
	limits: { memoryMiB: null, cpuMillicores: null },
	onFailure: (reason) => process.stderr.write(`${reason}\n`),
});
await pool.filled();
process.stdout.write("filled\n");
