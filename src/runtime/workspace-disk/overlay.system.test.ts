import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
	appendFileSync,
	chmodSync,
	cpSync,
	linkSync,
	mkdirSync,
	mkdtempSync,
	renameSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { applyChanges } from "./changes.ts";
import { inPieces, listing } from "./changes-fixture.ts";
import { buildDisk } from "./disk.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-overlay-"));
after(() => rmSync(home, { recursive: true, force: true }));

/** What a guest does after COLLECT, in as many words: the upper layer of an overlay as a changes stream. */
const COLLECT = `
import os, stat, struct, sys
out = sys.stdout.buffer
def record(kind, path, status, body=b""):
    mode, time = (status.st_mode & 0o7777, status.st_mtime_ns) if status else (0, 0)
    out.write(struct.pack("<cBHIQq", kind, 0, len(path), mode, len(body), time) + path + body)
def walk(folder, prefix):
    for name in os.listdir(folder):
        inner, path = folder + b"/" + name, prefix + name
        status = os.lstat(inner)
        if stat.S_ISDIR(status.st_mode):
            try: opaque = os.getxattr(inner, "trusted.overlay.opaque") == b"y"
            except OSError: opaque = False
            record(b"O" if opaque else b"D", path, status)
            walk(inner, path + b"/")
        elif stat.S_ISREG(status.st_mode): record(b"F", path, status, open(inner, "rb").read())
        elif stat.S_ISLNK(status.st_mode): record(b"L", path, status, os.readlink(inner))
        else: record(b"X" if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0 else b"S", path, status)
walk(os.fsencode(sys.argv[1]), b"")
record(b"E", b"", None)
`;

type Operation = readonly [
	kind: "write" | "append" | "remove" | "folder" | "link" | "rename" | "mode" | "hard-link",
	path: string,
	other: string,
];

/** Few names, so that they meet: files become folders, folders links, and removed ones come back. */
const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const operations: fc.Arbitrary<readonly Operation[]> = fc.array(
	fc.tuple(
		fc.constantFrom("write", "append", "remove", "remove", "folder", "folder", "link", "rename", "mode", "hard-link"),
		path,
		path,
	),
	{ maxLength: 25 },
);

/** Many are not possible just then; those that are, are done. */
function perform(root: string, [kind, name, otherName]: Operation): void {
	const [at, other] = [join(root, name), join(root, otherName)];
	try {
		if (kind === "write") writeFileSync(at, `${name} ${otherName}`);
		else if (kind === "append") appendFileSync(at, otherName);
		else if (kind === "remove") rmSync(at, { recursive: true });
		else if (kind === "folder") mkdirSync(at, { recursive: true });
		else if (kind === "link") symlinkSync(otherName, at);
		else if (kind === "mode") chmodSync(at, otherName.length % 2 === 0 ? 0o700 : 0o755);
		else if (kind === "rename") renameSync(at, other);
		else linkSync(at, other);
	} catch {
		// Not possible as things stand.
	}
}

function overlayRefusal(): string | false {
	if (process.geteuid?.() !== 0) return "only root can mount an overlay";
	const root = mkdtempSync(join(home, "probe-"));
	const refusal = mountOverlay(root);
	if (refusal === null) execFileSync("umount", [join(root, "merged")]);
	return refusal ?? false;
}

function mountOverlay(root: string): string | null {
	for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(join(root, name), { recursive: true });
	const layers = `lowerdir=${root}/lower,upperdir=${root}/upper,workdir=${root}/work`;
	const words = ["-t", "overlay", "-o", `${layers},redirect_dir=off,metacopy=off,index=off`, "overlay"];
	const mounted = spawnSync("mount", [...words, join(root, "merged")], { encoding: "utf8" });
	return mounted.status === 0 ? null : mounted.stderr.trim();
}

test("whatever is done on an overlay of the workspace, the workspace looks like it afterwards", {
	skip: overlayRefusal(),
}, async () => {
	await fc.assert(
		fc.asyncProperty(operations, operations, async (before, during) => {
			const root = mkdtempSync(join(home, "o-"));
			const [workspace, merged] = [join(root, "workspace"), join(root, "merged")];
			mkdirSync(workspace);
			// No operation names it: a run that leaves nothing at all is refused.
			writeFileSync(join(workspace, "stays"), "");
			for (const operation of before) perform(workspace, operation);
			cpSync(workspace, join(root, "lower"), { recursive: true, verbatimSymlinks: true });
			const { baseline } = await buildDisk({
				path: join(root, "disk"),
				parts: [{ source: workspace, at: "/" }],
				owner: { userId: 1000, groupId: 1000 },
			});
			assert.equal(mountOverlay(root), null);
			try {
				for (const operation of during) perform(merged, operation);
				const stream = execFileSync("python3", ["-c", COLLECT, join(root, "upper")]);
				const done = await applyChanges(inPieces(stream, 1000), {
					folder: workspace,
					protected: [],
					baseline,
					keepDirectory: root,
				});
				assert.deepEqual(done.refused, []);
				assert.deepEqual(listing(workspace), listing(merged));
			} finally {
				execFileSync("umount", [merged]);
				rmSync(root, { recursive: true });
			}
		}),
		{ numRuns: 20 },
	);
});
