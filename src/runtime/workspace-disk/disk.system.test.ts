import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
	chmodSync,
	chownSync,
	existsSync,
	linkSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { realHost } from "../../host/index.ts";
import { listing } from "./changes-fixture.ts";
import { type BuiltDisk, buildDisk, type DiskRequest } from "./disk.ts";
import { scratchDisk } from "./scratch-disk.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-disk-"));
after(() => rmSync(home, { recursive: true, force: true }));
const OWNER = { userId: 1000, groupId: 1000 };
const canGive = process.geteuid?.() === 0;

function workspace(): string {
	return mkdtempSync(join(home, "w-"));
}

let made = 0;
/** Builds a disk, has fsck.erofs (erofs-utils) check every byte of its structure, and unpacks it. */
async function unpacked(
	source: string,
	more: Partial<DiskRequest> = {},
): Promise<{ disk: BuiltDisk; path: string; folder: string }> {
	made += 1;
	const [path, folder] = [join(home, `disk-${made}`), join(home, `unpacked-${made}`)];
	const disk = await buildDisk({ path, parts: [{ source, at: "/" }], owner: OWNER, ...more });
	execFileSync("fsck.erofs", [`--extract=${folder}`, path], { stdio: "pipe" });
	return { disk, path, folder };
}

test("a folder comes out of its disk as it went in: names, modes, links, contents, times", async () => {
	const at = workspace();
	mkdirSync(join(at, "d/e"), { recursive: true });
	writeFileSync(join(at, "d/e/large"), Buffer.alloc(1_000_001, "large"));
	writeFileSync(join(at, "tool"), "#!/bin/sh\n", { mode: 0o755 });
	writeFileSync(join(at, "secret"), "x", { mode: 0o600 });
	writeFileSync(join(at, "empty"), "");
	writeFileSync(Buffer.from(`${at}/\xff\xfe odd\n\x1b[2J`, "latin1"), "bytes");
	symlinkSync("../../etc/passwd", join(at, "d/l"));
	symlinkSync("x".repeat(4000), join(at, "long-link"));
	mkdirSync(join(at, "many"));
	for (let index = 0; index < 700; index += 1) writeFileSync(join(at, `many/${"n".repeat(index % 200)}${index}`), "");
	chmodSync(join(at, "d"), 0o1777);
	utimesSync(join(at, "tool"), 0, -3.25);
	utimesSync(join(at, "secret"), 0, 1_234_567_890.125);
	const { disk, folder } = await unpacked(at);
	assert.deepEqual(disk.problems, []);
	assert.deepEqual(listing(folder), listing(at));
	for (const name of ["tool", "secret", "d/e/large"])
		assert.equal(lstatSync(join(folder, name)).mtimeMs, lstatSync(join(at, name)).mtimeMs, name);
	if (canGive) assert.equal(lstatSync(join(folder, "tool")).uid, 1000);
});

test("the kernel mounts it, and several names of one file are one file", {
	skip: canGive ? false : "only root can mount",
}, async (context) => {
	const at = workspace();
	writeFileSync(join(at, "a"), "one file");
	linkSync(join(at, "a"), join(at, "b"));
	const { path } = await unpacked(at);
	const point = join(home, "mounted");
	mkdirSync(point);
	const mounted = spawnSync("mount", ["-t", "erofs", "-o", "ro,loop", path, point], { encoding: "utf8" });
	if (mounted.status !== 0) return context.skip(`mounting is not possible here: ${mounted.stderr.trim()}`);
	try {
		const [one, other] = [statSync(join(point, "a")), statSync(join(point, "b"))];
		assert.deepEqual([one.ino, one.nlink, one.uid, one.gid], [other.ino, 2, 1000, 1000]);
		assert.equal(readFileSync(join(point, "b"), "utf8"), "one file");
	} finally {
		execFileSync("umount", [point]);
	}
});

