import { fileURLToPath } from "node:url";
import { fail } from "./failures.ts";
import { findProgram, isProgram, runProgram } from "./program-run.ts";

/** The package's root, from `src/host/` and from `dist/host/` alike. */
const packageRoot = fileURLToPath(new URL("../../", import.meta.url));
const binaryPath = `${packageRoot}build/vouch-supervisor`;
const buildScript = `${packageRoot}scripts/build-supervisor`;

const COMPILE_TIMEOUT_MS = 120_000;

let building: Promise<string> | undefined;

/** Path of the native supervisor; compiles it when it is missing and a compiler is there. */
export function supervisorBinary(): string | Promise<string> {
	if (isProgram(binaryPath)) return binaryPath;
	building ??= build().finally(() => {
		building = undefined; // a later call may find a compiler
	});
	return building;
}

async function build(): Promise<string> {
	const compiler = await findProgram("gcc");
	if (compiler === undefined) {
		throw fail("supervisor-missing", {
			path: binaryPath,
			reason: "no C compiler is installed.",
			fix: `apt-get install gcc libc6-dev && bash ${buildScript}`,
		});
	}
	const built = await runProgram(["bash", buildScript], { timeoutMs: COMPILE_TIMEOUT_MS });
	if (built.exitCode === 0) return binaryPath;
	throw fail("supervisor-missing", {
		path: binaryPath,
		reason: built.stderr.trim().slice(0, 500),
		fix: `bash ${buildScript}`,
	});
}
