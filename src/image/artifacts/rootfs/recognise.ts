import { statSync } from "node:fs";
import { join } from "node:path";
import { printablePath } from "../../../host/index.ts";
import { chunksOf, compressionOf, DecompressionFault, decompressed } from "./compression.ts";
import { fail } from "./failures.ts";
import { scanArchive } from "./layout/files.ts";
import { rawOfText } from "./raw-text.ts";
import { type ReadOptions, Refusal, type RootfsSource } from "./source.ts";
import { type ByteStore, openSource } from "./stores.ts";
import { TarReader } from "./tar/reader.ts";

/** What only archives of images have at their top. */
const IMAGE_MEMBER =
	/^(?:\.\/)?(?:manifest\.json|repositories|index\.json|oci-layout|[0-9a-f]{64}\.(?:json|tar)|blobs(?:\/.*)?|[0-9a-f]{64}(?:\/.*)?)$/;

type Members = Set<string>;

class Enough extends Error {}

/** How the source at a path is to be read, told by what is there. Throws VouchError `rootfs-missing` or `rootfs-refused`. */
export async function recogniseSource(
	path: string,
	options: Pick<ReadOptions, "host" | "signal"> & { readonly tag?: string | null },
): Promise<RootfsSource> {
	const tag = options.tag ?? null;
	const shown = printablePath(rawOfText(path));
	const stats = statSync(path, { throwIfNoEntry: false });
	if (stats?.isDirectory() === true) {
		const isLayout = statSync(join(path, "oci-layout"), { throwIfNoEntry: false })?.isFile() === true;
		return isLayout ? { kind: "oci-layout", path, tag } : { kind: "folder", path };
	}
	if (stats?.isFile() !== true) {
		throw fail("rootfs-missing", { source: shown, reason: stats === undefined ? "it is not there" : "it is no file" });
	}
	const store = openSource(path, shown);
	try {
		const members = await membersOf(store, options);
		// Newer `docker save` writes both: its own list is what `docker load` and everybody else reads.
		if (members.has("manifest.json")) return { kind: "docker-archive", path, tag };
		return members.has("oci-layout") ? { kind: "oci-archive", path, tag } : { kind: "tar", path };
	} catch (error) {
		if (error instanceof Refusal) {
			throw fail("rootfs-refused", { source: shown, entry: error.entry, reason: error.message }, error);
		}
		if (error instanceof DecompressionFault) {
			const reason = `it can't be decompressed: ${error.message}`;
			throw fail("rootfs-refused", { source: shown, entry: "the archive", reason }, error);
		}
		throw error;
	} finally {
		store.close();
	}
}

/** Names at the top of an archive of an image; none as soon as a name shows that it is an archive of something else. */
async function membersOf(store: ByteStore, options: Pick<ReadOptions, "host" | "signal">): Promise<Members> {
	const members: Members = new Set();
	const onEntry = ({ path }: { readonly path: string }) => {
		if (!IMAGE_MEMBER.test(path) && path !== "./") {
			members.clear();
			throw new Enough();
		}
		members.add(path.replace(/^\.\//, ""));
	};
	try {
		const compression = compressionOf(store);
		if (compression === "none") scanArchive(store, onEntry);
		else {
			const reader = new TarReader(onEntry);
			const chunks = decompressed(chunksOf(store, options.signal), compression, options);
			for await (const chunk of chunks) reader.push(chunk);
		}
	} catch (error) {
		if (!(error instanceof Enough)) throw error;
	}
	return members;
}
