import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
	appendFileSync,
	chmodSync,
	linkSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	renameSync,
	rmSync,
	symlinkSync,
	truncateSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { scanTree } from "./scan.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-tree-"));
after(() => rmSync(home, { recursive: true, force: true }));
let folders = 0;

function folder(files: Readonly<Record<string, string>> = {}): string {
	const root = join(home, `tree-${folders++}`);
	mkdirSync(root);
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(join(root, path, ".."), { recursive: true });
		writeFileSync(join(root, path), text);
	}
	return root;
}

/** Old enough that the racy rule trusts the cache. ctime can't be set, so the scan is told that it starts later. */
async function later<T>(scan: () => Promise<T>): Promise<T> {
	const now = Date.now;
	Date.now = () => now() + 10_000;
	try {
		return await scan();
	} finally {
		Date.now = now;
	}
}

/** The documented form once more, written down independently and without any care for speed or hostility. */
function plainDigest(root: string): string {
	const sha = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");
	const record = (path: string, name: Buffer): Buffer => {
		const stats = lstatSync(path);
		const names = stats.isDirectory() ? readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare) : [];
		const [type, payload] = stats.isDirectory()
			? ["d", sha(Buffer.concat(names.map((child) => record(join(path, child.toString()), child))))]
			: stats.isSymbolicLink()
				? ["l", sha(readlinkSync(path))]
				: stats.isFIFO()
					? ["p", sha("")]
					: ["f", sha(readFileSync(path))];
		const mode = (stats.mode & 0o7777).toString(8).padStart(4, "0");
		return Buffer.concat([Buffer.from(`${type} ${mode} ${payload} ${name.length}:`), name, Buffer.from("\n")]);
	};
	return `sha256:${sha(Buffer.concat([Buffer.from("vouch-tree/v1\n"), record(root, Buffer.alloc(0))]))}`;
}

test("the digest is the documented form, and does not change with times or owners", async () => {
	const root = folder({
		"b.txt": "two",
		"a/one.txt": "one",
		"a/ü\n.txt": "",
		"a-b": "between a and a/",
		".git/HEAD": "x",
	});
	mkdirSync(join(root, "empty"));
	symlinkSync("../outside", join(root, "link"));
	execFileSync("mkfifo", [join(root, "pipe")]);
	chmodSync(join(root, "b.txt"), 0o4755);
	const first = await scanTree(root);
	assert.equal(first.digest, plainDigest(root));
	assert.deepEqual(first.problems, []);
	assert.deepEqual(
		[...first.entries.keys()].sort(),
		["", ".git", ".git/HEAD", "a", "a-b", "a/one.txt", "a/ü\\x0a.txt", "b.txt", "empty", "link", "pipe"].sort(),
	);
	assert.equal(first.entries.get("b.txt")?.mode, 0o4755);
	assert.equal(first.entries.get("link")?.target, "../outside");
	utimesSync(join(root, "b.txt"), 1, 1);
	assert.equal((await scanTree(root)).digest, first.digest);
});

test("a golden digest: the form never drifts", async () => {
	const root = folder({ "hello.txt": "hello\n" });
	chmodSync(root, 0o755);
	chmodSync(join(root, "hello.txt"), 0o644);
	const { digest } = await scanTree(root);
	const hello = createHash("sha256").update("hello\n").digest("hex");
	assert.equal(hello, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
	assert.equal(digest, "sha256:e5cd46840be1b9d92e88a1f422d2cce2a0e2a89003eafbc3efd2a60c198109a7");
});

test("every kind of change changes the digest", async () => {
	const root = folder({ "dir/a": "aaaa", "dir/b": "bbbb" });
	const seen = new Set<string>();
	const steps = [
		() => {},
		() => writeFileSync(join(root, "dir/a"), "aaab"),
		() => chmodSync(join(root, "dir/a"), 0o600),
		() => chmodSync(join(root, "dir"), 0o700),
		() => chmodSync(root, 0o711),
		() => renameSync(join(root, "dir/a"), join(root, "dir/c")),
		() => rmSync(join(root, "dir/b")),
		() => mkdirSync(join(root, "dir/b")),
		() => symlinkSync("c", join(root, "dir/link")),
		() => {
			rmSync(join(root, "dir/link"));
			symlinkSync("d", join(root, "dir/link"));
		},
		() => {
			rmSync(join(root, "dir/link"));
			writeFileSync(join(root, "dir/link"), "d");
		},
	];
	for (const step of steps) {
		step();
		seen.add((await scanTree(root)).digest);
	}
	assert.equal(seen.size, steps.length);
});

test("names that are not UTF-8 are kept apart", async () => {
	const root = folder();
	writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x41])]), "1");
	writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xfe, 0x41])]), "2");
	mkdirSync(Buffer.concat([Buffer.from(`${root}/d`), Buffer.from([0xc3])]));
	writeFileSync(Buffer.concat([Buffer.from(`${root}/d`), Buffer.from([0xc3]), Buffer.from("/x")]), "3");
	const { entries, problems } = await scanTree(root);
	assert.deepEqual([...entries.keys()].sort(), ["", "\\xfeA", "\\xffA", "d\\xc3", "d\\xc3/x"]);
	assert.deepEqual(problems, []);
});

