import { type Digest, digestOf } from "../../../../core/index.ts";
import type { StoredArchive } from "../archive-stream.ts";
import { Refusal } from "../source.ts";
import { type LayoutFiles, parseDocument } from "./files.ts";
import { type FoundImage, imageOf } from "./image.ts";
import type { ImageChoice } from "./oci.ts";
import { dockerArchiveSchema, imageConfigSchema } from "./schema.ts";

const LIST = "manifest.json";

/** The image of a `docker save` archive, old (ID/layer.tar) or new (blobs/sha256/…). Throws Refusal. */
export function findDockerImage(files: LayoutFiles, { tag, platform, maxLayers }: ImageChoice): FoundImage {
	const images = dockerArchiveSchema.safeParse(parseDocument(documentOf(files, LIST), LIST));
	if (!images.success) throw new Refusal(LIST, "it is not as `docker save` writes it");
	const tagged =
		tag === null ? images.data : images.data.filter(({ RepoTags }) => RepoTags?.some((one) => isTagged(one, tag)));
	const [only, ...others] = tagged;
	if (only === undefined) {
		throw new Refusal(LIST, tag === null ? "the archive is empty" : `the archive has no image tagged ${tag}`);
	}
	if (others.length > 0) throw new Refusal(LIST, "the archive has several images: say which one by its tag");
	const bytes = documentOf(files, only.Config);
	const config = imageConfigSchema.safeParse(parseDocument(bytes, only.Config));
	if (!config.success) throw new Refusal(only.Config, "it is not the config of an image");
	const digest = digestOf(bytes);
	if (namedDigest(only.Config) !== undefined && namedDigest(only.Config) !== digest) {
		throw new Refusal(only.Config, "its contents are not those that its name says");
	}
	const paths = only.Layers ?? [];
	if (paths.length > maxLayers) throw new Refusal(LIST, `it has ${paths.length} layers`);
	const layers = paths.map((path): StoredArchive => {
		const named = path.startsWith("blobs/") ? namedDigest(path) : undefined;
		return { shown: `layer ${path}`, store: there(files.open(path), path), digest: named };
	});
	const materials = [{ name: "config", digest, sizeBytes: bytes.length }];
	return imageOf(config.data, layers, { platform, shown: only.Config, materials });
}

/** `app:1` as it is written, or its tag alone. */
function isTagged(name: string, tag: string): boolean {
	return name === tag || name.endsWith(`:${tag}`);
}

const NAMED = /^(?:blobs\/sha256\/([0-9a-f]{64})|([0-9a-f]{64})\.json)$/;

/** Files that are called by their digest. */
function namedDigest(path: string): Digest | undefined {
	const hex = NAMED.exec(path)
		?.slice(1)
		.find((part) => part !== undefined);
	return hex === undefined ? undefined : (`sha256:${hex}` as Digest);
}

function documentOf(files: LayoutFiles, path: string): Buffer {
	return there(files.read(path), path);
}

function there<T>(found: T | undefined, path: string): T {
	if (found === undefined) throw new Refusal(path, "the archive does not have it");
	return found;
}
