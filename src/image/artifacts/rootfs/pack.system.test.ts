import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { realHost } from "../../../host/index.ts";
import type { RootfsFormat } from "../../schema.ts";
import { packRootfs, type RootfsTree, readSource } from "./index.ts";
import { type SampleEntry, sampleTar, writeLayout } from "./sample-archives.ts";
import { linesOf, randomTrees } from "./sample-trees.ts";
import { bytesContent, directoryNode, entriesOf, IMPLIED_DIRECTORY } from "./tree.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-pack-"));
chmodSync(home, 0o755);
after(() => rmSync(home, { recursive: true, force: true }));
const host = realHost();
const EPOCH = 315_532_800;
const FORMATS: readonly RootfsFormat[] = ["erofs", "squashfs", "squashfs-uncompressed"];
const isRoot = process.geteuid?.() === 0;

let count = 0;
function place(): string {
	count += 1;
	return join(home, String(count));
}

async function packed(tree: RootfsTree, format: RootfsFormat): Promise<string> {
	const path = place();
	const { sizeBytes } = await packRootfs(tree, { format, path, epoch: EPOCH });
	assert.equal(sizeBytes % 4096, 0);
	assert.equal(readFileSync(path).length, sizeBytes);
	return path;
}

const digestOf = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** A tree on disk in the words of `linesOf`; written in Python, which reads xattrs. */
const DUMP = `
import hashlib, json, os, stat, sys
top = os.fsencode(sys.argv[1])
kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFCHR: "character-device", stat.S_IFBLK: "block-device", stat.S_IFIFO: "fifo"}
groups = {}
def quoted(raw): return json.dumps(raw.decode("latin1"), ensure_ascii=False)
def show(path):
    full = os.path.join(top, path) if path else top
    s = os.lstat(full)
    kind = kinds[stat.S_IFMT(s.st_mode)]
    group = groups.setdefault((s.st_dev, s.st_ino), len(groups))
    what = kind
    if kind == "file":
        data = open(full, "rb").read()
        what = f"file {len(data)} {hashlib.sha256(data).hexdigest()}"
    elif kind == "symlink": what = f"symlink {quoted(os.readlink(full))}"
    elif kind.endswith("device"): what = f"{kind} {os.major(s.st_rdev)}:{os.minor(s.st_rdev)}"
    names = [] if "--no-xattrs" in sys.argv else sorted(os.fsencode(n) for n in os.listxattr(full, follow_symlinks=False))
    attached = [f"{n.decode('latin1')}={os.getxattr(full, n, follow_symlinks=False).hex()}" for n in names]
    if "--times" in sys.argv: assert s.st_mtime == ${EPOCH}, (full, s.st_mtime)
    if kind == "directory" and "--links" in sys.argv:
        assert s.st_nlink == 2 + sum(1 for e in os.scandir(full) if e.is_dir(follow_symlinks=False)), full
    print(" ".join([quoted(path), f"#{group}", f"{stat.S_IMODE(s.st_mode):o}", str(s.st_uid), str(s.st_gid), what] + attached))
    if kind == "directory":
        for name in sorted(os.listdir(full)): show(os.path.join(path, name) if path else name)
sys.setrecursionlimit(5000)
sys.stdout.reconfigure(encoding="utf-8")
show(b"")
`;

function dumped(directory: string, ...flags: readonly string[]): readonly string[] {
	const options = { encoding: "utf8", maxBuffer: 64 << 20 } as const;
	return execFileSync("python3", ["-c", DUMP, directory, ...flags], options)
		.trimEnd()
		.split("\n");
}

function missing(...programs: readonly string[]): string | false {
	const absent = programs.filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
	return absent.length > 0 ? `${absent.join(" and ")} not installed` : false;
}

/** Why disks can't be mounted here, if they can't. */
function unmountable(): string | false {
	if (!isRoot) return "only root mounts disks";
	const known = readFileSync("/proc/filesystems", "utf8");
	const has = (type: string) => known.includes(`\t${type}\n`);
	return has("erofs") && has("squashfs") ? false : "this kernel has no erofs or no squashfs";
}