test("the cache saves the reading, and never lies about content", async () => {
	const root = folder({ a: "aaaa", "d/b": "bbbb", "d/c": "cccc" });
	const cacheFile = join(home, "cache-1");
	const first = await later(() => scanTree(root, { cacheFile }));
	assert.deepEqual(first.counts, { hashed: 3, cached: 0, bytes: 12 });
	assert.equal(lstatSync(cacheFile).mode & 0o777, 0o600);
	const second = await later(() => scanTree(root, { cacheFile }));
	assert.deepEqual(second.counts, { hashed: 0, cached: 3, bytes: 12 });
	assert.equal(second.digest, first.digest);

	const { atime, mtime } = lstatSync(join(root, "a"));
	writeFileSync(join(root, "a"), "AAAA");
	utimesSync(join(root, "a"), atime, mtime);
	const third = await later(() => scanTree(root, { cacheFile }));
	assert.equal(third.counts.hashed, 1, "same size and mtime, but ctime can't be set back");
	assert.equal(third.digest, plainDigest(root));
	renameSync(join(root, "d"), join(root, "e"));
	const fourth = await later(() => scanTree(root, { cacheFile }));
	assert.equal(fourth.counts.hashed, 0, "found by inode after a rename of their folder");
	assert.equal(fourth.digest, plainDigest(root));
});

test("what changed as late as the scan began is read again (racy git)", async () => {
	const root = folder({ a: "aaaa" });
	const cacheFile = join(home, "cache-2");
	await scanTree(root, { cacheFile });
	assert.equal((await scanTree(root, { cacheFile })).counts.hashed, 1);
});

test("a torn, foreign, writable or linked cache counts as empty", async () => {
	const root = folder({ a: "aaaa" });
	const cacheFile = join(home, "cache-3");
	await later(() => scanTree(root, { cacheFile }));
	const good = readFileSync(cacheFile);
	const hashedWith = async (prepare: () => void): Promise<number> => {
		rmSync(cacheFile, { force: true });
		writeFileSync(cacheFile, good, { mode: 0o600 });
		prepare();
		return (await later(() => scanTree(root, { cacheFile }))).counts.hashed;
	};
	assert.equal(await hashedWith(() => {}), 0);
	assert.equal(await hashedWith(() => truncateSync(cacheFile, good.length - 1)), 1);
	assert.equal(await hashedWith(() => appendFileSync(cacheFile, "x")), 1);
	assert.equal(await hashedWith(() => writeFileSync(cacheFile, "hello")), 1);
	assert.equal(await hashedWith(() => writeFileSync(cacheFile, "")), 1);
	for (let index = 0; index < good.length; index += 7) {
		const bent = Buffer.from(good);
		bent[index] = (bent[index] ?? 0) ^ 1;
		assert.equal(await hashedWith(() => writeFileSync(cacheFile, bent)), 1, `byte ${index}`);
	}
	assert.equal(await hashedWith(() => chmodSync(cacheFile, 0o666)), 1);
	const moved = join(home, "cache-moved");
	assert.equal(
		await hashedWith(() => {
			renameSync(cacheFile, moved);
			symlinkSync(moved, cacheFile);
		}),
		1,
	);
});

test("a cache inside the folder is refused: the workload could write it", async () => {
	const root = folder({ a: "1" });
	await assert.rejects(scanTree(root, { cacheFile: join(root, "cache") }), { code: "tree-cache-inside" });
	symlinkSync(root, join(home, "way-in"));
	await assert.rejects(scanTree(root, { cacheFile: join(home, "way-in/cache") }), { code: "tree-cache-inside" });
});

test("links are not followed, pipes not waited for, sockets and devices not opened", async () => {
	const root = folder();
	symlinkSync("/etc", join(root, "etc"));
	symlinkSync("/etc/passwd", join(root, "passwd"));
	symlinkSync("loop", join(root, "loop"));
	execFileSync("mkfifo", [join(root, "pipe")]);
	const server = createServer().listen(join(root, "socket"));
	await new Promise((resolve) => server.once("listening", resolve));
	const started = performance.now();
	const { entries, problems, counts } = await scanTree(root);
	server.close();
	assert.ok(performance.now() - started < 5000);
	const types = [...entries].map(([path, { type }]) => `${path}:${type}`).sort();
	assert.deepEqual(types, [
		":directory",
		"etc:symlink",
		"loop:symlink",
		"passwd:symlink",
		"pipe:fifo",
		"socket:socket",
	]);
	assert.deepEqual({ problems, counts }, { problems: [], counts: { hashed: 0, cached: 0, bytes: 0 } });
});

