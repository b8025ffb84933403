import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { VouchError } from "../../core/index.ts";
import { realHost } from "../../host/index.ts";
import {
	digestText,
	type SampleEntry,
	type SampleLayer,
	sampleEntry,
	sampleTar,
	writeLayout,
} from "../artifacts/rootfs/sample-archives.ts";
import { recipeFor } from "../recipe/index.ts";
import { openImageStore } from "../store/index.ts";
import { buildImage } from "./index.ts";

/** Hostile OCI layouts through the whole build: refused with the reason, and nothing of them is left anywhere. */
const folder = mkdtempSync(join(tmpdir(), "vouch-hostile-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const host = realHost();
const cacheDirectory = join(folder, "cache");
const work = join(cacheDirectory, "image/work");
/** Kernels stay from one run of the tests to the next. */
const kernels = fileURLToPath(new URL("../../../build/test-cache/build/image/kernels/", import.meta.url));
mkdirSync(kernels, { recursive: true });
mkdirSync(join(cacheDirectory, "image"), { recursive: true });
symlinkSync(kernels, join(cacheDirectory, "image/kernels"));
const victim = join(folder, "victim");

const layerOf = (...entries: readonly SampleEntry[]): SampleLayer => {
	const tar = sampleTar([{ name: "etc/first", body: "1" }, ...entries]);
	return { tar };
};

/** A header that promises ten gigabytes, and a few megabytes of gzip that keep the promise. */
function zeros(): SampleLayer {
	const header = sampleEntry({ name: "zeros", size: (10 * 2 ** 30).toString(8).padStart(12, "0") });
	const piece = gzipSync(Buffer.alloc(64 * 2 ** 20));
	return { tar: header, stored: Buffer.concat([gzipSync(header), ...Array.from({ length: 160 }, () => piece)]) };
}

type Spoil = (layout: string, layer: SampleLayer) => void;
const blobOf = (layout: string, { tar, stored = gzipSync(tar) }: SampleLayer): string =>
	join(layout, "blobs/sha256", digestText(stored).slice("sha256:".length));
const flipped: Spoil = (layout, layer) => {
	const bytes = readFileSync(blobOf(layout, layer));
	bytes[30] = (bytes[30] ?? 0) ^ 1;
	writeFileSync(blobOf(layout, layer), bytes);
};
const longer: Spoil = (layout, layer) => {
	writeFileSync(blobOf(layout, layer), Buffer.concat([readFileSync(blobOf(layout, layer)), Buffer.alloc(7)]));
};

const HOSTILE: readonly (readonly [string, SampleLayer, RegExp, Spoil?])[] = [
	["path traversal", layerOf({ name: "../../../../../../victim", body: "x" }), /leads upwards/],
	[
		"an absolute link and a file through it",
		layerOf({ name: "out", type: "2", link: folder }, { name: "out/victim", body: "x" }),
		/out\/victim.*no folder in the same layer/,
	],
	["a hard link to outside", layerOf({ name: "mine", type: "1", link: victim }), /does not have/],
	["a hard link upwards", layerOf({ name: "mine", type: "1", link: "../../victim" }), /leads upwards/],
	["a device node", layerOf({ name: "dev/sda", type: "4", device: [8, 0] }), /block device 8:0/],
	["10 GB of zeros", zeros(), /decompression bomb/],
	["an entry twice", layerOf({ name: "a", body: "1" }, { name: "a", body: "2" }), /twice, and not the same/],
	["a bad digest", layerOf(), /not those that its digest names/, flipped],
	["a wrong size", layerOf(), /bytes instead of/, longer],
	["a deep tree", layerOf({ name: "a", pax: { path: `${"d/".repeat(300)}f` } }), /over 256 folders deep/],
	["invalid UTF-8", layerOf({ name: Buffer.from([0x61, 0xff]) }), /not valid UTF-8/],
];

for (const [what, layer, reason, spoil] of HOSTILE) {
	test(`${what}: refused with the reason, and nothing is left`, async () => {
		// Always there: what the kernel's name meant is remembered by it.
		const layout = join(folder, "layout");
		rmSync(layout, { recursive: true, force: true });
		writeFileSync(victim, "untouched");
		writeLayout(layout, [{ layers: [layer] }]);
		spoil?.(layout, layer);
		const store = openImageStore(join(folder, `store of ${what}`));
		mkdirSync(store.directory);
		const recipe = await recipeFor({ source: layout, platform: "linux/amd64", name: "hostile" }, { host });
		await assert.rejects(buildImage(recipe, { store, cacheDirectory, host }), (error) => {
			assert.ok(error instanceof VouchError && error.code === "rootfs-refused", String(error));
			assert.match(error.message, reason);
			return true;
		});
		assert.deepEqual(await store.list(), []);
		const left = readdirSync(store.directory, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
		assert.deepEqual(
			left.map(({ name }) => name).filter((name) => name !== "store.lock"),
			[],
		);
		assert.deepEqual(readdirSync(work), []);
		assert.equal(readFileSync(victim, "utf8"), "untouched");
	});
}