function mounted<T>(disk: string, type: "erofs" | "squashfs", act: (directory: string) => T): T {
	const directory = place();
	mkdirSync(directory);
	execFileSync("mount", ["-t", type, "-o", "loop,ro", disk, directory]);
	try {
		return act(directory);
	} finally {
		execFileSync("umount", [directory]);
	}
}

test("the kernel sees in erofs what is in the tree, whatever it is", {
	skip: unmountable() || missing("python3"),
}, async () => {
	await fc.assert(
		fc.asyncProperty(randomTrees, async (tree) => {
			const disk = await packed(tree, "erofs");
			const seen = mounted(disk, "erofs", (directory) => dumped(directory, "--times", "--links"));
			assert.deepEqual(seen, linesOf(tree));
			rmSync(disk);
		}),
		{ numRuns: 25, endOnFailure: true },
	);
});

for (const format of ["squashfs", "squashfs-uncompressed"] as const) {
	const skip = isRoot ? missing("unsquashfs", "python3") : "only root is given back owners and devices";
	test(`unsquashfs and the kernel find in ${format} what is in the tree, whatever it is`, { skip }, async () => {
		await fc.assert(
			fc.asyncProperty(randomTrees, async (tree) => {
				const disk = await packed(tree, format);
				const directory = place();
				const options = ["-quiet", "-no-progress", "-xattrs", "-dest", directory];
				execFileSync("unsquashfs", [...options, disk], { stdio: "pipe" });
				assert.deepEqual(dumped(directory, "--times"), linesOf(tree));
				if (unmountable() === false) {
					// Not every kernel that mounts squashfs shows its xattrs.
					const seen = mounted(disk, "squashfs", (mount) => dumped(mount, "--times", "--links", "--no-xattrs"));
					assert.deepEqual(seen, linesOf(tree, "without-xattrs"));
				}
				rmSync(directory, { recursive: true });
				rmSync(disk);
			}),
			{ numRuns: 8, endOnFailure: true },
		);
	});
}

/** erofs-utils 1.5 extracts neither set-id bits nor hard links, owners or xattrs. */
const ESSENCE =
	/^("(?:[^"\\]|\\.)*") #\d+ \d+ \d+ \d+ (directory|fifo|file \d+ [0-9a-f]+|symlink "(?:[^"\\]|\\.)*"|\S+-device \d+:\d+)/;
const essence = (line: string) => ESSENCE.exec(line)?.slice(1).join(" ");

test("fsck.erofs finds nothing wrong and extracts what was packed", {
	skip: missing("fsck.erofs", "dump.erofs", "python3"),
}, async () => {
	await fc.assert(
		fc.asyncProperty(randomTrees, async (tree) => {
			const disk = await packed(tree, "erofs");
			const directory = place();
			execFileSync("fsck.erofs", [`--extract=${directory}`, "--no-preserve", disk], { stdio: "pipe" });
			// Devices are made for root alone.
			const wanted = linesOf(tree).filter((line) => isRoot || !/ (?:character|block)-device /.test(line));
			assert.deepEqual(dumped(directory).map(essence), wanted.map(essence));
			execFileSync("chmod", ["-R", "u+rwx", directory]);
			rmSync(directory, { recursive: true });
			rmSync(disk);
		}),
		{ numRuns: 15, endOnFailure: true },
	);
	const disk = await packed({ root: directoryNode() }, "erofs");
	const summary = execFileSync("dump.erofs", ["-s", disk], { encoding: "utf8", env: { ...process.env, TZ: "UTC" } });
	assert.match(summary, /Filesystem UUID: +00000000-0000-4000-8000-000000000001/);
	assert.match(summary, /Filesystem created: +Tue Jan {2}1 00:00:00 1980/);
});

const FILES: readonly (readonly [string, string])[] = [
	["bin/tool", "#!/bin/sh\n"],
	["data/é", "x".repeat(5000)],
	["data/b", "b"],
	["data/a", ""],
	["z/deep/er/file", "y".repeat(200_000)],
];

interface Variant {
	readonly umask: number;
	readonly timeS: number;
	readonly order: "forwards" | "backwards";
}

/** The same folder as people make it: other permissions, other times, another order. */
function folder({ umask, timeS, order }: Variant): string {
	const path = place();
	const before = process.umask(umask);
	mkdirSync(path);
	for (const [name, contents] of order === "forwards" ? FILES : FILES.toReversed()) {
		mkdirSync(join(path, name, ".."), { recursive: true });
		writeFileSync(join(path, name), contents, { mode: name === "bin/tool" ? 0o777 : 0o666 });
		utimesSync(join(path, name), timeS, timeS);
	}
	symlinkSync("bin/tool", join(path, "link"));
	utimesSync(join(path, "data"), timeS, timeS);
	process.umask(before);
	return path;
}

const urlOf = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, path)).href);
const PACK = `
import { readSource, packRootfs } from ${urlOf("index.ts")};
import { realHost } from ${urlOf("../../../host/index.ts")};
const [source, path, format] = process.argv.slice(1);
const options = { platform: "linux/amd64", scratchDirectory: path + ".scratch", host: realHost() };
const read = await readSource({ kind: "folder", path: source }, options);
await packRootfs(read.tree, { format, path, epoch: ${EPOCH} });
`;

