import { digestSchema } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import { type Mirrors, mirrorsOf } from "../../artifacts/kernel/apt-sources.ts";
import { KEYRING, openPrivateApt, type PrivateApt } from "../../artifacts/kernel/private-apt.ts";
import { fail } from "../../failures.ts";
import { type PackagePin, packagePinSchema } from "../../plan/schema.ts";
import type { DebianSource } from "../../recipe/schema.ts";

export interface ResolveOptions {
	readonly host: Host;
	/** Debian's name of it: amd64, arm64, riscv64. */
	readonly architecture: string;
	readonly signal?: AbortSignal | undefined;
}

/** What every system has: apt's patterns for it, as mmdebstrap's variant `minbase` takes them. */
const ESSENTIAL = ["?essential", "?priority(required)", "apt"];
const MOMENT = /^\d{8}T\d{6}Z$/;

/** Name and version of the program that makes a system: its bytes depend on it. Throws `image-tool-missing`. */
export async function debianTool(host: Host): Promise<string> {
	const path = await mmdebstrapPath(host);
	const { stdout } = await host.run([path, "--version"]);
	return stdout.trim().split("\n")[0] ?? "mmdebstrap";
}

export async function mmdebstrapPath(host: Host): Promise<string> {
	const path = await host.findProgram("mmdebstrap");
	const details = { what: "a Debian system", program: "mmdebstrap", package: "mmdebstrap" };
	if (path === undefined) throw fail("image-tool-missing", details);
	return path;
}

/**
 * Every package of a system that has the asked ones: the newest that Debian has now, or had at the source's snapshot, by the
 * digests of its signed indexes. Throws VouchError `debian-unavailable`, `image-tool-missing`, or the signal's reason.
 */
export async function resolveDebian(source: DebianSource, options: ResolveOptions): Promise<readonly PackagePin[]> {
	const { suite, packages, snapshot } = source;
	const { host, architecture, signal } = options;
	const unavailable = (reason: string) => fail("debian-unavailable", { suite, reason });
	if (snapshot !== null && !MOMENT.test(snapshot)) throw unavailable(`${snapshot} is no moment`);
	const mirrors = await mirrorsOf(host, snapshot ?? undefined);
	await using apt = await openPrivateApt(host, { architecture, signal });
	await updateIndexes(apt, mirrors, source, options);
	const words = ["-qq", "-y", "--print-uris", "-o", "Acquire::ForceHash=SHA256", "-o", "APT::Install-Recommends=false"];
	const all = [...words, "-o", "pkgCacheGen::ForceEssential=,", "install", ...ESSENTIAL, ...packages];
	const { exitCode, stdout, stderr } = await apt.run("apt-get", all, signal);
	// apt itself is in every suite that has the architecture.
	if (/unable to locate package apt$/im.test(stderr)) throw unavailable(`it has no packages for ${architecture}`);
	if (exitCode !== 0) throw unavailable(reasonIn(stderr));
	const pins = stdout
		.toString("utf8")
		.split("\n")
		.flatMap((line) => pinOf(line, mirrors));
	if (pins.length === 0) throw unavailable("apt names no packages");
	return pins.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function updateIndexes(
	apt: PrivateApt,
	mirrors: Mirrors,
	{ suite, components, snapshot }: DebianSource,
	{ architecture, signal }: ResolveOptions,
): Promise<void> {
	const age = snapshot === null ? "" : " check-valid-until=no";
	const settings = `[arch=${architecture} signed-by=${KEYRING}${age}]`;
	const words = components.join(" ");
	const main = `deb ${settings} ${mirrors.debian} ${suite} ${words}`;
	const updates = `deb ${settings} ${mirrors.debian} ${suite}-updates ${words}`;
	const security = `deb ${settings} ${mirrors["debian-security"]} ${suite}-security ${words}`;
	let reason = "";
	// Old and unstable suites have no updates, and a mirror's security index of a young port may be broken.
	for (const lines of [[main, updates, security], [main, updates], [main]]) {
		await apt.useSources(lines);
		const { exitCode, stderr } = await apt.run("apt-get", ["update", "-q"], signal);
		if (exitCode === 0) return;
		reason = reasonIn(stderr);
	}
	throw fail("debian-unavailable", { suite, reason });
}

/** One line of `--print-uris`: 'ADDRESS' FILE SIZE SHA256:HEX. */
function pinOf(line: string, mirrors: Mirrors): readonly PackagePin[] {
	const found = /^'([^']+)' (\S+)_([^_\s]+)_([a-z0-9]+)\.deb ([0-9]+) SHA256:([0-9a-f]{64})$/.exec(line);
	if (found === null) return [];
	const [, address = "", name, version = "", architecture, size, hex] = found;
	const archive = (["debian-security", "debian"] as const).find((one) => address.startsWith(`${mirrors[one]}/`));
	if (archive === undefined) return [];
	const pin = packagePinSchema.safeParse({
		name,
		version: decodeURIComponent(version),
		architecture,
		archive,
		path: address.slice(mirrors[archive].length + 1),
		debDigest: digestSchema.parse(`sha256:${hex}`),
		sizeBytes: Number(size),
	});
	return pin.success ? [pin.data] : [];
}

/** apt says what is wrong first and what it concludes from it last. */
export function reasonIn(stderr: string): string {
	const line = stderr.split("\n").find((one) => /^[EW]:/.test(one)) ?? "apt-get failed without a word";
	return line.replace(/^[EW]: */, "").trim();
}
