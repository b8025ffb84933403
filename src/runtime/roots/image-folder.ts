import { chmod, chown, lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { hexOfDigest } from "../../core/index.ts";
import type { Host } from "../../host/index.ts";
import type { FolderRoot, ImageRoot } from "../driver.ts";
import { failures } from "../failures.ts";
import { cachedRoot } from "./cache.ts";
import { type PrepareOptions, rootEntries } from "./folder-root.ts";

const UNPACK_TIMEOUT_MS = 600_000;
/** As whom root unpacks: a file system made elsewhere is read by a program that may do nothing. */
const NOBODY = 65_534;

/**
 * The root of a built image as a folder, for drivers that show folders. Its digest stays the image's: the disk is checked
 * against it by whoever put it into the store. Throws VouchError `image-not-readable`.
 */
export async function unpackImage(reference: string, image: ImageRoot, options: PrepareOptions): Promise<FolderRoot> {
	const directory = await cachedRoot(options.cacheDirectory, `image-${hexOfDigest(image.digest)}`, async (folder) => {
		const problem = await unpack(image, folder, options.host);
		if (problem !== null) throw failures.fail("image-not-readable", { reference, reason: problem });
		await tame(folder);
	});
	return { kind: "folder", directory, digest: image.digest, entries: await rootEntries(directory) };
}

/** What was wrong, or null. */
async function unpack(image: ImageRoot, folder: string, host: Host): Promise<string | null> {
	const isErofs = image.manifest.rootfsFormat === "erofs";
	const names = ["bwrap", "setpriv", isErofs ? "fsck.erofs" : "unsquashfs"] as const;
	const [bwrap, setpriv, program] = await Promise.all(names.map((name) => host.findProgram(name)));
	if (program === undefined) {
		const from = isErofs ? "erofs-utils" : "squashfs-tools";
		return `unpacking it takes ${names[2]}: run \`apt-get install -y ${from}\``;
	}
	if (bwrap === undefined || setpriv === undefined) return "unpacking it takes bwrap and setpriv";
	await mkdir(folder, { mode: 0o755 });
	const isRoot = host.userId === 0;
	if (isRoot) await chown(folder, NOBODY, NOBODY);
	const command = isErofs
		? [program, "--extract=/out", "--overwrite", "--no-preserve-owner", "--preserve-perms", "/disk"]
		: [
				program,
				"-force",
				"-quiet",
				"-no-progress",
				"-no-xattrs",
				"-ignore-errors",
				"-no-exit-code",
				"-dest",
				"/out",
				"/disk",
			];
	const rights = ["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--bounding-set=-all"];
	const ran = await host.run(
		[
			bwrap,
			...["ipc", "pid", "net", "uts", "cgroup", ...(isRoot ? [] : ["user"])].map((name) => `--unshare-${name}`),
			...["--die-with-parent", "--new-session", "--clearenv", "--ro-bind", "/usr", "/usr"],
			...["lib", "lib64", "bin", "sbin"].flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]),
			...["--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"],
			...["--ro-bind", image.files.disk, "/disk", "--bind", folder, "/out", "--chdir", "/"],
			...(isRoot ? [setpriv, ...rights, "--inh-caps=-all", "--no-new-privs", "--"] : []),
			...command,
		],
		{ timeoutMs: UNPACK_TIMEOUT_MS },
	);
	if (ran.exitCode === 0) return null;
	return ran.stderr.trim().split("\n").at(-1)?.slice(0, 300) || `${names[2]} ended with ${ran.exitCode}`;
}

/** No setuid bits, and every folder can be entered and removed again by whoever unpacked it. */
async function tame(folder: string): Promise<void> {
	for (const entry of await readdir(folder, { withFileTypes: true })) {
		const path = join(folder, entry.name);
		if (entry.isSymbolicLink()) continue;
		const { mode } = await lstat(path);
		const wanted = entry.isDirectory() ? (mode & 0o1777) | 0o700 : mode & 0o777;
		if ((mode & 0o7777) !== wanted) await chmod(path, wanted);
		if (entry.isDirectory()) await tame(path);
	}
}