/** Packs in a process of its own, with a user, clock and language of its own. */
function packedElsewhere(
	source: string,
	format: RootfsFormat,
	before: readonly string[],
	environment: Record<string, string>,
): string {
	const output = place();
	mkdirSync(output);
	chmodSync(output, 0o777);
	const disk = join(output, "disk");
	const argv = [...before, process.execPath, "--input-type=module", "-e", PACK, source, disk, format];
	const [program = "", ...rest] = argv;
	const env = { PATH: process.env.PATH ?? "", ...environment };
	execFileSync(program, rest, { env, stdio: ["ignore", "inherit", "inherit"] });
	return digestOf(disk);
}

test("the same folder gives the same bytes: umask, times, order, user, processors, time zone and language", {
	skip: missing("taskset", "setpriv"),
}, () => {
	const plain = folder({ umask: 0o022, timeS: 1_000_000_000, order: "forwards" });
	const other = folder({ umask: 0o002, timeS: 1_700_000_000, order: "backwards" });
	const closed = folder({ umask: 0o077, timeS: 5, order: "backwards" });
	if (isRoot) execFileSync("chown", ["-R", "65534:65534", closed]);
	const nobody = isRoot ? ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] : [];
	for (const format of FORMATS) {
		const first = packedElsewhere(plain, format, [], { TZ: "UTC", LANG: "C" });
		const elsewhere = { TZ: "Asia/Kathmandu", LANG: "tr_TR.UTF-8", SOURCE_DATE_EPOCH: "1" };
		assert.equal(packedElsewhere(other, format, ["taskset", "-c", "0"], elsewhere), first, format);
		assert.equal(packedElsewhere(closed, format, nobody, { TZ: "America/Anchorage" }), first, format);
	}
});

test("a folder, a tar and an image of the same contents give the same bytes", async () => {
	const path = folder({ umask: 0o022, timeS: 1, order: "forwards" });
	const above = FILES.flatMap(([name]) => {
		const parts = name.split("/");
		return parts.slice(1).map((_, index) => `${parts.slice(0, index + 1).join("/")}/`);
	});
	const entries: readonly SampleEntry[] = [
		...FILES.map(([name, body]) => ({ name, body, mode: name === "bin/tool" ? "0000755\0" : "0000644\0" })),
		{ name: "link", type: "2", link: "bin/tool" },
		...[...new Set(above)].map((name) => ({ name, mode: "0000755\0" })),
	];
	const [archive, layout] = [place(), place()];
	writeFileSync(archive, sampleTar(entries));
	const layers = [sampleTar([{ name: "old", body: "x" }]), sampleTar([...entries, { name: ".wh.old" }])];
	writeLayout(layout, [{ layers: layers.map((tar) => ({ tar })) }]);
	const digests = new Map<string, string[]>();
	for (const source of [
		{ kind: "folder", path },
		{ kind: "tar", path: archive },
		{ kind: "oci-layout", path: layout, tag: null },
	] as const) {
		await using read = await readSource(source, { platform: "linux/amd64", scratchDirectory: place(), host });
		for (const format of FORMATS) {
			digests.set(format, [...(digests.get(format) ?? []), digestOf(await packed(read.tree, format))]);
		}
	}
	for (const [format, all] of digests) assert.equal(new Set(all).size, 1, format);
});

const CAPABILITY = Buffer.from("0100000200200000000000000000000000000000", "hex");

