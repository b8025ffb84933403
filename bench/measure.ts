import { spawn } from "node:child_process";

/** One of those compared. Each call of `once` is one sample, in the bench's unit. */
export interface Contender {
	readonly name: string;
	readonly once: () => Promise<number>;
}

export interface Column {
	readonly name: string;
	readonly samples: readonly number[];
}

/** Runs every contender once per round, so that a slow moment of the machine meets all of them. The first round warms up. */
export async function interleave(contenders: readonly Contender[], rounds: number): Promise<readonly Column[]> {
	const columns = contenders.map(({ name, once }) => ({ name, once, samples: [] as number[] }));
	for (let round = 0; round <= rounds; round += 1) {
		for (const { once, samples } of columns) {
			const sample = await once();
			if (round > 0) samples.push(sample);
		}
	}
	return columns.map(({ name, samples }) => ({ name, samples }));
}

export function quantile(samples: readonly number[], share: number): number {
	const sorted = samples.toSorted((a, b) => a - b);
	const at = (sorted.length - 1) * share;
	const low = sorted[Math.floor(at)] ?? Number.NaN;
	const high = sorted[Math.ceil(at)] ?? Number.NaN;
	return low + (high - low) * (at - Math.floor(at));
}

export function median(samples: readonly number[]): number {
	return quantile(samples, 0.5);
}

export interface ProgramOptions {
	readonly environment?: NodeJS.ProcessEnv;
	readonly workingDirectory?: string;
	/** Exit codes other than 0 that are no error. */
	readonly expected?: readonly number[];
}

/** Milliseconds from spawn to exit. A program that fails fails the bench: its time would mean nothing. */
export async function timeProgram(argv: readonly [string, ...string[]], options: ProgramOptions = {}): Promise<number> {
	const { durationMs } = await runProgram(argv, options);
	return durationMs;
}

export async function runProgram(
	[program, ...args]: readonly [string, ...string[]],
	{ environment, workingDirectory, expected = [] }: ProgramOptions = {},
): Promise<{ readonly durationMs: number; readonly stdout: string; readonly stderr: string }> {
	const startMs = performance.now();
	const child = spawn(program, args, {
		stdio: ["ignore", "pipe", "pipe"],
		...(environment === undefined ? {} : { env: environment }),
		...(workingDirectory === undefined ? {} : { cwd: workingDirectory }),
	});
	const output = { stdout: "", stderr: "" };
	for (const name of ["stdout", "stderr"] as const) {
		child[name].setEncoding("utf8").on("data", (text: string) => {
			output[name] += text;
		});
	}
	const { promise, resolve, reject } = Promise.withResolvers<number | null>();
	child.once("error", reject).once("close", resolve);
	const code = await promise;
	const durationMs = performance.now() - startMs;
	if (code !== 0 && !expected.includes(code ?? -1)) {
		throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${output.stderr.trim().slice(-2000)}`);
	}
	return { durationMs, ...output };
}
