/** `npm run bench [-- NAME...]`: measures, prints tables of ratios, keeps the raw numbers in `bench/results`. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { benchFleetClaims } from "./fleet-claims.ts";
import { benchFleetMemory } from "./fleet-memory.ts";
import { benchFleetOutput } from "./fleet-output.ts";
import { benchFleetQueue } from "./fleet-queue.ts";
import { benchFleetStart } from "./fleet-start.ts";
import { benchGate } from "./gate.ts";
import { benchImageRebuild } from "./image-rebuild.ts";
import { describeMachine } from "./machine.ts";
import { benchReceipt } from "./receipt.ts";
import { type BenchResult, printResult, writeResult } from "./report.ts";
import { benchRootfs } from "./rootfs.ts";
import { benchStart } from "./start.ts";
import { benchVerity } from "./verity.ts";
import { benchVm } from "./vm.ts";
import { benchWorkspace } from "./workspace.ts";
import { benchWorkspaceDisk } from "./workspace-disk.ts";

interface Bench {
	/** Other programs it is compared with, whose versions the numbers depend on. */
	readonly programs: readonly string[];
	/** Leaves nothing outside of the directory given. */
	readonly measure: (directory: string) => Promise<BenchResult>;
}

const BENCHES: Readonly<Record<string, Bench>> = {
	start: { programs: ["bwrap", "podman", "crun"], measure: benchStart },
	"fleet-queue": { programs: [], measure: benchFleetQueue },
	"fleet-claims": { programs: [], measure: benchFleetClaims },
	"fleet-output": { programs: [], measure: benchFleetOutput },
	"fleet-memory": { programs: [], measure: benchFleetMemory },
	"fleet-start": { programs: ["bwrap"], measure: benchFleetStart },
	gate: { programs: ["tinyproxy", "squid"], measure: benchGate },
	receipt: { programs: [], measure: benchReceipt },
	rootfs: { programs: ["umoci", "mksquashfs", "buildah"], measure: benchRootfs },
	"image-rebuild": { programs: ["mmdebstrap", "buildah"], measure: benchImageRebuild },
	verity: { programs: ["veritysetup"], measure: benchVerity },
	vm: { programs: ["qemu-system-x86_64"], measure: benchVm },
	workspace: { programs: ["git"], measure: benchWorkspace },
	"workspace-disk": { programs: ["mksquashfs", "mkfs.erofs"], measure: benchWorkspaceDisk },
};

/** A name, or what comes before the dash of several. */
const asked = process.argv.slice(2);
const isAsked = (name: string) => asked.length === 0 || asked.some((one) => name === one || name.startsWith(`${one}-`));
const unknown = asked.filter((one) => !Object.keys(BENCHES).some((name) => name === one || name.startsWith(`${one}-`)));
if (unknown.length > 0) {
	process.stderr.write(
		`bench: no bench is named ${unknown.join(", ")}; there are ${Object.keys(BENCHES).join(", ")}\n`,
	);
	process.exit(2);
}

for (const [name, { programs, measure }] of Object.entries(BENCHES)) {
	if (!isAsked(name)) continue;
	process.stdout.write(`\n== ${name}\n`);
	const directory = mkdtempSync(join(tmpdir(), `vouch-bench-${name}-`));
	try {
		const result = await measure(directory);
		printResult(result);
		const file = writeResult(result, await describeMachine(programs));
		process.stdout.write(`  raw numbers: ${relative(process.cwd(), file)}\n`);
	} catch (error) {
		process.stderr.write(
			`bench ${name} could not be measured: ${error instanceof Error ? error.message : String(error)}\n`,
		);
		process.exitCode = 1;
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}
// What a bench that failed left open would keep this program waiting.
process.exit();
