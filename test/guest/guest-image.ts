import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type GuestArchitecture, type GuestKernel, guestKernel } from "./guest-kernel.ts";

/** A kernel, an initramfs with the guest in it and a disk with its hash tree, made once and kept in `build/test-cache`. */
export interface GuestImage {
	readonly architecture: GuestArchitecture;
	readonly kernel: string;
	readonly initramfs: string;
	readonly disk: string;
	readonly dataBytes: number;
	/** The words of the command line that are measured. */
	readonly words: string;
	readonly rootHash: string;
}

const ROOT = dirname(dirname(import.meta.dirname));
const CACHE = join(ROOT, "build", "test-cache", "guest");
const GNU = { amd64: "x86_64-linux-gnu", riscv64: "riscv64-linux-gnu" } as const;
const SALT = "0".repeat(64);
const BLOCK = 4096;

/** What keeps an image of this architecture from being made here, as a reason to skip; undefined when nothing does. */
export function missingFor(architecture: GuestArchitecture): string | undefined {
	const emulator = architecture === "amd64" ? "qemu-system-x86_64" : "qemu-system-riscv64";
	const compiler = `${GNU[architecture]}-gcc`;
	const programs = [emulator, compiler, "mkfs.erofs", "veritysetup", "cpio", "depmod", "busybox", "apt-get", "xz"];
	const absent = programs.filter(
		(name) => spawnSync("sh", ["-c", `PATH=$PATH:/usr/sbin:/sbin; command -v ${name}`]).status !== 0,
	);
	return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
}

function run(program: string, args: readonly string[], cwd = ROOT): string {
	const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C" };
	return execFileSync(program, args, { cwd, env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function digestOf(paths: readonly string[]): string {
	const hash = createHash("sha256");
	for (const path of paths) hash.update(readFileSync(path));
	return hash.digest("hex").slice(0, 16);
}

/** Made beside its place and moved there whole, so that tests which run at once do not see each other's halves. */
function once(path: string, make: (fresh: string) => void): string {
	if (existsSync(path)) return path;
	const fresh = `${path}.${process.pid}`;
	make(fresh);
	if (!existsSync(path)) renameSync(fresh, path);
	else if (fresh.startsWith(CACHE)) rmSync(fresh, { recursive: true });
	return path;
}

export function guestImage(architecture: GuestArchitecture): GuestImage {
	mkdirSync(CACHE, { recursive: true });
	const kernel = guestKernel(architecture, CACHE);
	run("bash", ["scripts/build-guest", architecture]);
	const guest = join(ROOT, "build", `vouch-guest-${architecture}`);
	const initramfs = once(join(CACHE, `initramfs-${architecture}-${digestOf([guest])}`), (fresh) =>
		packInitramfs(fresh, guest, kernel),
	);
	const actor = join(import.meta.dirname, "actor.c");
	const folder = once(join(CACHE, `root-${architecture}-${digestOf([actor])}`), (fresh) =>
		packRoot(fresh, architecture, actor),
	);
	const disk = join(folder, "disk");
	const rootHash = readFileSync(join(folder, "root-hash"), "utf8").trim();
	const dataBytes = Number(readFileSync(join(folder, "data-bytes"), "utf8"));
	const blocks = dataBytes / BLOCK;
	const words = `vouch.rootfs=erofs vouch.verity=1:sha256:4096:${blocks}:${blocks + 1}:${SALT}:${rootHash}`;
	return { architecture, kernel: kernel.image, initramfs, disk, dataBytes, words, rootHash };
}

function packInitramfs(path: string, guest: string, kernel: GuestKernel): void {
	const tree = `${path}.tree`;
	for (const folder of ["modules", "dev", "proc", "sys", "run", "root"])
		mkdirSync(join(tree, folder), { recursive: true });
	copyFileSync(guest, join(tree, "init"));
	chmodSync(join(tree, "init"), 0o755);
	for (const module of kernel.modules) copyFileSync(module, join(tree, "modules", module.replace(/.*\//, "")));
	writeFileSync(join(tree, "modules", "order"), kernel.modules.map((one) => `${one.replace(/.*\//, "")}\n`).join(""));
	run("sh", ["-c", `find . -mindepth 1 | sort | cpio --quiet -o -H newc -R 0:0 > '${path}'`], tree);
	if (tree.startsWith(CACHE)) rmSync(tree, { recursive: true });
}

/** One program that does what the tests ask for; and a shell, where this machine has one for it. */
function packRoot(folder: string, architecture: GuestArchitecture, actor: string): void {
	const tree = join(folder, "tree");
	const disk = join(folder, "disk");
	for (const path of ["bin", "etc", "mnt", "usr"]) mkdirSync(join(tree, path), { recursive: true });
	run(`${GNU[architecture]}-gcc`, ["-O2", "-Wall", "-Werror", "-static", actor, "-o", join(tree, "bin", "actor")]);
	writeFileSync(join(tree, "etc", "plain"), "no program\n");
	// Read by nothing but the test that breaks it.
	writeFileSync(join(tree, "etc", "victim"), Buffer.alloc(256 << 10, "measured "));
	if (architecture === "amd64") {
		copyFileSync("/bin/busybox", join(tree, "bin", "busybox"));
		for (const name of run("/bin/busybox", ["--list"]).split("\n"))
			if (name !== "" && name !== "busybox") symlinkSync("busybox", join(tree, "bin", name));
	}
	run("mkfs.erofs", ["-T0", "-U", "00000000-0000-4000-8000-000000000001", "--all-root", disk, tree]);
	const bytes = statSync(disk).size;
	const geometry = [`--hash-offset=${bytes}`, `--data-blocks=${bytes / BLOCK}`, "--data-block-size=4096"];
	const tool = ["format", disk, disk, ...geometry, "--hash-block-size=4096", `--salt=${SALT}`, "--hash=sha256"];
	run("veritysetup", [...tool, `--root-hash-file=${join(folder, "root-hash")}`]);
	writeFileSync(join(folder, "data-bytes"), String(bytes));
}

/** A disk of a folder's files, for a workspace. */
export function packFolder(tree: string, disk: string): void {
	run("mkfs.erofs", ["-T0", "--force-uid=1000", "--force-gid=1000", disk, tree]);
}

export function packScratch(disk: string): void {
	run("mkfs.ext4", ["-q", "-O", "^has_journal", disk, "64m"]);
}
