import { mkdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOfDigest } from "../../../core/index.ts";
import type { Host } from "../../../host/index.ts";
import { fail } from "../../failures.ts";
import { architectureOf } from "../../guest.ts";
import type { Platform } from "../../schema.ts";
import { openScratch, sweepScratch } from "../../scratch/index.ts";

export interface ResolveOptions {
	readonly host: Host;
	readonly platform: Platform;
	readonly signal?: AbortSignal | undefined;
}

export interface CopyOptions extends ResolveOptions {
	/** Of images. */
	readonly cacheDirectory: string;
	/** A line that skopeo said. */
	readonly onLine: (line: string) => void;
}

/** Registries refuse larger ones: distribution-spec 1.1, "Pushing manifests". */
const MANIFEST_BYTES = 4 << 20;
const POLICY = "/etc/containers/policy.json";

/**
 * What a reference names now: the digest of the manifest, or of the index when it has several platforms. Throws VouchError
 * `image-not-fetched`, `image-tool-missing`, or the signal's reason.
 */
export async function resolveImage(reference: string, options: ResolveOptions): Promise<Digest> {
	const words = ["inspect", "--raw", ...tlsWords("--tls-verify", reference), `docker://${reference}`];
	const chunks: Buffer[] = [];
	await runSkopeo(words, { ...options, reference, onChunk: (chunk) => chunks.push(chunk) });
	const manifest = Buffer.concat(chunks);
	if (manifest.length === 0 || manifest.length > MANIFEST_BYTES) {
		const reason = `its manifest has ${manifest.length} bytes, and 1 to ${MANIFEST_BYTES} are taken`;
		throw fail("image-not-fetched", { reference, reason });
	}
	return digestOf(manifest);
}

/**
 * Folder of an OCI layout with the image of that digest for that platform; the network is needed only when it isn't in the
 * cache. Throws as `resolveImage` does.
 */
export async function copyImage(reference: string, digest: Digest, options: CopyOptions): Promise<string> {
	const architecture = architectureOf(options.platform);
	const images = join(options.cacheDirectory, "registry");
	const path = join(images, `${hexOfDigest(digest)}-${architecture}`);
	if ((await stat(path).catch(() => undefined)) !== undefined) return path;
	await mkdir(images, { recursive: true, mode: 0o755 });
	await sweepScratch(images);
	const scratch = openScratch(images);
	try {
		const layout = join(scratch.directory, "layout");
		const platform = ["--override-os", "linux", "--override-arch", architecture];
		const from = `docker://${repositoryOf(reference)}@${digest}`;
		const words = [...platform, "copy", ...tlsWords("--src-tls-verify", reference), from, `oci:${layout}`];
		const onChunk = (chunk: Buffer) => {
			for (const line of chunk.toString().split("\n")) if (line !== "") options.onLine(line);
		};
		await runSkopeo(words, { ...options, reference, onChunk });
		await rename(layout, path).catch(async (error: NodeJS.ErrnoException) => {
			// Another build has put the same image there meanwhile.
			if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
		});
	} finally {
		await scratch.remove();
	}
	return path;
}

/** Without tag and digest: a tag follows the last `/`, a `:` before it is a port's. */
function repositoryOf(reference: string): string {
	const [name = ""] = reference.split("@");
	return name.replace(/:[^/:]*$/, (tag) => (name.includes("/") ? "" : tag));
}

/** A registry of this machine has no certificate that anyone signed. */
function tlsWords(flag: string, reference: string): readonly string[] {
	return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?\//.test(reference) ? [`${flag}=false`] : [];
}

async function runSkopeo(
	words: readonly string[],
	{
		host,
		signal,
		reference,
		onChunk,
	}: ResolveOptions & { readonly reference: string; readonly onChunk: (chunk: Buffer) => void },
): Promise<void> {
	signal?.throwIfAborted();
	const program = await host.findProgram("skopeo");
	if (program === undefined) {
		throw fail("image-tool-missing", { what: `Fetching ${reference}`, program: "skopeo", package: "skopeo" });
	}
	// An operator's policy on signatures holds; digests alone bind where there is none.
	const policy = (await host.exists(POLICY)) ? [] : ["--insecure-policy"];
	const started = host.start([program, ...policy, ...words], { signal });
	started.stdin.end();
	let length = 0;
	for await (const chunk of started.stdout as AsyncIterable<Buffer>) {
		length += chunk.length;
		// The rest is read away, so that the program ends.
		if (length <= 2 * MANIFEST_BYTES) onChunk(chunk);
	}
	const { exitCode, stderr } = await started.ended;
	signal?.throwIfAborted();
	if (exitCode === 0) return;
	const said = stderr.trim().split("\n").at(-1) ?? "";
	const reason = /msg="((?:[^"\\]|\\.)*)"/.exec(said)?.[1]?.replace(/\\(.)/g, "$1") ?? said;
	throw fail("image-not-fetched", { reference, reason: reason.replace(/\.$/, "") || `skopeo ended with ${exitCode}` });
}
