import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
	copyFileSync,
	cpSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import test, { after, before } from "node:test";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { pack } from "tar-stream";
import { canonicalJson, digestOf, type Json, VouchError } from "../../core/index.ts";
import { type ImageManifest, PART_MEDIA_TYPES } from "../schema.ts";
import { type ImageStore, openImageStore, type StoredImage } from "../store/index.ts";
import { descriptorOf, readArtifact, readIndex, writeIndex } from "./artifact.ts";
import { type ExportForm, exportImage } from "./export-image.ts";
import { contradictionsOf, ForeignImage, imageDocumentOf, readImageDocument } from "./image-document.ts";
import { importImages } from "./import-images.ts";
import { addSampleImage } from "./sample-image.ts";

const directory = mkdtempSync(join(tmpdir(), "vouch-export-"));
let store: ImageStore;
let image: StoredImage;
let made = 0;

before(async () => {
	store = openImageStore(join(directory, "store"));
	image = await addSampleImage(store);
});
after(() => rmSync(directory, { recursive: true, force: true }));

function place(name: string): string {
	made += 1;
	return join(directory, `${name}-${made}`);
}

async function exported(form: ExportForm): Promise<string> {
	const path = place(form);
	await exportImage(image, { store, form, path, name: "app" });
	return path;
}

/** Imports into a store of its own; the store must be empty after a refusal. */
async function refusal(path: string): Promise<string> {
	const fresh = openImageStore(place("fresh"));
	const error = await importImages(path, { store: fresh }).then(
		() => assert.fail("it was taken"),
		(thrown: unknown) => thrown,
	);
	assert.ok(error instanceof VouchError, String(error));
	assert.equal(error.code, "image-foreign", error.message);
	assert.deepEqual(await fresh.list(), []);
	assert.deepEqual(
		readdirSync(fresh.directory).filter((name) => name.startsWith("tmp-")),
		[],
	);
	assert.deepEqual(readdirSync(join(fresh.directory, "blobs", "sha256")), []);
	return error.message;
}

const bytesOf = (path: string): readonly (readonly [string, string])[] =>
	(readdirSync(path, { recursive: true, encoding: "utf8" }) as string[])
		.filter((name) => statSync(join(path, name)).isFile())
		.sort()
		.map((name) => [name, digestOf(readFileSync(join(path, name)))]);

for (const form of ["folder", "oci-layout", "oci-archive"] as const) {
	test(`${form}: what is exported comes back, twice the same bytes, nothing is left beside it`, async () => {
		const [first, second] = [await exported(form), await exported(form)];
		if (form === "oci-archive") assert.equal(digestOf(readFileSync(first)), digestOf(readFileSync(second)));
		else assert.deepEqual(bytesOf(first), bytesOf(second));
		const fresh = openImageStore(place("fresh"));
		const [imported, ...others] = await importImages(first, { store: fresh });
		assert.deepEqual([imported?.digest, others.length], [image.digest, 0]);
		assert.equal(imported?.name, form === "folder" ? null : "app");
		assert.deepEqual(await fresh.verify(image.digest), []);
		assert.deepEqual(
			readdirSync(directory).filter((name) => name.startsWith(".")),
			[],
		);
	});
}

test("an export never replaces anything, and leaves nothing when it is cancelled or can't be", async () => {
	const path = await exported("folder");
	const before = bytesOf(path);
	await assert.rejects(exportImage(image, { store, form: "folder", path }), { code: "image-export-exists" });
	assert.deepEqual(bytesOf(path), before);
	const controller = new AbortController();
	const cancelled = place("cancelled");
	const progress = () => controller.abort(new Error("enough"));
	const options = { store, form: "oci-layout", path: cancelled, signal: controller.signal, progress } as const;
	await assert.rejects(exportImage(image, options), /enough/);
	const nowhere = join(directory, "not-there", "x");
	await assert.rejects(exportImage(image, { store, form: "folder", path: nowhere }), { code: "image-export-failed" });
	assert.deepEqual(
		readdirSync(directory).filter((name) => name.startsWith(".") || name.startsWith("cancelled")),
		[],
	);
});

test("a folder with a changed, missing, linked or special file is refused", async () => {
	const changed = await exported("folder");
	const disk = readFileSync(join(changed, "disk.img"));
	disk[5000] = (disk[5000] ?? 0) ^ 1;
	writeFileSync(join(changed, "disk.img"), disk);
	assert.match(await refusal(changed), /its disk is not what its digest names/);
	writeFileSync(join(changed, "disk.img"), Buffer.concat([disk, Buffer.alloc(1)]));
	assert.match(await refusal(changed), /its disk has more than/);
	rmSync(join(changed, "disk.img"));
	assert.match(await refusal(changed), /its disk is missing/);
	symlinkSync("/dev/zero", join(changed, "disk.img"));
	assert.match(await refusal(changed), /its disk is a link/);
	rmSync(join(changed, "disk.img"));
	spawnSync("mkfifo", [join(changed, "disk.img")]);
	assert.match(await refusal(changed), /its disk is not a file/);
	assert.match(await refusal(place("nothing")), /nothing at that path/);
	mkdirSync(join(directory, "empty"));
	assert.match(await refusal(join(directory, "empty")), /neither a folder/);
});

