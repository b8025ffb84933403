import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startTicksOf } from "../../runtime/index.ts";
import { fail } from "../failures.ts";

/**
 * Makes this process the only node of a folder, and returns what ends that. Two would take each other's live runs for left-overs. A
 * process that was killed leaves its name there; it counts only while it is alive.
 */
export function claimDirectory(directory: string): () => void {
	const path = join(directory, "owner");
	const own = `${process.pid} ${startTicksOf(process.pid) ?? ""}`;
	for (;;) {
		try {
			writeFileSync(path, own, { flag: "wx", mode: 0o600 });
			return () => rmSync(path, { force: true });
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
		}
		const [pid, ticks] = readFileSync(path, "utf8").split(" ");
		if (startTicksOf(Number(pid)) === ticks) throw fail("cli.agent-running", { directory, pid: pid ?? "" });
		rmSync(path, { force: true });
	}
}
