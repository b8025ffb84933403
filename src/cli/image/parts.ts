import { homedir } from "node:os";
import { join } from "node:path";
import { type Host, realHost } from "../../host/index.ts";
import { type ImageStore, isImageName, openImageStore, type StoredImage } from "../../image/index.ts";
import { type Platform, platformSchema } from "../../image/schema.ts";
import type { Directories } from "../directories.ts";
import { fail } from "../failures.ts";
import { ownDirectories } from "../node-keys.ts";

/** What commands about images are wired with. */
export interface ImageParts {
	readonly directories: Directories;
	readonly store: ImageStore;
	readonly host: Host;
}

export function imageParts(): ImageParts {
	const directories = ownDirectories();
	return { directories, store: openImageStore(join(directories.data, "images")), host: realHost() };
}

/** Throws VouchError `cli.image-not-found`, or what the store throws. */
export async function findImage({ store }: ImageParts, text: string, platform?: Platform): Promise<StoredImage> {
	const found = await store.resolve(text, platform);
	if (found === undefined) throw fail("cli.image-not-found", { image: text });
	return found;
}

export function platformOf(text: string | undefined): Platform | undefined {
	return text === undefined ? undefined : platformSchema.parse(text);
}

/** A name for an image from what it came from: `./My App/` gives `my-app`. Throws VouchError `cli.usage`. */
export function nameFrom(source: string): string {
	const last = source.replace(/\/+$/, "").split("/").at(-1) ?? "";
	const plain = last
		.replace(/@sha256:.*$/, "")
		.replace(/\.(?:tar|tgz|tar\.\w+|oci)$/, "")
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "-")
		.replace(/^-+|-+$/g, "");
	if (isImageName(plain)) return plain;
	throw fail("cli.usage", { problem: `"${last}" makes no name for an image: give it one with --name.` });
}

/** Throws VouchError `cli.usage` for what could not be a name. */
export function checkedName(text: string): string {
	if (isImageName(text)) return text;
	const problem = `"${text}" can't be the name of an image: lower-case letters and digits, and single . _ - between them.`;
	throw fail("cli.usage", { problem });
}

/** Where logins to registries are kept, best first, as containers-auth.json(5) and docker have it. */
export function authFilesFrom(environment: NodeJS.ProcessEnv, userId: number): readonly string[] {
	const home = environment.HOME ?? homedir();
	const configuration = environment.XDG_CONFIG_HOME ?? join(home, ".config");
	const runtime = environment.XDG_RUNTIME_DIR;
	return [
		...(environment.REGISTRY_AUTH_FILE ? [environment.REGISTRY_AUTH_FILE] : []),
		...(runtime === undefined ? [] : [join(runtime, "containers/auth.json")]),
		`/run/containers/${userId}/auth.json`,
		join(configuration, "containers/auth.json"),
		join(environment.DOCKER_CONFIG ?? join(home, ".docker"), "config.json"),
	];
}
