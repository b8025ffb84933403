import { mkdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { digestOfJson, hexOfDigest, type Json } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import { fail } from "../../failures.ts";
import type { DebianInput } from "../../plan/schema.ts";
import { openScratch, sweepScratch } from "../../scratch/index.ts";
import { fetchPackages } from "./packages.ts";
import { makeRepository } from "./repository.ts";
import { mmdebstrapPath } from "./resolve.ts";

export interface BootstrapOptions {
	readonly host: Host;
	/** Of images. */
	readonly cacheDirectory: string;
	readonly architecture: string;
	/** Seconds since 1970. */
	readonly epoch: number;
	readonly snapshot: string | null;
	readonly signal?: AbortSignal | undefined;
	readonly progress: (what: string, doneBytes?: number, totalBytes?: number) => void;
	/** A line that the bootstrap said. */
	readonly onLine: (line: string) => void;
}

/** Of the pinned packages, in the scratch folder and while the system is made in the system. */
const REPOSITORY = "vouch-packages";

/** What nobody reads in an image; licences stay. */
const LEFT_OUT = [
	"path-exclude=/usr/share/man/*",
	"path-exclude=/usr/share/locale/*",
	"path-include=/usr/share/locale/locale.alias",
	"path-exclude=/usr/share/doc/*",
	"path-include=/usr/share/doc/*/copyright",
	"path-exclude=/usr/share/info/*",
	"path-exclude=/usr/share/lintian/*",
];
/** What tells of the build and not of the packages. */
const TIDY = [
	'rm -f "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/etc/machine-id "$1"/var/lib/dbus/machine-id',
	'rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/apt/apt.conf.d/99mmdebstrap',
	'rm -f "$1"/var/cache/debconf/*-old "$1"/var/lib/dpkg/*-old "$1"/var/cache/ldconfig/aux-cache',
	'rm -rf "$1"/var/log/* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin',
].join("; ");

/**
 * A tar of a Debian system that has the pinned packages and no others, made once and kept by what it is made of. Throws VouchError
 * `debian-bootstrap-failed`, `ids-missing`, `image-tool-missing`, what fetching packages throws, or the signal's reason.
 */
export async function bootstrapDebian(input: DebianInput, options: BootstrapOptions): Promise<string> {
	const { cacheDirectory, architecture, epoch, progress } = options;
	const key = hexOfDigest(digestOfJson({ input: input as unknown as Json, architecture, epoch }));
	const bases = join(cacheDirectory, "bases");
	const path = join(bases, `${key}.tar`);
	if ((await stat(path).catch(() => undefined)) !== undefined) return path;
	await mkdir(bases, { recursive: true, mode: 0o755 });
	await sweepScratch(bases);
	const fetching = `fetching ${input.packages.length} packages of Debian ${input.suite}`;
	progress(fetching);
	const paths = await fetchPackages(input.packages, {
		...options,
		progress: (done, total) => progress(fetching, done, total),
	});
	const scratch = openScratch(bases);
	try {
		const repository = join(scratch.directory, REPOSITORY);
		await makeRepository(repository, input.packages, paths, options);
		const tar = join(scratch.directory, "system.tar");
		progress(`installing ${input.packages.length} packages of Debian ${input.suite}`);
		await runMmdebstrap(input, repository, tar, options);
		await rename(tar, path);
	} finally {
		await scratch.remove();
	}
	return path;
}

/** Where the system itself takes packages from, which has nothing to do with where these came from. */
function archiveLine({ suite, components }: DebianInput): string {
	return `deb http://deb.debian.org/debian ${suite} ${components.join(" ")}`;
}

const packagesLine = (folder: string): string => `deb [trusted=yes] copy:${folder} ./`;

async function runMmdebstrap(
	input: DebianInput,
	repository: string,
	tar: string,
	options: BootstrapOptions,
): Promise<void> {
	const { host, architecture, epoch, signal, onLine } = options;
	const mmdebstrap = await mmdebstrapPath(host);
	const isInstalled = input.mode === "installed";
	const words = [
		`--mode=${host.userId === 0 ? "root" : "unshare"}`,
		// Unpacked: no script of a package runs, so a foreign architecture needs no emulator.
		`--variant=${isInstalled ? "custom" : "extract"}`,
		"--format=tar",
		`--architectures=${architecture}`,
		`--include=${input.packages.map(({ name }) => name).join(",")}`,
		'--aptopt=Apt::Install-Recommends "false"',
		// Copied by the user: what installs is another one, to whom the user's cache is closed.
		`--setup-hook=copy-in ${shellQuoted(repository)} /`,
		`--setup-hook=echo "${packagesLine(`$1/${REPOSITORY}`)}" > "$1"/etc/apt/sources.list`,
		...LEFT_OUT.map((line) => `--dpkgopt=${line}`),
		`--customize-hook=rm -rf "$1"/${REPOSITORY}; ${TIDY}`,
		`--customize-hook=echo "${archiveLine(input)}" > "$1"/etc/apt/sources.list`,
		"",
		tar,
		packagesLine(repository),
	];
	const environment = {
		PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
		LC_ALL: "C.UTF-8",
		HOME: "/nonexistent",
		DEBIAN_FRONTEND: "noninteractive",
		SOURCE_DATE_EPOCH: String(epoch),
	};
	const program = host.start([mmdebstrap, ...words], { environment, ...(signal && { signal }) });
	program.stdin.end();
	for await (const line of createInterface({ input: program.stdout })) onLine(line);
	const { exitCode, stderr } = await program.ended;
	signal?.throwIfAborted();
	if (exitCode === 0) return;
	const noIds = /\bsubuid\b|newuidmap/.test(stderr);
	if (noIds) throw fail("ids-missing", { what: "Installing Debian as an ordinary user" });
	const said = stderr.split("\n").filter((line) => /^[EW]: |error/i.test(line));
	const reason = said.at(0)?.replace(/^[EW]: */, "") ?? `mmdebstrap ended with ${exitCode}`;
	throw fail("debian-bootstrap-failed", { suite: input.suite, reason });
}

function shellQuoted(text: string): string {
	return `'${text.replaceAll("'", "'\\''")}'`;
}
