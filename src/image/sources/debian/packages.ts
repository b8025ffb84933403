import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { hexOfDigest } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import { mirrorsOf } from "../../artifacts/kernel/apt-sources.ts";
import { copyWithDigest, digestOfFile } from "../../artifacts/kernel/cached-file.ts";
import { openPrivateApt, type PrivateApt } from "../../artifacts/kernel/private-apt.ts";
import { fail } from "../../failures.ts";
import type { PackagePin } from "../../plan/schema.ts";
import { openScratch, sweepScratch } from "../../scratch/index.ts";
import { reasonIn } from "./resolve.ts";

export interface FetchPackagesOptions {
	readonly host: Host;
	readonly cacheDirectory: string;
	readonly architecture: string;
	readonly snapshot: string | null;
	readonly signal?: AbortSignal | undefined;
	readonly progress: (doneBytes: number, totalBytes: number) => void;
}

/** Downloads under way at once. */
const AT_ONCE = 6;

/**
 * Paths of pinned packages in the cache, in their order, each looked at by its digest. Only what is missing needs the network.
 * Throws VouchError `debian-package-gone`, `debian-package-wrong`, or the signal's reason.
 */
export async function fetchPackages(
	pins: readonly PackagePin[],
	options: FetchPackagesOptions,
): Promise<readonly string[]> {
	const { cacheDirectory, host, architecture, snapshot, signal, progress } = options;
	const folder = join(cacheDirectory, "packages");
	await mkdir(folder, { recursive: true, mode: 0o755 });
	await sweepScratch(folder);
	const pathOf = ({ debDigest }: PackagePin) => join(folder, `${hexOfDigest(debDigest)}.deb`);
	const missing: PackagePin[] = [];
	for (const pin of pins) {
		signal?.throwIfAborted();
		if ((await digestOfFile(pathOf(pin), signal)) !== pin.debDigest) missing.push(pin);
	}
	const total = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
	if (missing.length === 0) return pins.map(pathOf);
	const mirrors = await mirrorsOf(host, snapshot ?? undefined);
	await using apt = await openPrivateApt(host, { architecture, signal });
	const scratch = openScratch(folder);
	let done = 0;
	try {
		const waiting = [...missing];
		const work = async (): Promise<void> => {
			for (let pin = waiting.shift(); pin !== undefined; pin = waiting.shift()) {
				const arrived = join(scratch.directory, hexOfDigest(pin.debDigest));
				await download(apt, `${mirrors[pin.archive]}/${pin.path}`, pin, arrived, signal);
				await rename(arrived, pathOf(pin));
				done += pin.sizeBytes;
				progress(done, total);
			}
		};
		await Promise.all(Array.from({ length: AT_ONCE }, work));
	} finally {
		await scratch.remove();
	}
	return pins.map(pathOf);
}

async function download(
	apt: PrivateApt,
	address: string,
	pin: PackagePin,
	path: string,
	signal: AbortSignal | undefined,
): Promise<void> {
	const named = { package: `${pin.name} ${pin.version}` };
	const arriving = join(apt.downloads, hexOfDigest(pin.debDigest));
	const words = ["download-file", address, arriving, `SHA256:${hexOfDigest(pin.debDigest)}`];
	const { exitCode, stderr } = await apt.run("/usr/lib/apt/apt-helper", words, signal);
	if (exitCode !== 0) throw fail("debian-package-gone", { ...named, reason: reasonIn(stderr) });
	const { digest } = await copyWithDigest(arriving, path, signal);
	if (digest !== pin.debDigest) throw fail("debian-package-wrong", named);
}
