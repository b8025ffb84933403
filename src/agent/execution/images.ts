import type { Json } from "../../core/index.ts";
import { openImageStore, parseRegistryReference, pullImage } from "../../image/index.ts";
import { findRoot, type RootChoice } from "../../runtime/index.ts";
import type { Workload } from "../../runtime/schema.ts";
import { agentFailures } from "../failures.ts";
import type { LogScreens } from "./log-screen.ts";
import type { EngineParts } from "./parts.ts";

/** Where images of directives come from: this machine's own store, and from there into it. */
export interface ImageSource {
	/** The image store's folder. */
	readonly directory: string;
	/** `host[:port]` of each registry that images may be pulled from. */
	readonly registries: readonly string[];
	/** Logins to registries, best first. */
	readonly authFiles: readonly string[];
	/** Where the proxy variables stand by which registries are reached. */
	readonly proxyEnvironment: NodeJS.ProcessEnv;
}

type ImageRootOf = Extract<Workload["root"], { kind: "image" }>;

/** Why a directive of this image is refused before anything of it happens; undefined when it is here, or may be pulled. */
export async function imageRefusal(
	{ reference, digest }: ImageRootOf,
	{ directory, registries }: ImageSource,
): Promise<string | undefined> {
	if (await openImageStore(directory).has(digest)) return undefined;
	const missing = `This node does not have the image ${reference} (${digest})`;
	const registry = registryOf(reference);
	if (registry === undefined) return `${missing}, and its name says no registry to pull it from.`;
	if (registries.includes(registry)) return undefined;
	return `${missing}, and does not pull from ${registry}: its setting images.registries names where it may.`;
}

/** The image, pulled when it is not here: that one and no other. Throws `image-unavailable`. */
export async function imageOf(
	{ reference, digest }: ImageRootOf,
	screens: LogScreens,
	stop: AbortSignal,
	{ images, directories, host }: Pick<EngineParts, "images" | "directories" | "host">,
): Promise<RootChoice> {
	const { directory, authFiles, proxyEnvironment } = images;
	const store = openImageStore(directory);
	const cacheDirectory = directories.cache;
	if (!(await store.has(digest))) {
		await screens.note(`[prepare] pulling the image ${reference}`);
		const settings = { store, host, authFiles, proxyEnvironment, cacheDirectory, signal: stop, expect: digest };
		await pullImage(reference, settings).catch((error: Error) => {
			throw agentFailures.fail("image-unavailable", { image: reference, problem: error.message }, error);
		});
	}
	const progress = (line: string): void => void screens.note(`[prepare] ${line}`);
	return findRoot(digest, { cacheDirectory, imageDirectory: directory, host, progress });
}

/** The control plane shows so many. */
const MOST_TOLD = 200;

/** What the territory's heartbeat tells of images: those that are here, and where others may be pulled from. */
export async function imageCapacity({
	directory,
	registries,
}: Pick<ImageSource, "directory" | "registries">): Promise<Readonly<Record<string, Json>>> {
	const stored = await openImageStore(directory)
		.list()
		.catch(() => []);
	const digests = new Set(stored.toSorted((a, b) => b.addedMs - a.addedMs).map(({ digest }) => digest));
	return { images: [...digests].slice(0, MOST_TOLD), image_registries: [...registries] };
}

function registryOf(reference: string): string | undefined {
	try {
		return parseRegistryReference(reference).registry;
	} catch {
		return undefined;
	}
}
