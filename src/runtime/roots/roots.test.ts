import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
	existsSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { type Header, pack } from "tar-stream";
import { fakeHost, realHost } from "../../host/index.ts";
import { prepareRoot } from "./index.ts";
import { type PathKind, parseRootReference } from "./reference.ts";

const folder = mkdtempSync(join(tmpdir(), "vouch-roots-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const options = { cacheDirectory: join(folder, "cache"), host: fakeHost() };

type Entry = Partial<Header> & { readonly name: string; readonly text?: string };

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
	const archive = pack();
	for (const { text, ...header } of entries) archive.entry(header, text ?? "");
	archive.finalize();
	return buffer(archive);
}

let count = 0;
async function tarFile(entries: readonly Entry[]): Promise<string> {
	const path = join(folder, `${count++}.tar`);
	writeFileSync(path, await tarOf(entries));
	return path;
}

test("a tar becomes a folder: files, links, modes without setuid, no devices of /dev", async () => {
	const path = await tarFile([
		{ name: "./" },
		{ name: "./usr/bin/tool", text: "x", mode: 0o6755 },
		{ name: "bin", type: "symlink", linkname: "usr/bin" },
		{ name: "usr/bin/same", type: "link", linkname: "./usr/bin/tool" },
		{ name: "dev/null", type: "character-device", devmajor: 1, devminor: 3 },
		{ name: "run/pipe", type: "fifo" },
		{ name: "tmp", type: "directory", mode: 0o1777 },
		{ name: "etc/os-release", text: "ID=test" },
	]);
	const { directory, entries } = await prepareRoot(path, options);
	assert.equal(readFileSync(join(directory, "usr/bin/same"), "utf8"), "x");
	assert.equal(lstatSync(join(directory, "usr/bin/tool")).mode & 0o7777, 0o755);
	assert.equal(lstatSync(join(directory, "usr/bin/same")).nlink, 2);
	assert.equal(lstatSync(join(directory, "tmp")).mode & 0o7777, 0o1777);
	assert.equal(readlinkSync(join(directory, "bin")), "usr/bin");
	assert.deepEqual([...readdirSync(join(directory, "dev")), ...readdirSync(join(directory, "run"))], []);
	assert.ok(entries.some((entry) => entry.path === "/etc/os-release" && entry.kind === "file"));
	assert.ok(entries.some((entry) => entry.path === "/bin" && entry.kind === "link" && entry.target === "usr/bin"));
});

const HOSTILE: readonly (readonly [string, readonly Entry[]])[] = [
	["upwards", [{ name: "../escaped", text: "x" }]],
	["upwards in the middle", [{ name: "a/../../escaped", text: "x" }]],
	[
		"through a link",
		[
			{ name: "out", type: "symlink", linkname: "/tmp" },
			{ name: "out/escaped", text: "x" },
		],
	],
	[
		"through a relative link",
		[
			{ name: "out", type: "symlink", linkname: "../.." },
			{ name: "out/escaped", text: "x" },
		],
	],
	[
		"a folder in place of a link, then through it",
		[
			{ name: "a", type: "symlink", linkname: "/tmp" },
			{ name: "a/b", type: "directory" },
		],
	],
	["a hard link to a file of the machine", [{ name: "x", type: "link", linkname: "/etc/passwd" }]],
	["a hard link upwards", [{ name: "x", type: "link", linkname: "../../etc/passwd" }]],
	[
		"a hard link through a link",
		[
			{ name: "etc", type: "symlink", linkname: "/etc" },
			{ name: "x", type: "link", linkname: "etc/passwd" },
		],
	],
	["a device", [{ name: "sda", type: "block-device", devmajor: 8, devminor: 0 }]],
	["the machine's memory", [{ name: "dev/mem", type: "character-device", devmajor: 1, devminor: 1 }]],
	["a name that is too long", [{ name: `a/${"n".repeat(300)}`, text: "" }]],
];

for (const [what, entries] of HOSTILE) {
	test(`refused whole: ${what}`, async () => {
		const path = await tarFile([{ name: "before", text: "x" }, ...entries]);
		const before = readdirSync(join(folder, "cache", "roots")).length;
		await assert.rejects(prepareRoot(path, options), (error: { code?: string }) => error.code === "rootfs-refused");
		assert.equal(readdirSync(join(folder, "cache", "roots")).length, before, "nothing of it was kept");
		assert.ok(!existsSync(join(folder, "escaped")) && !existsSync(join(tmpdir(), "escaped")));
	});
}

test("whatever the names, nothing is written outside of the cache", async () => {
	const part = fc.constantFrom("a", "b", "..", ".", "", "link", ".wh.a", ".wh..wh..opq");
	const entry = fc.record({
		name: fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/")),
		type: fc.constantFrom("file", "directory", "symlink", "link" as const),
		linkname: fc.constantFrom("/tmp", "..", "../..", "a", "/"),
	});
	await fc.assert(
		fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
			const usable = entries.filter(({ name }) => name.replaceAll("/", "") !== "");
			const path = await tarFile(usable as Entry[]);
			await prepareRoot(path, options).catch(() => undefined);
			const known = readdirSync(folder).filter((name) => !name.endsWith(".tar"));
			assert.deepEqual(
				known.filter((name) => !["cache", "layout", "place"].includes(name)),
				[],
			);
			assert.ok(!existsSync(join(tmpdir(), "a")) && !existsSync(join(tmpdir(), "b")));
		}),
		{ numRuns: 60 },
	);
});

