import type { Digest } from "../../../../core/index.ts";
import type { Platform } from "../../../schema.ts";
import type { StoredArchive } from "../archive-stream.ts";
import { type ImageConfig, Refusal, type SourceMaterial } from "../source.ts";
import type { ImageConfigDocument } from "./schema.ts";

/** An image that was found: its layers from the bottom up, none of them read yet. */
export interface FoundImage {
	readonly config: ImageConfig;
	readonly layers: readonly StoredArchive[];
	/** Without the layers. */
	readonly materials: readonly SourceMaterial[];
}

interface PlatformNames {
	readonly os: string;
	readonly architecture: string;
}

export function isFor({ os, architecture }: PlatformNames, platform: Platform): boolean {
	return `${os}/${architecture}` === platform;
}

interface Facts {
	readonly platform: Platform;
	/** What the config is called. */
	readonly shown: string;
	readonly materials: readonly SourceMaterial[];
}

/** Joins an image's config and its layers, of which it names the contents. Throws Refusal. */
export function imageOf(document: ImageConfigDocument, layers: readonly StoredArchive[], facts: Facts): FoundImage {
	const { shown, platform, materials } = facts;
	if (!isFor(document, platform)) {
		throw new Refusal(shown, `it is for ${document.os}/${document.architecture}, not for ${platform}`);
	}
	const contents: readonly Digest[] = document.rootfs.diff_ids ?? [];
	if (contents.length !== layers.length) {
		throw new Refusal(shown, `it names ${contents.length} layers, and there are ${layers.length}`);
	}
	return {
		config: configOf(document),
		layers: layers.map((layer, index) => ({ ...layer, contentsDigest: contents[index] })),
		materials,
	};
}

function configOf({ config }: ImageConfigDocument): ImageConfig {
	return {
		entrypoint: config?.Entrypoint ?? [],
		command: config?.Cmd ?? [],
		environment: config?.Env ?? [],
		workingDirectory: config?.WorkingDir ?? "",
		user: config?.User ?? "",
	};
}
