import { mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Host } from "../../host/index.ts";
import { SHORTEST_SECRET_BYTES } from "../../runtime/index.ts";
import { secretNameSchema, type Workload } from "../../runtime/schema.ts";
import { agentFailures } from "../failures.ts";
import type { EngineParts } from "./parts.ts";

/** Where values of secrets come from: fetched anew for each directive, kept nowhere. */
export interface SecretSource {
	/** A folder with a file for each, such as systemd's credentials; empty for none. */
	readonly directory: string;
	/** A program that prints the value of the name that is added to its arguments; empty for none. */
	readonly command: readonly string[];
}

export interface GivenSecrets {
	/** Holds a file for each of those that are files; undefined for none. */
	readonly folder: string | undefined;
	/** What the command reads from its stdin; null for nothing. */
	readonly input: Readable | null;
	/** What no output may show. */
	readonly values: readonly string[];
}

const MAX_VALUE_BYTES = 256 * 1024;
const FETCH_TIMEOUT_MS = 15_000;
/** statfs(2): tmpfs and ramfs. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/**
 * Fetches the secrets of a workload. Files lie in the run's private folder, which must lie in memory: what is on a disk stays there.
 * The folder goes with the run. Throws `secret-unavailable`.
 */
export async function giveSecrets(
	{ secretFiles = [], secretInput }: Pick<Workload, "secretFiles" | "secretInput">,
	runDirectory: string,
	{ secrets: source, host, log }: Pick<EngineParts, "secrets" | "host" | "log">,
): Promise<GivenSecrets> {
	const names = [...new Set([...secretFiles, ...(secretInput === undefined ? [] : [secretInput])])];
	if (names.length > 0) log.info({ secrets: names }, "secrets are given to a directive");
	const values = new Map<string, Buffer>();
	for (const name of names) values.set(name, await fetchSecret(secretNameSchema.parse(name), source, host));
	const found = (name: string): Buffer => values.get(name) ?? Buffer.alloc(0);
	return {
		folder: secretFiles.length === 0 ? undefined : folderOf(secretFiles, found, runDirectory),
		input: secretInput === undefined ? null : Readable.from([found(secretInput)]),
		values: [...values.values()].map((value) => textOf(value)),
	};
}

function folderOf(names: readonly string[], found: (name: string) => Buffer, runDirectory: string): string {
	if (!IN_MEMORY.has(statfsSync(runDirectory).type)) {
		const problem = `${runDirectory} is not in memory; let XDG_RUNTIME_DIR name a folder on a tmpfs`;
		throw agentFailures.fail("secret-unavailable", { secret: names.join(", "), problem });
	}
	const folder = join(runDirectory, "secrets");
	mkdirSync(folder, { mode: 0o700 });
	for (const name of names) writeFileSync(join(folder, name), found(name), { mode: 0o400, flag: "wx" });
	return folder;
}

/** What would be seen of it: without the line break that it may end in. */
function textOf(value: Buffer): string {
	return Buffer.from(value.toString("latin1").trimEnd(), "latin1").toString("utf8");
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
