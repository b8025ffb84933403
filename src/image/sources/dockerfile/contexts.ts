import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hexOfDigest } from "../../../core/index.ts";
import { layoutManifest } from "../../plan/layout-input.ts";
import type { Platform } from "../../schema.ts";
import { writeIndex } from "./layout.ts";

/** What FROM and COPY --from find under a name. */
export type NamedContext =
	| { readonly name: string; readonly kind: "folder"; readonly path: string }
	| {
			readonly name: string;
			readonly kind: "oci-layout" | "oci-archive" | "docker-archive";
			readonly path: string;
			readonly tag: string | null;
	  };

export type ImageContext = Exclude<NamedContext, { readonly kind: "folder" }>;

/**
 * A layout of the one image that is meant, in a folder whose path has no `:`, which the transports take for a tag's. Its
 * contents stay where they are; builders check them by their digests.
 */
export async function narrowLayout(
	{ path, tag }: ImageContext,
	folder: string,
	platform: Platform,
): Promise<{ readonly folder: string; readonly digest: string }> {
	const digest = layoutManifest(path, tag, platform);
	await mkdir(folder, { recursive: true });
	await symlink(join(path, "blobs"), join(folder, "blobs"));
	const bytes = await readFile(join(path, "blobs/sha256", hexOfDigest(digest)));
	const { mediaType = "application/vnd.oci.image.manifest.v1+json" } = JSON.parse(bytes.toString()) as {
		readonly mediaType?: string;
	};
	await writeIndex(folder, { mediaType, digest, size: bytes.length });
	return { folder, digest };
}

/** Configuration of a builder's own, so that the machine's is not read. */
export async function writeSettings(home: string): Promise<Readonly<Record<string, string>>> {
	await mkdir(join(home, "run"), { recursive: true, mode: 0o700 });
	await mkdir(join(home, "tmp"), { mode: 0o700 });
	const policy = join(home, "policy.json");
	await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
	for (const name of ["containers.conf", "registries.conf"]) await writeFile(join(home, name), "");
	const [graph, run] = [join(home, "storage"), join(home, "run-storage")].map((path) => JSON.stringify(path));
	const storage = `[storage]\ndriver = "vfs"\ngraphroot = ${graph}\nrunroot = ${run}\n`;
	await writeFile(join(home, "storage.conf"), storage);
	return {
		PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
		HOME: home,
		XDG_RUNTIME_DIR: join(home, "run"),
		TMPDIR: join(home, "tmp"),
		CONTAINERS_CONF: join(home, "containers.conf"),
		CONTAINERS_REGISTRIES_CONF: join(home, "registries.conf"),
		CONTAINERS_STORAGE_CONF: join(home, "storage.conf"),
		LC_ALL: "C.UTF-8",
	};
}
