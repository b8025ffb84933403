import { createInterface } from "node:readline";
import { fail } from "../../failures.ts";
import type { DockerfileOptions } from "./build.ts";

/** Runs a builder's command to its end. Throws VouchError `dockerfile-failed` with what it said last, `ids-missing`, or the signal's reason. */
export async function runBuilder(
	argv: readonly [string, ...string[]],
	environment: Readonly<Record<string, string>> | undefined,
	options: DockerfileOptions & { readonly source: string; readonly workingDirectory?: string },
): Promise<readonly string[]> {
	const { host, signal, onLine, source, workingDirectory } = options;
	signal?.throwIfAborted();
	const program = host.start(argv, {
		signal,
		...(environment && { environment }),
		...(workingDirectory !== undefined && { workingDirectory }),
	});
	program.stdin.end();
	let last: readonly string[] = [];
	for await (const line of createInterface({ input: program.stdout })) {
		last = [...last.slice(-9), line];
		onLine(line);
	}
	const { exitCode, stderr } = await program.ended;
	signal?.throwIfAborted();
	if (exitCode === 0) return last;
	const lines = stderr.split("\n").filter((line) => line.trim() !== "");
	if (stderr.includes("supplemental groups list: operation not permitted"))
		throw fail("ids-missing", { what: "Running a Dockerfile as an ordinary user" });
	const said = lines.findLast((line) => /^(?:error|err)\b/i.test(line)) ?? lines.at(-1);
	throw fail("dockerfile-failed", {
		source,
		reason: (said ?? `the builder ended with ${exitCode}`).replace(/\.$/, ""),
	});
}
