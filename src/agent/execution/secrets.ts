import { mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "../../host/index.ts";
import { SHORTEST_SECRET_BYTES } from "../../runtime/index.ts";
import { secretNameSchema } from "../../runtime/schema.ts";
import { agentFailures } from "../failures.ts";

/** Where values of secrets come from: fetched anew for each directive, kept nowhere. */
export interface SecretSource {
	/** A folder with a file for each, such as systemd's credentials; empty for none. */
	readonly directory: string;
	/** A program that prints the value of the name that is added to its arguments; empty for none. */
	readonly command: readonly string[];
}

export interface GivenSecrets {
	readonly folder: string;
	/** What no output may show. */
	readonly values: readonly string[];
}

const MAX_VALUE_BYTES = 256 * 1024;
const FETCH_TIMEOUT_MS = 15_000;
/** statfs(2): tmpfs and ramfs. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/**
 * Fetches the secrets and writes each to a file of its own in the run's private folder, which must lie in memory: what is on a disk
 * stays there. The folder goes with the run. Throws `secret-unavailable`.
 */
export async function giveSecrets(
	names: readonly string[],
	runDirectory: string,
	source: SecretSource,
	host: Host,
): Promise<GivenSecrets> {
	if (!IN_MEMORY.has(statfsSync(runDirectory).type)) {
		const problem = `${runDirectory} is not in memory; let XDG_RUNTIME_DIR name a folder on a tmpfs`;
		throw agentFailures.fail("secret-unavailable", { secret: names.join(", "), problem });
	}
	const folder = join(runDirectory, "secrets");
	mkdirSync(folder, { mode: 0o700 });
	const values: string[] = [];
	for (const name of names) {
		const value = await fetchSecret(secretNameSchema.parse(name), source, host);
		writeFileSync(join(folder, name), value, { mode: 0o400, flag: "wx" });
		const text = value.toString("latin1").trimEnd();
		values.push(Buffer.from(text, "latin1").toString("utf8"));
	}
	return { folder, values };
}

async function fetchSecret(name: string, { directory, command }: SecretSource, host: Host): Promise<Buffer> {
	const unavailable = (problem: string) => agentFailures.fail("secret-unavailable", { secret: name, problem });
	const fromFile = directory === "" ? undefined : readIfThere(join(directory, name));
	const value = fromFile ?? (await fromCommand(name, command, host));
	if (value === undefined) throw unavailable("nothing on this node gives it");
	if (value.length > MAX_VALUE_BYTES) throw unavailable(`it has more than ${MAX_VALUE_BYTES} bytes`);
	if (value.length < SHORTEST_SECRET_BYTES)
		throw unavailable(`under ${SHORTEST_SECRET_BYTES} bytes it could not be masked`);
	return value;
}

function readIfThere(path: string): Buffer | undefined {
	try {
		return readFileSync(path);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
		throw error;
	}
}

async function fromCommand(
	name: string,
	[program, ...rest]: readonly string[],
	host: Host,
): Promise<Buffer | undefined> {
	if (program === undefined) return undefined;
	const { exitCode, stdout } = await host.run([program, ...rest, name], { timeoutMs: FETCH_TIMEOUT_MS });
	return exitCode === 0 ? Buffer.from(stdout.replace(/\n$/, "")) : undefined;
}
