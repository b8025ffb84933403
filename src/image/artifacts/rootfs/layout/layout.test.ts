import assert from "node:assert/strict";
import { readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { fakeHost } from "../../../../host/index.ts";
import { readSource } from "../read-source.ts";
import { sampleDockerArchive, sampleTar, writeBlob, writeImage } from "../sample-archives.ts";
import { SampleSources } from "../sample-sources.ts";
import type { RootfsSource } from "../source.ts";
import { entriesOf } from "../tree.ts";

const sources = new SampleSources();
after(() => sources.remove());
const host = fakeHost();
const FIRST = sampleTar([
	{ name: "etc/passwd", body: "root" },
	{ name: "usr/bin/ping", body: "x".repeat(9000), mode: "0004755\0" },
]);
const LAYERS = [FIRST, sampleTar([{ name: "etc/.wh.passwd" }])];

const blobOf = (path: string, digest: string) => join(path, "blobs/sha256", digest.slice("sha256:".length));

test("a blob that is not what its digest or size says is refused, however it is wrong", async () => {
	for (const spoil of [
		(bytes: Buffer) => bytes.fill(0, bytes.length - 20, bytes.length - 12),
		(bytes: Buffer) => bytes.fill(0xff, 30, 40),
		(bytes: Buffer) => gzipSync(Buffer.from("other")).copy(bytes),
	]) {
		const source = sources.layout({ layers: [{ tar: FIRST }] });
		const layer = blobOf(source.path, writeBlob(source.path, gzipSync(FIRST)).digest);
		const bytes = readFileSync(layer);
		spoil(bytes);
		writeFileSync(layer, bytes);
		await sources.assertRefused(source, /not those that its digest names/);
		writeFileSync(layer, Buffer.concat([bytes, Buffer.alloc(1)]));
		await sources.assertRefused(source, /bytes instead of/);
		unlinkSync(layer);
		await sources.assertRefused(source, /does not have it/);
	}
	const wrongContents = sources.layout({ layers: [{ tar: Buffer.alloc(1024), stored: gzipSync(FIRST) }] });
	await sources.assertRefused(wrongContents, /decompressed, it has other contents/);
});

function withIndex(change: (directory: string) => object): RootfsSource {
	const source = sources.layout({ layers: [{ tar: FIRST }] });
	const index = { schemaVersion: 2, manifests: [change(source.path)] };
	writeFileSync(join(source.path, "index.json"), JSON.stringify(index));
	return source;
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const put = (directory: string, document: unknown, mediaType: string) => {
	return { mediaType, ...writeBlob(directory, Buffer.from(JSON.stringify(document))) };
};
const image = { layers: [{ tar: FIRST }] };

const LIES: readonly (readonly [string, (directory: string) => object, RegExp])[] = [
	[
		"a manifest and an index at once",
		(directory) => put(directory, { manifests: [], layers: [], config: {} }, INDEX),
		/a manifest and an index at once/,
	],
	[
		"another type than it says",
		(directory) => ({ ...writeImage(directory, image), mediaType: INDEX }),
		/what leads to it says/,
	],
	[
		"indexes in indexes",
		(directory) => {
			let inner: object = writeImage(directory, image);
			for (let depth = 0; depth < 6; depth += 1) {
				inner = put(directory, { mediaType: INDEX, manifests: [inner] }, INDEX);
			}
			return inner;
		},
		/nested too deep/,
	],
	[
		"indexes without end",
		(directory) => {
			const manifests = Array.from({ length: 150 }, (_, index) =>
				put(directory, { mediaType: INDEX, manifests: [], index }, INDEX),
			);
			return put(directory, { mediaType: INDEX, manifests }, INDEX);
		},
		/over 100 documents/,
	],
	["no JSON", (directory) => ({ mediaType: MANIFEST, ...writeBlob(directory, Buffer.from("{]")) }), /not JSON/],
	[
		"a member twice",
		(directory) => ({ mediaType: MANIFEST, ...writeBlob(directory, Buffer.from('{"layers":[],"layers":[]}')) }),
		/not JSON/,
	],
	[
		"a digest of another kind",
		() => ({ mediaType: MANIFEST, digest: `sha512:${"0".repeat(128)}`, size: 3 }),
		/digest is not as the image-spec has it/,
	],
	[
		"a digest that is a path",
		() => ({ mediaType: MANIFEST, digest: "sha256:../../../../etc/passwd", size: 3 }),
		/digest is not as the image-spec has it/,
	],
	[
		"layers that its config does not name",
		(directory) => {
			const document = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } };
			const config = put(directory, document, "application/vnd.oci.image.config.v1+json");
			const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", ...writeBlob(directory, FIRST) };
			return put(directory, { mediaType: MANIFEST, config, layers: [layer] }, MANIFEST);
		},
		/names 0 layers, and there are 1/,
	],
	[
		"a layer that is something else",
		(directory) => {
			const mediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
			return writeImage(directory, { layers: [{ tar: FIRST, mediaType }] });
		},
		/no layer of files/,
	],
];

