import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { artifactPatternSchema, parseByteSize, parseDurationMs, reasonOf } from "../../core/index.ts";
import type { HttpRule, NetworkRules } from "../../egress/schema.ts";
import { SHORTEST_SECRET_BYTES } from "../../runtime/index.ts";
import type { DriverName, Guarantee, LimitName, Limits } from "../../runtime/schema.ts";
import { environmentNameSchema, guaranteeSchema, limitsSchema, sandboxPathSchema } from "../../runtime/schema.ts";
import type { Flag, FlagValues, Invocation } from "../command.ts";
import { fail } from "../failures.ts";

/** What the command line asks for, checked; nothing of the machine has been decided yet. */
export interface RunRequest {
	readonly argv: readonly [string, ...string[]];
	/** `vm`: the strongest that boots a kernel of its own, emulated if need be. */
	readonly driver: DriverName | "vm" | null;
	readonly machine: "microvm" | "q35" | null;
	readonly acceptNoIsolation: "accepted" | "not-accepted";
	readonly image: string | null;
	readonly demands: readonly Guarantee[];
	readonly policyFiles: readonly string[];
	readonly network: NetworkRules;
	readonly workspace: { readonly source: string; readonly access: "read-write" | "read-only" } | null;
	readonly workingDirectory: string;
	readonly exposed: readonly string[];
	/** Patterns of files to keep. */
	readonly artifacts: readonly string[];
	readonly environment: Readonly<Record<string, string>>;
	readonly secrets: readonly string[];
	/** What was asked for; what was not is null and gets the policy's or the built-in default. */
	readonly limits: Limits;
	readonly stdin: "passed" | "closed";
	readonly tty: "asked" | "not-asked";
	readonly receiptCopy: string | null;
	readonly show: "report" | "quiet" | "json";
}

export function readRequest({ operands, flags }: Invocation, environment: NodeJS.ProcessEnv): RunRequest {
	const [command, ...rest] = operands;
	if (command === undefined || command === "") throw usage("Give the command to run, after --: vouch run -- npm test.");
	const isolation = flags.text("--isolation");
	const workspace = readWorkspace(flags);
	const passed = readEnvironment(flags, environment);
	return {
		argv: [command, ...rest],
		driver: isolation === undefined || isolation === "strongest" ? null : (isolation as DriverName | "vm"),
		machine: (flags.text("--machine") as RunRequest["machine"] | undefined) ?? null,
		acceptNoIsolation: flags.has("--accept-no-isolation") ? "accepted" : "not-accepted",
		image: readImage(flags),
		demands: flags.all("--demand").map(readGuarantee),
		policyFiles: flags.all("--policy"),
		network: readNetwork(flags),
		workspace,
		workingDirectory: readWorkingDirectory(flags, workspace),
		exposed: flags.all("--expose").map(readExposed),
		artifacts: readArtifacts(flags),
		...passed,
		limits: readLimits(flags),
		stdin: flags.has("--no-stdin") ? "closed" : "passed",
		tty: flags.has("--tty") ? "asked" : "not-asked",
		receiptCopy: readReceiptCopy(flags),
		show: flags.has("--json") ? "json" : flags.has("--quiet") ? "quiet" : "report",
	};
}

function usage(problem: string): Error {
	return fail("cli.usage", { problem });
}

function readImage(flags: FlagValues): string | null {
	const image = flags.text("--image");
	if (image === "") throw usage("--image is empty: give the name of an image, a folder, a tar or an OCI layout.");
	return image ?? null;
}

function readWorkspace(flags: FlagValues): RunRequest["workspace"] {
	const given = flags.text("--workspace") ?? ".";
	if (given === "none") return null;
	const path = resolve(given);
	if (given === "") throw fail("cli.workspace-unusable", { path: '""', problem: "it is empty" });
	const problem = workspaceProblem(path);
	if (problem !== undefined) throw fail("cli.workspace-unusable", { path, problem });
	return { source: realpathSync(path), access: flags.has("--read-only") ? "read-only" : "read-write" };
}

function workspaceProblem(path: string): string | undefined {
	try {
		if (!statSync(path).isDirectory()) return "it is not a folder";
		// The whole machine as a workspace would show it everything that the sandbox is there to hide.
		return realpathSync(path) === "/" ? "it is the root of the file system, so nothing would be hidden" : undefined;
	} catch (error) {
		return reasonOf(error);
	}
}