test("a device is recorded by its number", async (t) => {
	const root = folder();
	try {
		execFileSync("mknod", [join(root, "null"), "c", "1", "3"], { stdio: "ignore" });
	} catch {
		return t.skip("mknod needs CAP_MKNOD");
	}
	const { entries } = await scanTree(root);
	assert.equal(entries.get("null")?.type, "character-device");
	assert.equal(entries.get("null")?.payload, createHash("sha256").update("1:3").digest("hex"));
});

test("sparse, deep and many are bounded, said, and never fatal", async () => {
	const root = folder({ small: "1", "x/y/z/deep": "2" });
	writeFileSync(join(root, "sparse"), "");
	truncateSync(join(root, "sparse"), 2 ** 43);
	const limits = { maxDepth: 2, maxFileBytes: 2 ** 30 };
	const { entries, problems } = await scanTree(root, { limits });
	assert.deepEqual(
		[...problems].sort((a, b) => (a.path < b.path ? -1 : 1)),
		[
			{ path: "sparse", reason: "too-large" },
			{ path: "x/y/z", reason: "too-deep" },
		],
	);
	assert.equal(entries.get("sparse")?.read, false);
	assert.equal(entries.get("x/y/z")?.read, false);
	const many = await scanTree(root, { limits: { ...limits, maxEntries: 1 } });
	assert.deepEqual([...many.entries.keys()], ["small", ""]);
	assert.deepEqual(many.problems, [{ path: "sparse", reason: "too-many" }]);
	const total = await scanTree(folder({ a: "12345", b: "12345" }), { limits: { maxTotalBytes: 7 } });
	assert.deepEqual(total.problems, [{ path: "b", reason: "too-large" }]);
});

test("paths longer than PATH_MAX are reached", async () => {
	const root = folder();
	const name = "n".repeat(200);
	// mkdir and cd step by step: no single path is too long for the shell.
	execFileSync(
		"sh",
		["-c", `i=0; while [ $i -lt 30 ]; do mkdir ${name}; cd -P ${name} || exit 1; i=$((i+1)); done; echo x >leaf`],
		{
			cwd: root,
		},
	);
	const { entries, problems } = await scanTree(root);
	assert.deepEqual(problems, []);
	assert.equal(entries.size, 32);
	execFileSync("rm", ["-rf", root]);
});

test("threads and this thread give the same digest; hard links are files of their own", async () => {
	const root = folder();
	for (let d = 0; d < 30; d++) {
		mkdirSync(join(root, `d${d}`));
		for (let f = 0; f < 60; f++) writeFileSync(join(root, `d${d}/f${f}`), `${d}-${f}`.repeat(f * 50));
	}
	writeFileSync(join(root, "large"), Buffer.alloc(20 << 20, 7));
	linkSync(join(root, "large"), join(root, "twin"));
	const { digest, counts } = await scanTree(root);
	assert.equal(counts.hashed, 1802);
	assert.equal(digest, plainDigest(root));
});

test("unreadable files and folders are recorded, not fatal", async (t) => {
	const root = folder({ "secret/in": "1", hidden: "2", open: "3" });
	chmodSync(home, 0o755);
	chmodSync(join(root, "secret"), 0o000);
	chmodSync(join(root, "hidden"), 0o000);
	const user = process.geteuid?.() ?? 0;
	if (user === 0) process.seteuid?.(65534);
	t.after(() => process.seteuid?.(user));
	const { entries, problems } = await scanTree(root);
	assert.deepEqual(problems, [
		{ path: "hidden", reason: "permission" },
		{ path: "secret", reason: "permission" },
	]);
	const read = [...entries].map(([path, entry]) => `${path}:${entry.read}`).sort();
	assert.deepEqual(read, [":true", "hidden:false", "open:true", "secret:false"]);
});

test("excluded paths leave no trace; a missing root is a failure with its cause", async () => {
	const root = folder({ keep: "1", "drop/a": "2", "sub/drop": "3" });
	const { digest, entries } = await scanTree(root, { exclude: ["drop"] });
	assert.deepEqual([...entries.keys()].sort(), ["", "keep", "sub", "sub/drop"]);
	rmSync(join(root, "drop"), { recursive: true });
	assert.equal((await scanTree(root)).digest, digest);
	await assert.rejects(scanTree(join(root, "nowhere")), { code: "tree-root-unreadable" });
	await assert.rejects(scanTree(join(root, "keep")), { code: "tree-root-unreadable" });
});

test("a scan can be given up", async () => {
	const root = folder();
	for (let d = 0; d < 400; d++) {
		mkdirSync(join(root, `d${d}`));
		for (let f = 0; f < 20; f++) writeFileSync(join(root, `d${d}/f${f}`), `${d}-${f}`);
	}
	await assert.rejects(scanTree(root, { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
	assert.equal(
		readdirSync("/proc/self/fd").filter((fd) => linkOf(fd).startsWith(root)).length,
		0,
		"no descriptor is left",
	);
});

function linkOf(fd: string): string {
	try {
		return readlinkSync(`/proc/self/fd/${fd}`);
	} catch {
		return "";
	}
}