function blob(layout: string, bytes: Uint8Array): { digest: string; size: number } {
	const hex = createHash("sha256").update(bytes).digest("hex");
	mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
	writeFileSync(join(layout, "blobs/sha256", hex), bytes);
	return { digest: `sha256:${hex}`, size: bytes.length };
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

function configOf(tars: readonly Buffer[]): Buffer {
	const contents = tars.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`);
	const architecture = process.arch === "x64" ? "amd64" : process.arch;
	return Buffer.from(JSON.stringify({ architecture, os: "linux", rootfs: { type: "layers", diff_ids: contents } }));
}

async function layoutOf(layers: readonly (readonly Entry[])[]): Promise<string> {
	const layout = mkdtempSync(join(folder, "layout"));
	writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
	const tars = await Promise.all(layers.map(tarOf));
	const descriptors = tars.map((tar) => ({ mediaType: LAYER, ...blob(layout, gzipSync(tar)) }));
	const config = { mediaType: CONFIG, ...blob(layout, configOf(tars)) };
	const manifest = blob(layout, Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: descriptors })));
	const index = {
		schemaVersion: 2,
		manifests: [{ mediaType: MANIFEST, ...manifest }],
	};
	writeFileSync(join(layout, "index.json"), JSON.stringify(index));
	return layout;
}

test("layers lie over one another: whiteouts remove, opaque folders forget", async () => {
	const layout = await layoutOf([
		[
			{ name: "a/one", text: "1" },
			{ name: "a/two", text: "2" },
			{ name: "b/old", text: "old" },
			{ name: "c", text: "file" },
		],
		[
			{ name: "a/.wh.one" },
			{ name: "b/.wh..wh..opq" },
			{ name: "b/new", text: "new" },
			{ name: "c", type: "directory" },
		],
	]);
	const { directory } = await prepareRoot(layout, options);
	assert.deepEqual(readdirSync(join(directory, "a")), ["two"]);
	assert.deepEqual(readdirSync(join(directory, "b")), ["new"]);
	assert.ok(lstatSync(join(directory, "c")).isDirectory());
	assert.equal((await prepareRoot(`oci:${layout}`, options)).directory, directory, "unpacked once");
});

test("a layer whose bytes are not those of its digest is refused", async () => {
	const layout = await layoutOf([[{ name: "x", text: "x" }]]);
	const blobs = join(layout, "blobs/sha256");
	const layer = readdirSync(blobs).find((name) => readFileSync(join(blobs, name)).readUInt16BE() === 0x1f8b) ?? "";
	writeFileSync(join(blobs, layer), gzipSync(await tarOf([{ name: "y", text: "x" }])));
	await assert.rejects(prepareRoot(layout, options), { code: "rootfs-refused" });
});

test("an image is copied from a registry on loopback", async (context) => {
	const skopeo = await realHost().findProgram("skopeo");
	if (skopeo === undefined) return context.skip("skopeo is not installed");
	const tar = await tarOf([{ name: "pulled", text: "yes" }]);
	const layer = gzipSync(tar);
	const config = configOf([tar]);
	const describe = (mediaType: string, bytes: Uint8Array) => {
		return { mediaType, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, size: bytes.length };
	};
	const layers = [describe(LAYER, layer)];
	const manifest = Buffer.from(
		JSON.stringify({
			schemaVersion: 2,
			mediaType: MANIFEST,
			config: describe(CONFIG, config),
			layers,
		}),
	);
	const server = createServer((request, response) => {
		const path = request.url ?? "";
		const blobs = [layer, config].find((bytes) => path.endsWith(describe("", bytes).digest));
		if (path === "/v2/") return response.end("{}");
		if (path.includes("/manifests/")) return response.setHeader("content-type", MANIFEST).end(manifest);
		return blobs === undefined ? response.writeHead(404).end() : response.end(blobs);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const address = server.address();
	const port = typeof address === "object" && address !== null ? address.port : 0;
	context.after(() => server.close());
	const { directory } = await prepareRoot(`127.0.0.1:${port}/some/image:1`, { ...options, host: realHost() });
	assert.equal(readFileSync(join(directory, "pulled"), "utf8"), "yes");
});

test("a folder is used in place; a linked /etc is not looked into", async () => {
	const place = mkdtempSync(join(folder, "place"));
	mkdirSync(join(place, "usr"));
	symlinkSync("/etc", join(place, "etc"));
	const { directory, entries } = await prepareRoot(place, options);
	assert.equal(directory, place);
	assert.deepEqual(
		entries.map(({ path, kind }) => [path, kind]),
		[
			["/etc", "link"],
			["/usr", "directory"],
		],
	);
});

test("what a reference names", () => {
	const there: Readonly<Record<string, PathKind>> = { "./rootfs": "directory", "/x.tar": "file", lay: "layout" };
	const kindOf = (path: string): PathKind => there[path] ?? "missing";
	const rows: readonly (readonly [string, unknown])[] = [
		["./rootfs", { kind: "directory", path: "./rootfs" }],
		["/x.tar", { kind: "tar", path: "/x.tar" }],
		["lay", { kind: "layout", path: "lay", tag: null }],
		["oci:lay", { kind: "layout", path: "lay", tag: null }],
		["oci:lay:v1", { kind: "layout", path: "lay", tag: "v1" }],
		["localhost:5000/x:1", { kind: "registry", name: "localhost:5000/x:1", transport: "loopback" }],
		["docker://registry.example.com/a/b", { kind: "registry", name: "registry.example.com/a/b", transport: "https" }],
		["debian", undefined],
		["debian:12", undefined],
		["./missing", undefined],
		["/missing", undefined],
		["docker://--help", undefined],
		["localhost:5000/../../x", undefined],
	];
	for (const [text, wanted] of rows) assert.deepEqual(parseRootReference(text, kindOf), wanted, text);
	fc.assert(
		fc.property(fc.string(), (text) => void parseRootReference(text, () => "missing")),
		{ numRuns: 300 },
	);
});