/** Looked at before anything runs: a receipt that can't be put where it was asked for is noticed too late. */
function readReceiptCopy(flags: FlagValues): string | null {
	const given = flags.text("--receipt");
	if (given === undefined) return null;
	try {
		if (given === "" || statSync(given, { throwIfNoEntry: false })?.isDirectory())
			throw new Error("that is no name of a file");
		accessSync(dirname(given), constants.W_OK | constants.X_OK);
	} catch (error) {
		throw usage(`--receipt ${given}: ${reasonOf(error)}. Name a file in a folder that is there.`);
	}
	return given;
}

function readWorkingDirectory(flags: FlagValues, workspace: RunRequest["workspace"]): string {
	const given = flags.text("--cwd") ?? (workspace === null ? "/" : "/workspace");
	if (sandboxPathSchema.safeParse(given).success) return given;
	throw usage(
		`--cwd ${given}: write an absolute path as the command sees it, such as /workspace/src, without . and ...`,
	);
}

function readExposed(path: string): string {
	const real = existingPath(path);
	if (real === undefined)
		throw usage(`--expose ${path}: there is nothing at that path. Give an existing file or folder.`);
	if (real === "/") throw usage(`--expose ${path}: that is the whole machine. Name the folder that the command needs.`);
	return real;
}

function existingPath(path: string): string | undefined {
	try {
		return realpathSync(resolve(path));
	} catch {
		return undefined;
	}
}

/** Of `submit` too. */
export function readArtifacts(flags: FlagValues): readonly string[] {
	const patterns = [...new Set(flags.all("--artifact"))].sort();
	for (const pattern of patterns) {
		const { error } = artifactPatternSchema.safeParse(pattern);
		if (error !== undefined) throw usage(`--artifact ${pattern}: it ${error.issues[0]?.message}.`);
	}
	return patterns;
}

function readGuarantee(text: string): Guarantee {
	const parsed = guaranteeSchema.safeParse(text);
	if (parsed.success) return parsed.data;
	throw usage(`--demand ${text}: there is no such guarantee. There is ${guaranteeSchema.options.join(", ")}.`);
}

function readEnvironment(flags: FlagValues, from: NodeJS.ProcessEnv): Pick<RunRequest, "environment" | "secrets"> {
	const environment: Record<string, string> = {};
	const take = (given: string, name: string, value: string | undefined): void => {
		if (!environmentNameSchema.safeParse(name).success) {
			throw usage(`${given}: "${name}" is not a name for a variable. Write letters, digits and _, no digit first.`);
		}
		if (value === undefined) throw fail("cli.secret-unset", { name });
		environment[name] = value;
	};
	for (const text of flags.all("--env")) {
		const equals = text.indexOf("=");
		if (equals === -1) take(`--env ${text}`, text, from[text]);
		else take(`--env ${text}`, text.slice(0, equals), text.slice(equals + 1));
	}
	const secrets = flags.all("--secret");
	for (const name of secrets) {
		if (name.includes("=")) throw usage("--secret takes a name alone: a value there would stand in the process list.");
		take(`--secret ${name}`, name, from[name]);
		if (Buffer.byteLength(environment[name] ?? "") < SHORTEST_SECRET_BYTES) {
			throw usage(
				`--secret ${name}: a value under ${SHORTEST_SECRET_BYTES} bytes can't be masked. Pass it with --env ${name}.`,
			);
		}
	}
	// What it writes is for the terminal that shows it.
	if (flags.has("--tty")) environment.TERM ??= from.TERM ?? "xterm";
	return { environment, secrets };
}

function readNetwork(flags: FlagValues): NetworkRules {
	const allow = flags.all("--allow");
	const http = [
		...flags.all("--allow-method").map((text) => httpRule("--allow-method", text)),
		...flags.all("--allow-path").map((text) => httpRule("--allow-path", text)),
	];
	const named = flags.text("--net");
	const mode = named ?? (allow.length + http.length > 0 ? "allowlist" : "none");
	const allowing = [
		...(allow.length > 0 ? ["--allow"] : []),
		...(http.length > 0 ? ["--allow-method or --allow-path"] : []),
	];
	if (mode === "none" && allowing.length > 0) {
		throw usage(`--net none and ${allowing.join(" and ")} contradict each other: leave one out.`);
	}
	const destinations = [...allow, ...http.map((rule) => rule.destination)];
	return {
		mode: mode as NetworkRules["mode"],
		// Unrestricted too: a private address is reached only where a rule spells it.
		allow: [...new Set(destinations)],
		deny: [...flags.all("--deny")],
		http: mergeHttpRules(http),
	};
}

