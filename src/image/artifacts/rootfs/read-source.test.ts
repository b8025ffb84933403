import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
	chmodSync,
	linkSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { VouchError } from "../../../core/index.ts";
import { fakeHost, realHost } from "../../../host/index.ts";
import { readSource, recogniseSource, writeErofs } from "./index.ts";
import { sampleDockerArchive, sampleEntry, sampleTar } from "./sample-archives.ts";
import { SampleSources } from "./sample-sources.ts";

const sources = new SampleSources();
after(() => sources.remove());
const host = fakeHost();

const FIRST = sampleTar([
	{ name: "etc/passwd", body: "root" },
	{
		name: "usr/bin/ping",
		body: "x".repeat(9000),
		mode: "0004755\0",
		pax: { "SCHILY.xattr.security.capability": Buffer.from([1, 0, 255]) },
	},
	{ name: "gone", body: "gone" },
]);
const SECOND = sampleTar([
	{ name: ".wh.gone" },
	{ name: "app", type: "1", link: "usr/bin/ping" },
	{ name: "dev/null", type: "3", device: [1, 3] },
]);
const LAYERS = [FIRST, SECOND];
const CONFIG = { Entrypoint: ["/app"], Cmd: ["-v"], Env: ["A=b"], WorkingDir: "/srv", User: "1:2" };