test("layers flatten to what umoci unpacks", {
	skip: isRoot ? missing("umoci", "python3") : "umoci keeps owners only for root",
}, async () => {
	const layers = [
		sampleTar([
			{ name: "etc/", mode: "0000750\0", uid: "0000012\0" },
			{ name: "etc/settings", body: "root", mode: "0004755\0" },
			{ name: "etc/apt/list", body: "list" },
			{ name: "var/cache/one", body: "1" },
			{ name: "var/cache/two", body: "2", pax: { "SCHILY.xattr.user.note": "kept" } },
			{
				name: "usr/bin/ping",
				body: "ping",
				mode: "0000755\0",
				pax: { "SCHILY.xattr.security.capability": CAPABILITY },
			},
			{ name: "bin", type: "2", link: "usr/bin" },
		]),
		sampleTar([
			{ name: "var/cache/.wh.one" },
			{ name: "etc/apt/", mode: "0000700\0" },
			{ name: "etc/apt/.wh..wh..opq" },
			{ name: "etc/apt/new", body: "new" },
			{ name: "usr/bin/pong", type: "1", link: "usr/bin/ping" },
			{ name: "dev/zero", type: "3", device: [1, 5], mode: "0000666\0" },
		]),
		sampleTar([
			{ name: "bin/late", body: "late" },
			{ name: "etc/settings/", mode: "0000755\0" },
			{ name: "etc/settings/inside", body: "x" },
		]),
	];
	const [layout, bundle] = [place(), place()];
	writeLayout(layout, [{ layers: layers.map((tar) => ({ tar })), tag: "1" }]);
	execFileSync("umoci", ["unpack", "--image", `${layout}:1`, bundle], { stdio: "pipe" });
	const source = { kind: "oci-layout", path: layout, tag: "1" } as const;
	await using read = await readSource(source, { platform: "linux/amd64", scratchDirectory: place(), host });
	// umoci gives the root and folders that no layer speaks of the mode of its own making.
	const normal = (line: string) =>
		line.replace(/^("(?:|var|var\/cache|usr|usr\/bin|dev)") #\d+ \d+/, "$1").replace(/ #\d+ /, " ");
	assert.deepEqual(dumped(join(bundle, "rootfs")).map(normal), linesOf(read.tree).map(normal));
	const ping = [...entriesOf(read.tree)].filter(({ path }) => /^usr\/bin\/p[io]ng$/.test(path));
	assert.equal(ping[0]?.node, ping[1]?.node);
});

test("interrupted or failed, a squashfs that was begun is gone", async () => {
	const root = directoryNode();
	const meta = { ...IMPLIED_DIRECTORY, mode: 0o644 };
	const noise = Buffer.from(Array.from({ length: 1 << 20 }, (_, index) => (index * 2_654_435_761) >>> 13));
	for (let index = 0; index < 40; index += 1) {
		root.children.set(`f${index}`, { kind: "file", meta, content: bytesContent(noise) });
	}
	const stop = new AbortController();
	const path = place();
	const progress = () => stop.abort(new Error("enough"));
	const options = { format: "squashfs", path, epoch: EPOCH } as const;
	await assert.rejects(packRootfs({ root }, { ...options, signal: stop.signal, progress }), /enough/);
	assert.ok(!existsSync(path));
	const unreadable = { sizeBytes: 10, open: () => assert.fail("unreadable") };
	root.children.set("g", { kind: "file", meta, content: unreadable });
	await assert.rejects(packRootfs({ root }, options), /unreadable/);
	assert.ok(!existsSync(path));
	copyFileSync("/etc/hostname", path);
	await assert.rejects(packRootfs({ root: directoryNode() }, options), { code: "EEXIST" });
});

test("what squashfs can't hold is refused by name", async () => {
	const root = directoryNode();
	const xattrs = [{ name: "system.posix_acl_access", value: Buffer.alloc(4) }];
	root.children.set("acl", directoryNode({ ...IMPLIED_DIRECTORY, xattrs }));
	await assert.rejects(packRootfs({ root }, { format: "squashfs", path: place(), epoch: EPOCH }), {
		code: "rootfs-unpackable",
		message: /\/acl can't be in it: .*posix_acl_access/,
	});
	await packed({ root }, "erofs");
});
