import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOfDigest } from "../../../core/index.ts";
import { fail } from "../../failures.ts";
import { writeIndex } from "./layout.ts";

/** What FROM and COPY --from find under a name. */
export type NamedContext =
	| { readonly name: string; readonly kind: "folder"; readonly path: string }
	/** The one image of a layout that is meant. */
	| { readonly name: string; readonly kind: "oci-layout"; readonly path: string; readonly manifestDigest: Digest }
	| {
			readonly name: string;
			readonly kind: "oci-archive" | "docker-archive";
			readonly path: string;
			readonly tag: string | null;
	  };

export type ImageContext = Exclude<NamedContext, { readonly kind: "folder" }>;
type LayoutContext = Extract<NamedContext, { readonly kind: "oci-layout" }>;

/**
 * A layout of the one image that is meant, in a folder whose path has no `:`, which the transports take for a tag's. Its
 * contents stay where they are; builders check them against the manifest, and the manifest is checked here.
 */
async function narrowLayout({ path, manifestDigest: digest }: LayoutContext, folder: string): Promise<void> {
	await mkdir(folder, { recursive: true });
	await symlink(join(path, "blobs"), join(folder, "blobs"));
	const bytes = await readFile(join(path, "blobs/sha256", hexOfDigest(digest)));
	if (digestOf(bytes) !== digest) throw fail("image-source-changed", { source: path });
	const { mediaType = "application/vnd.oci.image.manifest.v1+json" } = JSON.parse(bytes.toString()) as {
		readonly mediaType?: string;
	};
	await writeIndex(folder, { mediaType, digest, size: bytes.length });
}

/**
 * How programs of the containers family call an image: `oci:context-0`, relative to the folder, so that whatever stands in the
 * path (an upper-case letter, a `:`) is not taken for a part of a name or a tag.
 */
export async function imageAddress(context: ImageContext, folder: string, name: string): Promise<string> {
	const place = join(folder, name);
	if (context.kind === "oci-layout") {
		await narrowLayout(context, place);
		return `oci:${name}`;
	}
	await symlink(context.path, place);
	return `${context.kind}:${name}${context.tag === null ? "" : `:${context.tag}`}`;
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
