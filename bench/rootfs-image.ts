import { createHash } from "node:crypto";
import {
	createReadStream,
	createWriteStream,
	existsSync,
	mkdirSync,
	renameSync,
	statSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { runProgram } from "./measure.ts";

export const TAG = "bench";
const repository = join(import.meta.dirname, "..");
const EPOCH = 315_532_800;
const OCI = "application/vnd.oci.image";

/**
 * An OCI layout with one image as people build them: a distribution, a program, an application. Says the bytes of its
 * layers, uncompressed.
 */
export async function makeSampleImage(layout: string, directory: string): Promise<number> {
	mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
	const at = (name: string) => join(directory, name);
	const owned = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner"];
	const tar = (file: string, ...args: string[]) => runProgram(["tar", ...owned, "-cf", at(file), ...args]);
	const modules = join(repository, "node_modules");
	await tar("program.tar", "--transform=s,^,usr/local/lib/,", "-C", modules, "@rolldown");
	const packages = ["typescript", "@typescript", "zod", "yaml", "commander", "@types"];
	const whiteouts = at("whiteouts");
	mkdirSync(join(whiteouts, "usr/share"), { recursive: true });
	for (const name of ["bash-completion", "zoneinfo"]) writeFileSync(join(whiteouts, `usr/share/.wh.${name}`), "");
	await tar("application.tar", "--transform=s,^,srv/node_modules/,", "-C", modules, ...packages);
	await runProgram(["tar", ...owned, "-rf", at("application.tar"), "-C", whiteouts, "usr"]);
	const layers = [await debian(), at("program.tar"), at("application.tar")];
	const stored = [];
	for (const layer of layers) stored.push({ contents: await digestOf(layer), ...(await gzipped(layer, layout)) });
	const config = {
		architecture: "amd64",
		os: "linux",
		config: {},
		rootfs: { type: "layers", diff_ids: stored.map(({ contents }) => contents) },
		history: stored.map(() => ({ created_by: "bench" })),
	};
	const manifest = {
		schemaVersion: 2,
		mediaType: `${OCI}.manifest.v1+json`,
		config: { mediaType: `${OCI}.config.v1+json`, ...blob(layout, JSON.stringify(config)) },
		layers: stored.map(({ digest, size }) => ({ mediaType: `${OCI}.layer.v1.tar+gzip`, digest, size })),
	};
	const annotations = { "org.opencontainers.image.ref.name": TAG };
	const described = { mediaType: manifest.mediaType, ...blob(layout, JSON.stringify(manifest)), annotations };
	writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
	writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [described] }));
	return layers.reduce((sum, path) => sum + statSync(path).size, 0);
}

/** Made once; the archive that apt is set up for gives it. */
async function debian(): Promise<string> {
	const cache = join(repository, "build/test-cache");
	const path = join(cache, "debian.tar");
	if (existsSync(path)) return path;
	mkdirSync(cache, { recursive: true });
	const excluded = ["man", "doc", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
	const fresh = join(cache, "debian.bench.tar");
	const options = ["-q", "--variant=minbase", "--mode=root", "--aptopt=Apt::Install-Recommends false", ...excluded];
	const environment = { ...process.env, SOURCE_DATE_EPOCH: String(EPOCH) };
	await runProgram(["mmdebstrap", ...options, "bookworm", fresh], { environment });
	renameSync(fresh, path);
	return path;
}

async function digestOf(path: string): Promise<string> {
	const hash = createHash("sha256");
	await pipeline(createReadStream(path), hash);
	return `sha256:${hash.digest("hex")}`;
}

async function gzipped(path: string, layout: string): Promise<{ readonly digest: string; readonly size: number }> {
	const fresh = join(layout, "fresh");
	await pipeline(createReadStream(path), createGzip(), createWriteStream(fresh));
	const digest = await digestOf(fresh);
	const { size } = statSync(fresh);
	renameSync(fresh, join(layout, "blobs/sha256", digest.slice("sha256:".length)));
	return { digest, size };
}

function blob(layout: string, text: string): { readonly digest: string; readonly size: number } {
	const digest = createHash("sha256").update(text).digest("hex");
	writeFileSync(join(layout, "blobs/sha256", digest), text);
	return { digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
}
