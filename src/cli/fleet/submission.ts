import type { z } from "zod";
import type { directiveRequestSchema } from "../../api/people/schema.ts";
import { digestSchema, parseByteSize, parseDurationMs } from "../../core/index.ts";
import type { Flag, FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { shellWord } from "../run/approval.ts";
import { readArtifacts } from "../run/request.ts";

type Request = z.input<typeof directiveRequestSchema>;

const MIB = 1024 * 1024;

/** What `vouch submit` asks for. Throws `cli.usage` for what no directive could mean. */
export function directiveRequest(words: readonly string[], flags: FlagValues, image: Request["image"]): Request {
	const allow = flags.all("--allow");
	const mode = (flags.text("--net") ?? (allow.length === 0 ? "none" : "allowlist")) as "none";
	if (mode !== ("allowlist" as string) && allow.length > 0)
		throw usage(`--allow needs --net allowlist, not --net ${mode}.`);
	if (allow.includes("")) throw usage("--allow is empty: write HOST:PORT.");
	const refs = flags.all("--secret");
	const stdin = flags.text("--secret-stdin");
	const secrets = { ...(refs.length > 0 && { refs: [...refs] }), ...(stdin !== undefined && { stdin }) };
	if (flags.has("--isolation") && flags.has("--profile"))
		throw usage("--profile and --isolation both say what holds it: give one of them.");
	const timeout = read(flags, "--timeout", lasting, "write a time such as 90s, 10m or 2h");
	const memory = read(flags, "--memory", parseByteSize, "write a size such as 512M or 2G");
	const disk = read(flags, "--disk", parseByteSize, "write a size such as 512M or 2G");
	const cores = read(flags, "--cpu", positive, "write a number of processors such as 0.5 or 2");
	return {
		command: commandLine(words),
		sandbox_profile: flags.text("--isolation") ?? flags.text("--profile") ?? "untrusted",
		...(image && { image }),
		artifacts: [...readArtifacts(flags)],
		requested_capabilities: {
			net: { mode, ...(allow.length === 0 ? {} : { allow: [...allow] }) },
			...(Object.keys(secrets).length > 0 && { secrets }),
		},
		...(timeout === undefined ? {} : { timeout_seconds: Math.ceil(timeout / 1000) }),
		limits: {
			...(memory === undefined ? {} : { memory_mb: Math.ceil(memory / MIB) }),
			...(disk === undefined ? {} : { disk_mb: Math.ceil(disk / MIB) }),
			...(cores === undefined ? {} : { cpu: Math.round(cores * 1000) }),
		},
		cwd: flags.text("--cwd") ?? null,
		shell: flags.text("--shell") ?? null,
		priority: read(flags, "--priority", whole, "write a whole number") ?? 0,
		max_attempts: read(flags, "--attempts", whole, "write a whole number") ?? 1,
	};
}

/**
 * The image by its digest, which is what is decided about and run. One without a digest is this machine's, by name; which images its
 * node has is the node's to say.
 */
export async function submittedImage(text: string | undefined): Promise<Request["image"]> {
	if (text === undefined) return undefined;
	const [reference = "", given] = text.split("@");
	const digest = digestSchema.safeParse(given);
	if (digest.success) return { reference, digest: digest.data };
	const { findImage, imageParts } = await import("../image/parts.ts");
	return { reference: text, digest: (await findImage(imageParts(), text)).digest };
}

/** Directives are lines for a shell: one word is such a line, several are quoted so that the shell sees them as they are. */
function commandLine(words: readonly string[]): string {
	const [only = ""] = words;
	return words.length === 1 ? only : words.map(shellWord).join(" ");
}

function read(
	flags: FlagValues,
	name: Flag["name"],
	parse: (text: string) => number | undefined,
	what: string,
): number | undefined {
	const text = flags.text(name);
	if (text === undefined) return undefined;
	const value = parse(text);
	if (value === undefined) throw usage(`${name} ${text}: ${what}.`);
	return value;
}

function usage(problem: string): Error {
	return fail("cli.usage", { problem });
}

function whole(text: string): number | undefined {
	return /^-?\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function lasting(text: string): number | undefined {
	return parseDurationMs(text) || undefined;
}

function positive(text: string): number | undefined {
	const value = Number(text);
	return Number.isFinite(value) && value > 0 ? value : undefined;
}