function httpRule(flag: Flag["name"], text: string): HttpRule {
	const equals = text.lastIndexOf("=");
	const destination = text.slice(0, equals);
	const value = text.slice(equals + 1);
	if (equals < 1 || value === "") throw usage(`${flag} ${text}: write it as HOST[:PORT]=VALUE.`);
	if (flag === "--allow-path") {
		if (!value.startsWith("/")) throw usage(`--allow-path ${text}: the path must begin with /.`);
		return { destination, methods: [], paths: [value] };
	}
	const methods = value.split(",").map((method) => method.trim().toUpperCase());
	if (!methods.every((method) => /^[A-Z]{1,20}$/.test(method))) {
		throw usage(`--allow-method ${text}: methods are words such as GET,HEAD.`);
	}
	return { destination, methods, paths: [] };
}

/** Methods and paths given for one destination belong together: both must fit. */
function mergeHttpRules(rules: readonly HttpRule[]): HttpRule[] {
	const merged = new Map<string, HttpRule>();
	for (const rule of rules) {
		const before = merged.get(rule.destination) ?? { destination: rule.destination, methods: [], paths: [] };
		merged.set(rule.destination, {
			destination: rule.destination,
			methods: [...before.methods, ...rule.methods],
			paths: [...before.paths, ...rule.paths],
		});
	}
	return [...merged.values()];
}

/** How each limit is written, and in which unit the workload holds it. */
interface LimitFlag {
	readonly flag: Flag["name"];
	readonly parse: (text: string) => number | undefined;
	readonly form: string;
}

const LIMIT_FLAGS: Readonly<Record<LimitName, LimitFlag>> = {
	cpuMillicores: { flag: "--cpus", parse: parseMillicores, form: "a number of cores such as 0.5 or 2" },
	memoryMiB: { flag: "--memory", parse: parseMiB, form: "a size such as 512M or 2G" },
	processes: { flag: "--processes", parse: parseCount, form: "a whole number above 0" },
	openFiles: { flag: "--open-files", parse: parseCount, form: "a whole number above 0" },
	diskWriteMiB: { flag: "--disk-write", parse: parseMiB, form: "a size such as 512M or 2G" },
	outputBytes: { flag: "--output", parse: parseByteSize, form: "a size such as 64K or 1G" },
	timeoutMs: { flag: "--timeout", parse: parseDurationMs, form: "a time such as 90s, 10m or 2h" },
};

function readLimits(flags: FlagValues): Limits {
	const read = (limit: LimitName): number | null => {
		const { flag, parse, form } = LIMIT_FLAGS[limit];
		const text = flags.text(flag);
		if (text === undefined) return null;
		const value = parse(text);
		if (value === undefined || value <= 0) throw usage(`${flag} ${text}: write ${form}.`);
		const fits = limitsSchema.shape[limit].safeParse(value).success;
		if (!fits) throw usage(`${flag} ${text}: that is more than Vouch can count. Write ${form}, or leave it out.`);
		return value;
	};
	return {
		cpuMillicores: read("cpuMillicores"),
		memoryMiB: read("memoryMiB"),
		processes: read("processes"),
		openFiles: read("openFiles"),
		diskWriteMiB: read("diskWriteMiB"),
		outputBytes: read("outputBytes"),
		timeoutMs: read("timeoutMs"),
	};
}

/** Whole MiB, at least one: a limit of a few bytes is a limit, not none. */
function parseMiB(text: string): number | undefined {
	const bytes = parseByteSize(text);
	return bytes === undefined || bytes === 0 ? bytes : Math.max(1, Math.floor(bytes / 2 ** 20));
}

function parseCount(text: string): number | undefined {
	return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}

function parseMillicores(text: string): number | undefined {
	return /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : undefined;
}