test("one image is one tree, however it is stored", async () => {
	const plain = sources.layout({ layers: LAYERS.map((bytes) => ({ tar: bytes })), config: CONFIG });
	const expected = await sources.linesFrom(plain);
	assert.equal(expected.length, 9);
	const type = "application/vnd.oci.image.layer.v1.tar";
	for (const [mediaType, store] of [
		[`${type}+zstd`, zstdCompressSync],
		[type, (bytes: Buffer) => bytes],
	] as const) {
		const layers = LAYERS.map((bytes) => ({ tar: bytes, stored: store(bytes), mediaType }));
		assert.deepEqual(await sources.linesFrom(sources.layout({ layers })), expected);
	}
	for (const wrapped of [sampleDockerArchive(LAYERS), gzipSync(sampleDockerArchive(LAYERS))]) {
		const path = sources.file(wrapped);
		const source = await recogniseSource(path, { host });
		assert.deepEqual(source, { kind: "docker-archive", path, tag: null });
		assert.deepEqual(await sources.linesFrom(source), expected);
	}
	const members = readdirSync(plain.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
	const archive = sampleTar(
		members.map(({ parentPath, name }) => {
			const path = join(parentPath, name);
			return { name: path.slice(plain.path.length + 1), body: readFileSync(path) };
		}),
	);
	const source = await recogniseSource(sources.file(archive), { host });
	assert.equal(source.kind, "oci-archive");
	assert.deepEqual(await sources.linesFrom(source), expected);
	assert.equal((await recogniseSource(plain.path, { host })).kind, "oci-layout");
	sources.assertNothingLeft();
});

test("an image says how it is run and what it was made of", async () => {
	await using rootfs = await sources.read(
		sources.layout({ layers: LAYERS.map((bytes) => ({ tar: bytes })), config: CONFIG }),
	);
	assert.deepEqual(rootfs.config, {
		entrypoint: ["/app"],
		command: ["-v"],
		environment: ["A=b"],
		workingDirectory: "/srv",
		user: "1:2",
	});
	assert.deepEqual(
		rootfs.materials.map(({ name }) => name),
		["manifest", "config", "layer-0", "layer-1"],
	);
});

const ARCHIVE = sampleTar([{ name: "a", body: "x".repeat(3000) }]);

for (const [what, compress] of [
	["gzip", gzipSync],
	[
		"gzip in two members",
		(bytes: Buffer) => Buffer.concat([gzipSync(bytes.subarray(0, 700)), gzipSync(bytes.subarray(700))]),
	],
	["zstd", zstdCompressSync],
	[
		"zstd in several frames, some of them to be skipped",
		(bytes: Buffer) =>
			Buffer.concat([
				Buffer.from("502a4d1803000000616263", "hex"),
				zstdCompressSync(bytes.subarray(0, 1000)),
				zstdCompressSync(bytes.subarray(1000)),
				Buffer.from("5f2a4d1800000000", "hex"),
			]),
	],
] as const) {
	test(`an archive compressed by ${what} is told by its first bytes`, async () => {
		const path = sources.file(compress(ARCHIVE));
		assert.deepEqual(await recogniseSource(path, { host }), { kind: "tar", path });
		assert.match((await sources.linesFrom({ kind: "tar", path })).join("\n"), /"a" #1 644 0 0 file 3000 /);
		sources.assertNothingLeft();
	});
}

test("a folder says nothing of who made it", async () => {
	const path = sources.folder();
	writeFileSync(join(path, "run"), "x");
	writeFileSync(join(path, "data"), "y", { mode: 0o600 });
	linkSync(join(path, "data"), join(path, "same"));
	mkdirSync(join(path, "d"), { mode: 0o700 });
	symlinkSync("/anywhere", join(path, "d/link"));
	chmodSync(join(path, "run"), 0o4711);
	const lines = await sources.linesFrom({ kind: "folder", path });
	assert.deepEqual(
		lines.map((line) => line.split(" ").slice(0, 6).join(" ")),
		[
			'"" #0 755 0 0 directory',
			'"d" #1 755 0 0 directory',
			'"d/link" #2 777 0 0 symlink',
			'"data" #3 644 0 0 file',
			'"run" #4 755 0 0 file',
			'"same" #3 644 0 0 file',
		],
	);
});

test("a file that changes between being looked at and being packed is noticed", async () => {
	const path = sources.folder();
	const disk = join(sources.home, "disk");
	const changes = [
		() => writeFileSync(join(path, "a"), "longer"),
		() => unlinkSync(join(path, "a")),
		() => {
			unlinkSync(join(path, "a"));
			symlinkSync("/etc/hostname", join(path, "a"));
		},
	];
	for (const change of changes) {
		rmSync(join(path, "a"), { force: true });
		writeFileSync(join(path, "a"), "short");
		await using rootfs = await sources.read({ kind: "folder", path });
		change();
		await assert.rejects(writeErofs(rootfs.tree, { path: disk, epoch: 0 }), { code: "rootfs-changed" });
	}
	const archive = sources.file(sampleTar([{ name: "a", body: "x" }]));
	await using rootfs = await sources.read({ kind: "tar", path: archive });
	writeFileSync(archive, sampleTar([{ name: "a", body: "y" }]));
	await assert.rejects(writeErofs(rootfs.tree, { path: disk, epoch: 0 }), { code: "rootfs-changed" });
});

test("what can't be an image is said plainly", async () => {
	await assert.rejects(recogniseSource(join(sources.home, "none"), { host }), { code: "rootfs-missing" });
	await assert.rejects(sources.read({ kind: "tar", path: join(sources.home, "none") }), { code: "rootfs-missing" });
	await assert.rejects(sources.read({ kind: "folder", path: sources.file(Buffer.from("x")) }), {
		code: "rootfs-missing",
	});
	await sources.assertRefused({ kind: "tar", path: sources.file(Buffer.alloc(0)) }, /is empty/);
	await sources.assertRefused({ kind: "tar", path: sources.file(gzipSync(Buffer.alloc(1024))) }, /is empty/);
	await sources.assertRefused({ kind: "tar", path: sources.file(Buffer.from("not a tar".repeat(100))) }, /checksum/);
	const path = sources.folder();
	const server = createServer().listen(join(path, "socket"));
	await new Promise((resolve) => server.once("listening", resolve));
	await sources.assertRefused({ kind: "folder", path }, /socket/);
	server.close();
	const invalid = sources.folder();
	writeFileSync(Buffer.concat([Buffer.from(`${invalid}/`), Buffer.from([0x66, 0xff])]), "x");
	await sources.assertRefused({ kind: "folder", path: invalid }, /f\\xff was refused: its name is not valid UTF-8/);
});

const MIB = 2 ** 20;

test("ten gigabytes of zeros are refused after a few hundred megabytes", async () => {
	const header = sampleEntry({ name: "zeros", size: (10 * 2 ** 30).toString(8).padStart(12, "0") });
	for (const compress of [gzipSync, zstdCompressSync]) {
		const zeros = compress(Buffer.alloc(64 * MIB));
		const bomb = Buffer.concat([compress(header), ...Array.from({ length: 160 }, () => zeros)]);
		await sources.assertRefused({ kind: "tar", path: sources.file(bomb) }, /decompression bomb/);
	}
});

test("every limit stops what is beyond it", async () => {
	const entries = Array.from({ length: 20 }, (_, index) => ({ name: `n${index}`, body: "x".repeat(1000) }));
	for (const [limits, reason] of [
		[{ maxBytes: 10_000 }, /over 9\.8 KiB of data/],
		[{ maxEntries: 10 }, /over 10 entries/],
		[{ maxNameBytes: 20 }, /names have over 20 B/],
	] as const) {
		await sources.assertRefused({ kind: "tar", path: sources.file(sampleTar(entries)) }, reason, { limits });
		await sources.assertRefused(sources.layout({ layers: [{ tar: sampleTar(entries) }] }), reason, { limits });
	}
	const path = sources.folder();
	mkdirSync(join(path, "a/b/c"), { recursive: true });
	for (let index = 0; index < 20; index += 1) writeFileSync(join(path, `n${index}`), "x".repeat(1000));
	for (const [limits, reason] of [
		[{ maxBytes: 10_000 }, /over 10000 bytes/],
		[{ maxEntries: 10 }, /over 10 entries/],
		[{ maxNameBytes: 20 }, /over 20 bytes/],
		[{ maxDepth: 2 }, /over 2 folders deep/],
	] as const) {
		await sources.assertRefused({ kind: "folder", path }, reason, { limits });
	}
	const two = sources.layout({ layers: LAYERS.map((bytes) => ({ tar: bytes })) });
	await sources.assertRefused(two, /it has 2 layers/, { limits: { maxLayers: 1 } });
	// A layer of nothing but padding has no entries to count.
	const padding = sources.layout({ layers: [{ tar: Buffer.alloc(5000) }] });
	await sources.assertRefused(padding, /of data/, { limits: { maxBytes: 1000 } });
	const pax = { "SCHILY.xattr.user.x": Buffer.alloc(60_000) };
	const xattrs = gzipSync(sampleTar(Array.from({ length: 50 }, (_, index) => ({ name: `n${index}`, pax }))));
	await sources.assertRefused({ kind: "tar", path: sources.file(xattrs) }, /names have over/, {
		limits: { maxNameBytes: MIB },
	});
});

test("interrupted at any moment, reading ends with the signal's reason and leaves nothing", async () => {
	const layers = ["a", "b"].map((name) => ({ tar: sampleTar([{ name, body: randomBytes(3 * MIB) }]) }));
	const source = sources.layout({ layers });
	for (const steps of [0, 1, 2, 3]) {
		const stop = new AbortController();
		let left = steps;
		const progress = () => {
			left -= 1;
			if (left <= 0) stop.abort(new Error("enough"));
		};
		if (steps === 0) stop.abort(new Error("enough"));
		await assert.rejects(sources.read(source, { signal: stop.signal, progress }), /enough/);
		sources.assertNothingLeft();
	}
});

function mutated(bytes: Buffer, at: number, value: number, cut: number): Buffer {
	const changed = Buffer.from(bytes);
	changed[at % bytes.length] = value;
	return cut % 4 === 0 ? changed.subarray(0, cut % bytes.length) : changed;
}

async function readOrRefused(act: () => Promise<unknown>): Promise<void> {
	try {
		await act();
	} catch (error) {
		assert.ok(error instanceof VouchError && error.code.startsWith("rootfs-"), String((error as Error).stack));
	}
	sources.assertNothingLeft();
}

test("mutated layouts and archives are read or refused, and nothing is left", async () => {
	const source = sources.layout({ layers: LAYERS.map((bytes) => ({ tar: bytes })), config: CONFIG });
	const files = readdirSync(source.path, { recursive: true, withFileTypes: true }).flatMap((entry) => {
		return entry.isFile() ? [join(entry.parentPath, entry.name)] : [];
	});
	const honest = new Map(files.map((path) => [path, readFileSync(path)]));
	const docker = sampleDockerArchive(LAYERS);
	const packed = [docker, gzipSync(docker), gzipSync(FIRST), zstdCompressSync(FIRST)];
	await fc.assert(
		fc.asyncProperty(fc.nat(), fc.nat(), fc.nat(255), fc.nat(1 << 20), async (which, at, value, cut) => {
			const path = files[which % files.length] ?? "";
			writeFileSync(path, mutated(honest.get(path) ?? docker, at, value, cut));
			await readOrRefused(() => sources.linesFrom(source));
			writeFileSync(path, honest.get(path) ?? docker);
			const archive = sources.file(mutated(packed[which % packed.length] ?? docker, at, value, cut));
			await readOrRefused(async () => sources.linesFrom(await recogniseSource(archive, { host })));
		}),
		{ numRuns: 150, endOnFailure: true },
	);
});

test("xz goes through the program", async (context) => {
	const xz = await realHost().findProgram("xz");
	if (xz === undefined) return context.skip("xz is not installed");
	const path = sources.file(ARCHIVE);
	const program = await realHost().run([xz, "--keep", path]);
	assert.equal(program.exitCode, 0, program.stderr);
	const source = await recogniseSource(`${path}.xz`, { host: realHost() });
	assert.match((await sources.linesFrom(source)).join(), /"a"/);
	const damaged = readFileSync(`${path}.xz`);
	damaged.fill(0, 40, 60);
	writeFileSync(`${path}.xz`, damaged);
	await sources.assertRefused(source, /can't be decompressed/);
	const options = { platform: "linux/amd64", scratchDirectory: sources.scratchDirectory, host } as const;
	await assert.rejects(readSource(source, options), { code: "rootfs-program-missing" });
	sources.assertNothingLeft();
});