test("pipes, sockets and devices are left out and said", async (context) => {
	const at = workspace();
	execFileSync("mkfifo", [join(at, "pipe")]);
	const server = createServer().listen(join(at, "socket"));
	context.after(() => server.close());
	if (canGive) execFileSync("mknod", [join(at, "device"), "c", "1", "3"]);
	writeFileSync(join(at, "file"), "x");
	const { disk, folder } = await unpacked(at);
	assert.deepEqual(readdirSync(folder), ["file"]);
	assert.deepEqual(disk.problems, [
		...(canGive ? [{ path: "device", reason: "special" }] : []),
		{ path: "pipe", reason: "special" },
		{ path: "socket", reason: "special" },
	]);
});

test("what this user may not read is left out and said", async () => {
	const at = workspace();
	mkdirSync(join(at, "closed/inner"), { recursive: true });
	writeFileSync(join(at, "unreadable"), "x", { mode: 0 });
	writeFileSync(join(at, "file"), "x");
	chmodSync(join(at, "closed"), 0);
	if (canGive) {
		chmodSync(home, 0o777);
		for (const path of [at, join(at, "closed"), join(at, "unreadable")]) chownSync(path, 65_534, 65_534);
		process.seteuid?.(65_534);
	}
	try {
		const { disk, folder } = await unpacked(at);
		assert.deepEqual(readdirSync(folder), ["file"]);
		assert.deepEqual(disk.problems, [
			{ path: "closed", reason: "permission" },
			{ path: "unreadable", reason: "permission" },
		]);
	} finally {
		if (canGive) process.seteuid?.(0);
		chmodSync(join(at, "closed"), 0o755);
	}
});

test("a sparse file stays sparse, and one past the limit is left out", async () => {
	const at = workspace();
	writeFileSync(join(at, "sparse"), "start");
	truncateSync(join(at, "sparse"), 300 * 2 ** 20);
	writeFileSync(join(at, "huge"), "");
	truncateSync(join(at, "huge"), 20 * 2 ** 30);
	const { disk, path, folder } = await unpacked(at);
	assert.deepEqual(disk.problems, [{ path: "huge", reason: "too-large" }]);
	assert.equal(statSync(join(folder, "sparse")).size, 300 * 2 ** 20);
	assert.ok(statSync(path).blocks * 512 < 2 ** 20, `${statSync(path).blocks} blocks`);
});

test("further host paths stand beside each other, files and folders, through the links that name them", async () => {
	const at = workspace();
	mkdirSync(join(at, "tools"));
	writeFileSync(join(at, "tools/go"), "go");
	writeFileSync(join(at, "settings"), "yes");
	symlinkSync("tools", join(at, "by-link"));
	const parts = [
		{ source: join(at, "by-link"), at: "/0" },
		{ source: join(at, "settings"), at: "/1" },
	];
	const { disk, folder } = await unpacked("", { parts });
	assert.deepEqual(listing(folder), ["0 folder 755", "0/go file 644 go", "1 file 644 yes"]);
	assert.equal(disk.baseline, null);
});

test("a disk that takes another's place has that one's size, or is refused", async () => {
	const at = workspace();
	writeFileSync(join(at, "a"), Buffer.alloc(100_000, 1));
	const { disk, path } = await unpacked(at, { virtualSizeBytes: 2 ** 30 });
	assert.deepEqual([disk.sizeBytes, statSync(path).size], [2 ** 30, 2 ** 30]);
	assert.ok(statSync(path).blocks * 512 < 2 ** 20);
	const refused = join(home, "refused");
	const request = { path: refused, parts: [{ source: at, at: "/" }], owner: OWNER };
	await assert.rejects(buildDisk({ ...request, virtualSizeBytes: 65_536 }), { code: "disk-too-large" });
	await assert.rejects(buildDisk({ ...request, limits: { maxEntries: 0 } }), { code: "disk-too-large" });
	await assert.rejects(buildDisk({ ...request, limits: { maxTotalBytes: 99_999 } }), { code: "disk-too-large" });
	await assert.rejects(buildDisk({ ...request, parts: [{ source: join(at, "none"), at: "/" }] }), {
		code: "disk-source-unreadable",
	});
	await assert.rejects(buildDisk({ ...request, parts: [{ source: join(at, "a"), at: "/" }] }), {
		code: "disk-source-unreadable",
	});
	await assert.rejects(buildDisk({ ...request, path: join(home, "no/such/folder/disk") }), {
		code: "disk-not-written",
	});
	assert.ok(!existsSync(refused));
});

