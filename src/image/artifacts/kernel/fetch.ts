import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { hexOfDigest } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import { openScratch, sweepScratch } from "../../scratch/index.ts";
import { mirrorsOf } from "./apt-sources.ts";
import { copyWithDigest, digestOfFile } from "./cached-file.ts";
import { fail } from "./failures.ts";
import type { KernelPin } from "./pin.ts";
import { openPrivateApt } from "./private-apt.ts";

export interface FetchOptions {
	readonly host: Host;
	/** Kernels are kept below `kernels/` of it, by their digests. */
	readonly cacheDirectory: string;
	/** The archive as it was then: it has packages that mirrors have no more. */
	readonly snapshot?: string | undefined;
	readonly signal?: AbortSignal | undefined;
	readonly progress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

const PROGRESS_MS = 200;

/**
 * Path of the pinned package in the cache, its digest checked just now; the network is needed only when it isn't there.
 * Throws VouchError `kernel-not-fetched` or `kernel-wrong-bytes`, or the signal's reason.
 */
export async function fetchKernel(pin: KernelPin, options: FetchOptions): Promise<string> {
	const { cacheDirectory, signal, progress } = options;
	const kernels = join(cacheDirectory, "kernels");
	const packages = join(kernels, "packages");
	const path = join(packages, `${hexOfDigest(pin.debDigest)}.deb`);
	if ((await digestOfFile(path, signal)) === pin.debDigest) {
		progress?.(pin.sizeBytes, pin.sizeBytes);
		return path;
	}
	await mkdir(packages, { recursive: true, mode: 0o755 });
	await sweepScratch(kernels);
	const scratch = openScratch(kernels);
	try {
		const fetched = join(scratch.directory, "package.deb");
		await download(pin, fetched, options);
		await rename(fetched, path);
	} finally {
		await scratch.remove();
	}
	progress?.(pin.sizeBytes, pin.sizeBytes);
	return path;
}

async function download(pin: KernelPin, path: string, options: FetchOptions): Promise<void> {
	const { host, snapshot, signal } = options;
	const mirrors = await mirrorsOf(host, snapshot);
	await using apt = await openPrivateApt(host, { architecture: pin.architecture, signal });
	const arriving = join(apt.downloads, "package.deb");
	const address = `${mirrors[pin.archive]}/${pin.path}`;
	const watch = watchSize(arriving, pin, options);
	try {
		const expected = `SHA256:${hexOfDigest(pin.debDigest)}`;
		const words = ["download-file", address, arriving, expected];
		const { exitCode, stdout, stderr } = await apt.run("/usr/lib/apt/apt-helper", words, signal);
		if (exitCode !== 0) {
			const said = `${stdout}\n${stderr}`.split("\n").findLast((line) => /^(?:E|Err|W):/.test(line));
			throw fail("kernel-not-fetched", { ...named(pin), reason: `${said ?? "the download failed"}.` });
		}
	} finally {
		clearInterval(watch);
	}
	const { digest, sizeBytes } = await copyWithDigest(arriving, path, signal);
	if (digest === pin.debDigest && sizeBytes === pin.sizeBytes) return;
	await rm(path);
	const [found, wanted] = [`${digest} of ${sizeBytes} bytes`, `${pin.debDigest} of ${pin.sizeBytes}`];
	throw fail("kernel-wrong-bytes", { ...named(pin), found, expected: wanted });
}

function named(pin: KernelPin): { readonly package: string; readonly version: string } {
	return { package: pin.package, version: pin.version };
}

function watchSize(path: string, { sizeBytes }: KernelPin, { progress }: FetchOptions): NodeJS.Timeout | undefined {
	if (progress === undefined) return undefined;
	const tell = (size: number) => progress(Math.min(size, sizeBytes), sizeBytes);
	return setInterval(() => {
		stat(path).then(
			({ size }) => tell(size),
			() => {},
		);
	}, PROGRESS_MS);
}