/** A copy of an exported layout, with its manifest and image.json changed; every digest is made to fit again. */
async function forged(change: {
	readonly manifest?: (manifest: ForgedManifest) => void;
	readonly document?: (document: ImageManifest) => void;
	readonly blobs?: (put: (bytes: Uint8Array) => { digest: string; size: number }, manifest: ForgedManifest) => void;
}): Promise<string> {
	const path = await exported("oci-layout");
	const blob = (digest: string) => join(path, "blobs", "sha256", digest.slice(7));
	const put = (bytes: Uint8Array) => {
		const descriptor = descriptorOf(bytes);
		writeFileSync(blob(descriptor.digest), bytes);
		return descriptor;
	};
	const [entry] = readIndex(readFileSync(join(path, "index.json")));
	assert.ok(entry !== undefined);
	const manifest: ForgedManifest = JSON.parse(readFileSync(blob(entry.digest), "utf8"));
	const document: ImageManifest = JSON.parse(readFileSync(blob(manifest.config.digest), "utf8"));
	change.document?.(document);
	Object.assign(manifest.config, put(imageDocumentOf(document)));
	change.blobs?.(put, manifest);
	change.manifest?.(manifest);
	const written = put(Buffer.from(canonicalJson(manifest as unknown as Json)));
	writeFileSync(join(path, "index.json"), writeIndex([{ ...written, platform: null, name: null }]));
	return path;
}

interface ForgedManifest {
	config: { digest: string; size: number; mediaType: string };
	layers: { digest: string; size: number; mediaType: string }[];
	artifactType?: string;
	[name: string]: unknown;
}

function set(target: object, members: object): void {
	Object.assign(target, members);
}

const ofPart = (manifest: ForgedManifest, part: keyof typeof PART_MEDIA_TYPES) => {
	const layer = manifest.layers.find(({ mediaType }) => mediaType.startsWith(PART_MEDIA_TYPES[part]));
	return layer ?? assert.fail(`no ${part}`);
};

function withoutKernel(manifest: ForgedManifest): void {
	manifest.layers.splice(manifest.layers.indexOf(ofPart(manifest, "kernel")), 1);
}

test("layouts that lie are refused with what they lie about", async () => {
	const zeros = `sha256:${"0".repeat(64)}`;
	const cases: readonly (readonly [RegExp, Parameters<typeof forged>[0]])[] = [
		[/not that of a Vouch image/, { manifest: (manifest) => set(manifest, { artifactType: "application/x" }) }],
		[/lacks its kernel/, { manifest: withoutKernel }],
		[/unknown type/, { manifest: (manifest) => set(ofPart(manifest, "kernel"), { mediaType: "application/x" }) }],
		[
			/layers of its disk are larger/,
			{ manifest: (one) => set(one, { layers: [...one.layers, ofPart(one, "disk")] }) },
		],
		[/its manifest|is missing/, { manifest: (manifest) => set(ofPart(manifest, "disk"), { digest: zeros }) }],
		[/another type/, { document: ({ parts }) => set(parts.kernel, { mediaType: "application/x" }) }],
		[/hash tree asks for/, { document: ({ parts }) => set(parts.disk, { size: parts.disk.size + 4096 }) }],
		[/another root hash/, { document: ({ verity }) => set(verity, { rootHash: "0".repeat(64) }) }],
		[/another root hash/, { document: (one) => set(one, { commandLine: `${one.commandLine} vouch.verity=1` }) }],
		[/another kernel/, { document: ({ reference }) => set(reference, { kernelDigest: reference.initramfsDigest }) }],
		[
			/another command line/,
			{ document: (one) => set(one, { commandLine: one.commandLine.replace("quiet", "loud") }) },
		],
		[/too large/, { document: ({ parts }) => set(parts.kernel, { size: 2 ** 40 }) }],
		[/not one that this Vouch knows/, { document: (document) => set(document, { more: 1 }) }],
	];
	for (const [expected, change] of cases) assert.match(await refusal(await forged(change)), expected, expected.source);
});