/** Runs `script` again and again in another thread for as long as `act` takes; `at` is the folder. */
async function whileAnother(at: string, script: string, act: () => Promise<void>): Promise<void> {
	const worker = new Worker(
		`const fs = require("node:fs"); const { workerData: at } = require("node:worker_threads"); while (true) { ${script} }`,
		{ eval: true, workerData: at },
	);
	const stopped = new Promise((resolve) => worker.once("exit", resolve));
	try {
		await act();
	} finally {
		await worker.terminate();
		await stopped;
	}
}

test("files and folders that are exchanged for links all the time let nothing else onto the disk", async () => {
	const at = workspace();
	const outside = workspace();
	writeFileSync(join(outside, "f"), "SECRET OF THE HOST");
	mkdirSync(join(at, "d"));
	for (const name of ["f", "g"]) writeFileSync(join(at, "d", name), "harmless");
	const script = `
		const attempt = (act) => { try { act(); } catch {} };
		const outside = ${JSON.stringify(outside)};
		attempt(() => fs.renameSync(at + "/d", at + "/away"));
		attempt(() => fs.symlinkSync(outside, at + "/d"));
		attempt(() => fs.unlinkSync(at + "/d"));
		attempt(() => fs.renameSync(at + "/away", at + "/d"));
		attempt(() => fs.renameSync(at + "/d/f", at + "/d/away"));
		attempt(() => fs.symlinkSync(outside + "/f", at + "/d/f"));
		attempt(() => fs.unlinkSync(at + "/d/f"));
		attempt(() => fs.renameSync(at + "/d/away", at + "/d/f"));`;
	await whileAnother(at, script, async () => {
		for (let round = 0; round < 100; round += 1) {
			const path = join(home, "raced");
			await buildDisk({ path, parts: [{ source: at, at: "/" }], owner: OWNER });
			assert.ok(!readFileSync(path).includes("SECRET OF THE HOST"));
			rmSync(path);
		}
	});
});

test("a file that is written all the time is said to be of no one moment, and the disk is sound", async () => {
	const at = workspace();
	writeFileSync(join(at, "log"), "x".repeat(100_000));
	writeFileSync(join(at, "still"), "still");
	await whileAnother(
		at,
		`fs.writeFileSync(at + "/log", "y".repeat(50000)); fs.appendFileSync(at + "/log", "z".repeat(100000));`,
		async () => {
			let torn = 0;
			for (let round = 0; round < 30 && torn === 0; round += 1) {
				const { disk, folder } = await unpacked(at);
				torn += disk.problems.filter(({ reason }) => reason === "changed-while-read").length;
				assert.equal(readFileSync(join(folder, "still"), "utf8"), "still");
			}
			assert.ok(torn > 0);
		},
	);
});

test("making a disk can be stopped, and leaves no file", async () => {
	const at = workspace();
	for (let index = 0; index < 3000; index += 1) writeFileSync(join(at, `${index}`), "x");
	const path = join(home, "stopped");
	const signal = AbortSignal.timeout(5);
	await assert.rejects(buildDisk({ path, parts: [{ source: at, at: "/" }], owner: OWNER, signal }), /abort/i);
	assert.ok(!existsSync(path));
});

test("a scratch disk is an empty ext4 of that size, mostly holes", async () => {
	const [one, other] = [join(home, "one.ext4"), join(home, "other.ext4")];
	for (const path of [one, other])
		await scratchDisk({ path, sizeBytes: 512 * 2 ** 20, place: "new", host: realHost() });
	assert.equal(statSync(one).size, 512 * 2 ** 20);
	assert.ok(statSync(one).blocks * 512 < 2 ** 20);
	execFileSync("fsck.ext4", ["-n", "-f", one], { stdio: "pipe" });
	await assert.rejects(scratchDisk({ path: one, sizeBytes: 2 ** 20, place: "new", host: realHost() }), {
		code: "disk-not-written",
	});
	await assert.rejects(scratchDisk({ path: join(home, "tiny"), sizeBytes: 4096, place: "new", host: realHost() }), {
		code: "disk-not-written",
	});
	assert.ok(!existsSync(join(home, "tiny")));
});
