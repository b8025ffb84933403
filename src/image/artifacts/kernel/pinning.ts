import { type Digest, digestSchema } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import type { Platform } from "../../schema.ts";
import { fieldsOf, type Mirrors, mirrorsOf } from "./apt-sources.ts";
import { fail } from "./failures.ts";
import { type KernelPin, kernelPinSchema } from "./pin.ts";
import { PLATFORMS } from "./platforms.ts";
import { KEYRING, openPrivateApt, type PrivateApt } from "./private-apt.ts";

export interface PinOptions {
	readonly host: Host;
	/** Debian's name of a release; each platform has its own default. */
	readonly suite?: string | undefined;
	/** The archive as it was then, e.g. 20250520T000000Z. */
	readonly snapshot?: string | undefined;
	/** Told a sentence when the pin is less than was asked for. */
	readonly warn?: ((sentence: string) => void) | undefined;
	readonly signal?: AbortSignal | undefined;
}

interface Question {
	readonly package: string;
	readonly suite: string;
	readonly architecture: KernelPin["architecture"];
}

/**
 * The newest kernel that Debian has for a platform, by the digest that its signed index gives. Throws VouchError
 * `kernel-not-pinned`, `kernel-unknown` or `kernel-program-missing`, or the signal's reason.
 */
export async function pinKernel(platform: Platform, options: PinOptions): Promise<KernelPin> {
	const { host, signal } = options;
	const { architecture, metapackage, suite: usual } = PLATFORMS[platform];
	const question = { package: metapackage, suite: options.suite ?? usual, architecture };
	checkWords(question, options.snapshot);
	if (!(await host.exists(KEYRING))) {
		throw fail("kernel-program-missing", { program: KEYRING, package: "debian-archive-keyring" });
	}
	const mirrors = await mirrorsOf(host, options.snapshot);
	await using apt = await openPrivateApt(host, { architecture, signal });
	await updateIndexes(apt, mirrors, question, options);
	const [meta] = await stanzasOf(apt, metapackage, signal);
	if (meta === undefined) throw fail("kernel-unknown", { ...question, reason: "its index does not name it" });
	const kernel = /(?:^|[ ,])(linux-image-\d[a-z0-9.+-]*) *(?:\(= *([^ )]+) *\))?/.exec(meta.get("depends") ?? "");
	if (kernel === null) throw fail("kernel-unknown", { ...question, reason: "it depends on no kernel" });
	const [, name = "", version] = kernel;
	const stanzas = await stanzasOf(apt, version === undefined ? name : `${name}=${version}`, signal);
	const pin = stanzas.map((stanza) => pinOf(stanza, question)).find((found) => found !== undefined);
	if (pin === undefined) throw fail("kernel-unknown", { ...question, reason: `its index does not describe ${name}` });
	return pin;
}

/** They become words of a source list. */
function checkWords(question: Question, snapshot: string | undefined): void {
	if (!kernelPinSchema.shape.suite.safeParse(question.suite).success) {
		throw fail("kernel-unknown", { ...question, reason: "a suite's name has lower-case letters, digits and hyphens" });
	}
	if (snapshot !== undefined && !/^\d{8}T\d{6}Z$/.test(snapshot)) {
		throw fail("kernel-unknown", { ...question, reason: `a snapshot is named as 20250520T000000Z, not ${snapshot}` });
	}
}

/** Unstable gets its security updates like all else. */
const WITHOUT_SECURITY = new Set(["sid", "unstable", "experimental"]);

async function updateIndexes(
	apt: PrivateApt,
	mirrors: Mirrors,
	question: Question,
	options: PinOptions,
): Promise<void> {
	const { suite, architecture } = question;
	const settings = [
		`arch=${architecture}`,
		`signed-by=${KEYRING}`,
		// A snapshot's index is as old as it is named.
		...(options.snapshot === undefined ? [] : ["check-valid-until=no"]),
	].join(" ");
	const main = `deb [${settings}] ${mirrors.debian} ${suite} main`;
	const security = `deb [${settings}] ${mirrors["debian-security"]} ${suite}-security main`;
	const update = async (lines: readonly string[]) => {
		await apt.useSources(lines);
		return apt.run("apt-get", ["update", "-q"], options.signal);
	};
	const first = await update(WITHOUT_SECURITY.has(suite) ? [main] : [main, security]);
	if (first.exitCode === 0) return;
	const reason = reasonIn(first.stderr);
	const second = WITHOUT_SECURITY.has(suite) ? first : await update([main]);
	if (second.exitCode !== 0) throw fail("kernel-not-pinned", { ...question, reason: reasonIn(second.stderr) });
	options.warn?.(
		`Debian's security index of ${suite} could not be read, so the kernel may lack fixes that there are: ${reason}`,
	);
}

/** apt says what is wrong first and what it concludes from it last. */
function reasonIn(stderr: string): string {
	const lines = stderr.split("\n").filter((line) => /^[EW]:/.test(line));
	const [first = "apt-get failed without a word"] = lines;
	const said = first.replace(/^[EW]: */, "").trim();
	return /[.!?]$/.test(said) ? said : `${said}.`;
}

async function stanzasOf(apt: PrivateApt, what: string, signal: AbortSignal | undefined) {
	const { exitCode, stdout } = await apt.run("apt-cache", ["show", "--no-all-versions", what], signal);
	if (exitCode !== 0) return [];
	return stdout
		.toString("utf8")
		.split(/\n\n+/)
		.filter((stanza) => stanza.trim() !== "")
		.map(fieldsOf);
}

function pinOf(stanza: ReadonlyMap<string, string>, { suite }: Question): KernelPin | undefined {
	const path = stanza.get("filename") ?? "";
	const digest = digestSchema.safeParse(`sha256:${stanza.get("sha256")}`);
	const parsed = kernelPinSchema.safeParse({
		package: stanza.get("package"),
		version: stanza.get("version"),
		architecture: stanza.get("architecture"),
		suite,
		debDigest: digest.data satisfies Digest | undefined,
		sizeBytes: Number(stanza.get("size")),
		// The pool of the security archive has a level more than Debian's own.
		archive: path.startsWith("pool/updates/") ? "debian-security" : "debian",
		path,
	});
	return parsed.data;
}