for (const [what, change, reason] of LIES) {
	test(`a layout with ${what} is refused`, async () => {
		await sources.assertRefused(withIndex(change), reason);
	});
}

test("an image without layers is an empty folder", async () => {
	assert.deepEqual(await sources.linesFrom(sources.layout({ layers: [] })), ['"" #0 755 0 0 directory']);
});

const platform = (architecture: string) => ({ os: "linux", architecture });
const only = (name: string) => ({ layers: [{ tar: sampleTar([{ name }]) }] });

test("the image for the platform is taken, whether descriptors or configs name it", async () => {
	const source = sources.layout({ ...only("arm"), architecture: "arm64" }, only("amd"), {
		...only("riscv"),
		architecture: "riscv64",
	});
	assert.match((await sources.linesFrom(source)).join(), /"amd"/);
	const riscv = await readSource(source, {
		platform: "linux/riscv64",
		scratchDirectory: sources.scratchDirectory,
		host,
	});
	await riscv.close();
	assert.deepEqual(
		[...entriesOf(riscv.tree)].map(({ path }) => path),
		["", "riscv"],
	);
	const nested = withIndex((directory) => {
		const attestation = {
			...writeImage(directory, only("attested")),
			platform: { os: "unknown", architecture: "unknown" },
			annotations: { "vnd.docker.reference.type": "attestation-manifest" },
		};
		const manifests = [
			attestation,
			{ ...writeImage(directory, only("nested")), platform: platform("amd64") },
			{ ...writeImage(directory, { ...only("x"), architecture: "s390x" }), platform: platform("s390x") },
		];
		return put(directory, { mediaType: INDEX, manifests }, INDEX);
	});
	assert.match((await sources.linesFrom(nested)).join(), /"nested"/);
	await assert.rejects(
		readSource(nested, { platform: "linux/arm64", scratchDirectory: sources.scratchDirectory, host }),
		/no image for linux\/arm64; there is linux\/amd64, linux\/s390x/,
	);
	const lying = withIndex((directory) => ({
		...writeImage(directory, { ...only("x"), architecture: "arm64" }),
		platform: platform("amd64"),
	}));
	await sources.assertRefused(lying, /it is for linux\/arm64/);
});

test("a tag picks one of several images; without one several are refused", async () => {
	const two = sources.layout({ ...only("one"), tag: "1" }, { ...only("two"), tag: "2" });
	assert.match((await sources.linesFrom({ kind: "oci-layout", path: two.path, tag: "2" })).join(), /"two"/);
	await sources.assertRefused(two, /several images/);
	await sources.assertRefused({ kind: "oci-layout", path: two.path, tag: "3" }, /no image tagged 3/);
	const docker = sources.file(sampleDockerArchive(LAYERS, "localhost/app:1"));
	for (const tag of [null, "1", "localhost/app:1"])
		await sources.linesFrom({ kind: "docker-archive", path: docker, tag });
	await sources.assertRefused({ kind: "docker-archive", path: docker, tag: "2" }, /no image tagged 2/);
});

const dockerArchive = (bytes: Buffer): RootfsSource => ({
	kind: "docker-archive",
	path: sources.file(bytes),
	tag: null,
});

test("a docker-archive whose layers or config are not those that it names is refused", async () => {
	const honest = sampleDockerArchive(LAYERS);
	const spoiled = Buffer.from(honest);
	spoiled[honest.indexOf("x".repeat(100))] = 0x79;
	await sources.assertRefused(dockerArchive(spoiled), /decompressed, it has other contents/);
	const config = Buffer.from(honest.toString("latin1").replace('"/bin/app"', '"/bin/apq"'), "latin1");
	await sources.assertRefused(dockerArchive(config), /not those that its name says/);
	const list = JSON.stringify([{ Config: "../../etc/hostname", Layers: [] }]);
	await sources.assertRefused(
		dockerArchive(sampleTar([{ name: "manifest.json", body: list }])),
		/archive does not have it/,
	);
	const twice = [
		{ name: "manifest.json", body: "[]" },
		{ name: "./manifest.json", body: "[]" },
	];
	await sources.assertRefused(dockerArchive(sampleTar(twice)), /twice/);
});

test("layers that images of a docker-archive share may be links", async () => {
	const layer = sampleTar([{ name: "a", body: "1" }]);
	const honest = sampleDockerArchive([layer]).toString("latin1");
	const config = /"Config":"([^"]+)"/.exec(honest)?.[1] ?? "";
	const document = /\{"architecture".*?\]\}\}/.exec(honest)?.[0] ?? "";
	const [shared, link] = ["1".repeat(64), "0".repeat(64)];
	const list = JSON.stringify([{ Config: config, RepoTags: null, Layers: [`${link}/layer.tar`] }]);
	const archive = sampleTar([
		{ name: `${shared}/layer.tar`, body: layer },
		{ name: `${link}/layer.tar`, type: "2", link: `../${shared}/layer.tar` },
		{ name: config, body: document },
		{ name: "manifest.json", body: list },
	]);
	assert.match((await sources.linesFrom(dockerArchive(archive))).join(), /"a"/);
});