test("a layer that unpacks to more than its part is refused before it fills the disk", async () => {
	const bomb = zstdCompressSync(Buffer.alloc(64 * 2 ** 20));
	const path = await forged({
		blobs: (put, manifest) =>
			set(ofPart(manifest, "disk"), { ...put(bomb), mediaType: `${PART_MEDIA_TYPES.disk}+zstd` }),
	});
	assert.ok(bomb.length < image.manifest.parts.disk.size);
	assert.match(await refusal(path), /its disk has more than/);
	const broken = await forged({
		blobs: (put, manifest) =>
			set(ofPart(manifest, "disk"), {
				...put(Buffer.from("not zstd")),
				mediaType: `${PART_MEDIA_TYPES.disk}+zstd`,
			}),
	});
	assert.match(await refusal(broken), /can't be unpacked/);
});

test("a blob that is not what its name says is refused", async () => {
	for (const which of [0, 1] as const) {
		const path = await exported("oci-layout");
		const [entry] = readIndex(readFileSync(join(path, "index.json")));
		assert.ok(entry !== undefined);
		const name = [entry.digest, image.digest][which]?.slice(7) ?? "";
		const file = join(path, "blobs", "sha256", name);
		writeFileSync(file, `${readFileSync(file, "utf8")} `);
		assert.match(await refusal(path), /not what its digest names/);
	}
});

interface TarEntry {
	readonly name: string;
	readonly type?: "file" | "symlink" | "link" | "character-device";
	readonly linkname?: string;
	readonly body?: string;
}

async function tarOf(entries: readonly TarEntry[]): Promise<string> {
	const path = place("hostile.tar");
	const tar = pack();
	for (const { name, type = "file", linkname, body = "" } of entries) {
		tar.entry({ name, type, ...(linkname && { linkname }) }, body);
	}
	tar.finalize();
	writeFileSync(path, await buffer(tar as unknown as AsyncIterable<Uint8Array>));
	return path;
}

test("hostile archives are refused with the reason, and nothing is written outside or left behind", async () => {
	const victim = join(directory, "victim");
	writeFileSync(victim, "untouched");
	const index = { name: "index.json", body: '{"schemaVersion":2,"manifests":[]}' };
	const layout = { name: "oci-layout", body: "{}" };
	const blob = `blobs/sha256/${"a".repeat(64)}`;
	const cases: readonly (readonly [RegExp, readonly TarEntry[]])[] = [
		[/no OCI layout has/, [layout, { name: "../victim", body: "x" }]],
		[/no OCI layout has/, [{ name: "/etc/passwd", body: "x" }]],
		[/no OCI layout has/, [{ name: `${blob}/../../../../victim` }]],
		[/not a file/, [{ name: blob, type: "symlink", linkname: victim }]],
		[/not a file/, [{ name: blob, type: "link", linkname: victim }]],
		[/no OCI layout has/, [{ name: "blobs/sha256", type: "symlink", linkname: directory }]],
		[/not a file/, [{ name: "index.json", type: "character-device" }]],
		[/index\.json twice/, [layout, index, index]],
		[/no image in it/, [layout, index]],
	];
	for (const [expected, entries] of cases) assert.match(await refusal(await tarOf(entries)), expected);
	const cut = await exported("oci-archive");
	writeFileSync(cut, readFileSync(cut).subarray(0, 50_000));
	assert.match(await refusal(cut), /not a whole one/);
	writeFileSync(cut, "not a tar at all");
	assert.match(await refusal(cut), /not a plain tar/);
	assert.equal(readFileSync(victim, "utf8"), "untouched");
});

test("of several images in a layout all are taken, or those of one platform; an index in the index is followed", async () => {
	const riscv = await addSampleImage(store, { platform: "linux/riscv64", seed: 9 });
	const [left, right, both] = [await exported("oci-layout"), place("riscv"), place("both")];
	await exportImage(riscv, { store, form: "oci-layout", path: right });
	cpSync(left, both, { recursive: true });
	for (const name of readdirSync(join(right, "blobs", "sha256"))) {
		copyFileSync(join(right, "blobs", "sha256", name), join(both, "blobs", "sha256", name));
	}
	const entries = [left, right].flatMap((path) => readIndex(readFileSync(join(path, "index.json"))));
	const inner = writeIndex(entries);
	writeFileSync(join(both, "blobs", "sha256", digestOf(inner).slice(7)), inner);
	const outer = {
		schemaVersion: 2,
		manifests: [{ mediaType: "application/vnd.oci.image.index.v1+json", ...descriptorOf(inner) }],
	};
	for (const index of [inner, Buffer.from(JSON.stringify(outer))]) {
		writeFileSync(join(both, "index.json"), index);
		const fresh = openImageStore(place("fresh"));
		assert.equal((await importImages(both, { store: fresh })).length, 2);
		const one = await importImages(both, { store: fresh, platform: "linux/riscv64" });
		assert.deepEqual(
			one.map(({ digest }) => digest),
			[riscv.digest],
		);
		const none = importImages(both, { store: fresh, platform: "linux/arm64" });
		await assert.rejects(none, /only linux\/amd64, linux\/riscv64/);
	}
});

test("documents from elsewhere: read, or refused as foreign, whatever they are", () => {
	const good = imageDocumentOf(image.manifest);
	assert.deepEqual(readImageDocument(good), image.manifest);
	assert.deepEqual(contradictionsOf(image.manifest), []);
	const json = fc.oneof(
		fc.json().map((text) => Buffer.from(text)),
		fc.uint8Array({ maxLength: 200 }),
		fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, value]) => {
			const copy = Buffer.from(good);
			copy[at] = value;
			return copy;
		}),
	);
	fc.assert(
		fc.property(json, (bytes) => {
			for (const read of [readImageDocument, readArtifact, readIndex]) {
				try {
					read(bytes);
				} catch (error) {
					assert.ok(error instanceof ForeignImage, String(error));
				}
			}
		}),
		{ numRuns: 300 },
	);
});
