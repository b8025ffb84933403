import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Host } from "../../../host/index.ts";
import { type Finished, type Program, pathOfProgram, runToEnd } from "./programs.ts";

/** apt with a state of its own: it neither reads nor changes what the machine's apt knows, and runs none of its hooks. */
export interface PrivateApt extends AsyncDisposable {
	/** A folder that downloads may be written to. */
	readonly downloads: string;
	/** Replaces the sources by lines of a source list. */
	useSources(lines: readonly string[]): Promise<void>;
	run(program: Program, words: readonly string[], signal?: AbortSignal): Promise<Finished>;
}

/** Debian's, from debian-archive-keyring: it has the keys of all releases that are supported. */
export const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/**
 * How the machine reaches the archive: proxies, retries, its view of time. Not what it lets pass unsigned, and nothing that
 * is run after an update.
 */
const KEPT_SETTINGS =
	/^Acquire::(?:https?::[A-Za-z0-9:._-]+|Retries|Check-Valid-Until|Check-Date|ForceIPv4|ForceIPv6) "[^"\\\n]*";$/;
const OUTPUT_BYTES = 16 << 20;
/** Nothing of it is still under way by then on any line that could finish a build. */
const PROGRAM_TIMEOUT_MS = 600_000;

export async function openPrivateApt(
	host: Host,
	options: { readonly architecture: string; readonly signal?: AbortSignal | undefined },
): Promise<PrivateApt> {
	const folder = await mkdtemp(join(tmpdir(), "vouch-apt-"));
	try {
		const configuration = join(folder, "apt.conf");
		const downloads = join(folder, "tmp");
		await makeFolders(folder, host);
		await writeFile(join(folder, "status"), "");
		const kept = await keptSettings(host);
		await writeFile(configuration, configurationText(folder, options.architecture, kept));
		const environment = {
			PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
			APT_CONFIG: configuration,
			// gpgv's files are made there by the user that apt's downloads run as.
			TMPDIR: downloads,
			LC_ALL: "C.UTF-8",
		};
		return {
			downloads,
			useSources: (lines) => writeFile(join(folder, "sources.list"), `${lines.join("\n")}\n`),
			run: async (program, words, signal) => {
				const path = await pathOfProgram(host, program);
				const limit = AbortSignal.timeout(PROGRAM_TIMEOUT_MS);
				const either = AbortSignal.any([limit, ...(signal === undefined ? [] : [signal])]);
				const options = { environment, signal: either, limitBytes: OUTPUT_BYTES };
				return runToEnd(host, [path, ...words], options).catch((error: unknown) => {
					signal?.throwIfAborted();
					if (!limit.aborted) throw error;
					return { exitCode: 124, stdout: Buffer.alloc(0), stderr: `E: ${program} took longer than ten minutes` };
				});
			},
			[Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
		};
	} catch (error) {
		await rm(folder, { recursive: true, force: true });
		throw error;
	}
}

async function makeFolders(folder: string, host: Host): Promise<void> {
	for (const name of ["state/lists/partial", "cache/archives/partial", "empty", "tmp"]) {
		await mkdir(join(folder, name), { recursive: true, mode: 0o755 });
	}
	if (host.userId !== 0) return;
	// Root's downloads run as the user _apt, who must get in; what is downloaded is checked against signed digests.
	for (const name of ["", "state", "state/lists", "cache", "cache/archives", "empty"]) {
		await chmod(join(folder, name), 0o755);
	}
	await chmod(join(folder, "tmp"), 0o1777);
}

async function keptSettings(host: Host): Promise<readonly string[]> {
	const program = await pathOfProgram(host, "apt-config");
	const { stdout } = await host.run([program, "dump"]);
	return stdout.split("\n").filter((line) => KEPT_SETTINGS.test(line));
}

function configurationText(folder: string, architecture: string, kept: readonly string[]): string {
	const own: Readonly<Record<string, string>> = {
		"Dir::State": join(folder, "state"),
		"Dir::State::status": join(folder, "status"),
		"Dir::Cache": join(folder, "cache"),
		"Dir::Log": folder,
		"Dir::Etc::SourceList": join(folder, "sources.list"),
		// The machine's settings, hooks, preferences and keys are read from here instead.
		"Dir::Etc::SourceParts": join(folder, "empty"),
		"Dir::Etc::Main": join(folder, "empty/none"),
		"Dir::Etc::Parts": join(folder, "empty"),
		"Dir::Etc::Preferences": join(folder, "empty/none"),
		"Dir::Etc::PreferencesParts": join(folder, "empty"),
		"Dir::Etc::Trusted": join(folder, "empty/none"),
		"Dir::Etc::TrustedParts": join(folder, "empty"),
		"APT::Architecture": architecture,
		"Acquire::Languages": "none",
		"Acquire::AllowInsecureRepositories": "false",
		"Acquire::AllowWeakRepositories": "false",
		"Acquire::AllowDowngradeToInsecureRepositories": "false",
		"APT::Get::AllowUnauthenticated": "false",
		// An index that did not come is an error, not a warning.
		"APT::Update::Error-Mode": "any",
	};
	const lines = Object.entries(own).map(([name, value]) => `${name} "${value}";`);
	return [...kept, ...lines, `APT::Architectures { "${architecture}"; };`, ""].join("\n");
}
