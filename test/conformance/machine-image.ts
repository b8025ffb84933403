import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { realHost } from "../../src/host/index.ts";
import { buildImage, openImageStore, recipeFor } from "../../src/image/index.ts";
import type { Platform } from "../../src/image/schema.ts";
import type { ImageRoot } from "../../src/runtime/index.ts";
import { CACHE } from "./context.ts";

/** A small Debian as an image, kept in build/test-cache; built again only when something of it changed. */
export function machineImage(): Promise<ImageRoot> {
	return imageOf(debianTar(), "conformance");
}

const built = new Map<string, Promise<ImageRoot>>();

/** A tar or a folder as an image of that name, for this machine's platform unless another is given. */
export function imageOf(source: string, name: string, platform?: Platform): Promise<ImageRoot> {
	const image = built.get(name) ?? build(source, name, platform);
	built.set(name, image);
	return image;
}

async function build(source: string, name: string, platform: Platform | undefined): Promise<ImageRoot> {
	const host = realHost();
	const store = openImageStore(join(CACHE, "images"));
	const recipe = await recipeFor({ source, name, ...(platform === undefined ? {} : { platform }) }, { host });
	const { digest } = await buildImage(recipe, { store, cacheDirectory: CACHE, host });
	const stored = await store.resolve(digest);
	if (stored === undefined) throw new Error(`the test image ${name} was not kept`);
	return { kind: "image", ...stored };
}

/** What it is made of. */
export const MACHINE_TAR = join(CACHE, "machine-debian.tar");

/** Test files that run at once wait for the first of them to make it. */
function debianTar(): string {
	const path = join(CACHE, "machine-debian.tar");
	mkdirSync(CACHE, { recursive: true });
	const excluded = ["man", "doc", "locale", "info"].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`);
	const fresh = join(CACHE, "machine-debian-new.tar");
	const recommends = "--aptopt=Apt::Install-Recommends false";
	const make = ["mmdebstrap", "-q", "--variant=minbase", "--mode=root", recommends, ...excluded, "bookworm", fresh];
	const unlessMade = `test -e "$0" || { rm -f '${fresh}'; "$@" && mv '${fresh}' "$0"; }`;
	const made = spawnSync("flock", [join(CACHE, "machine-debian.lock"), "sh", "-c", unlessMade, path, ...make], {
		env: { ...process.env, SOURCE_DATE_EPOCH: "315532800" },
		encoding: "utf8",
	});
	if (made.status !== 0) throw new Error(`mmdebstrap: ${made.stderr}`);
	return path;
}
