import { runProgram } from "./program-run.ts";
import { supervisorBinary } from "./supervisor-binary.ts";

/**
 * Whether a guest of five instructions ran under /dev/kvm just now, and in words what was found. A device that is there and a
 * machine that can be made prove nothing on nested hosts.
 */
export async function virtualisationWorks(): Promise<{ readonly works: boolean; readonly found: string }> {
	const probed = await runProgram([await supervisorBinary(), "--probe-kvm"]);
	const said = probed.stdout.trim();
	return { works: probed.exitCode === 0, found: said === "" ? `the probe ended with ${probed.exitCode}` : said };
}
