import type { Host } from "../../host/index.ts";
import type { Architecture } from "./table.ts";

/** The machine's architecture as the kernel says it; null for one that has no table. */
export async function probeArchitecture(host: Host): Promise<Architecture | null> {
	// Linux 6.1 and newer say it in a file, which is quicker to read than a program is to start.
	const said = (await host.readText("/proc/sys/kernel/arch")) ?? (await host.run(["uname", "-m"])).stdout;
	const machine = said.trim();
	return machine === "x86_64" || machine === "aarch64" ? machine : null;
}
