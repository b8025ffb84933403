import assert from "node:assert/strict";
import {
	chmodSync,
	linkSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	renameSync,
	rmSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { applyChanges } from "./changes.ts";
import {
	file,
	folder,
	inPieces,
	link,
	listing,
	opaque,
	removed,
	type SentRecord,
	streamBytes,
} from "./changes-fixture.ts";
import { buildDisk } from "./disk.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-conflict-"));
after(() => rmSync(home, { recursive: true, force: true }));

/** A workspace that a guest was shown; what `meanwhile` does happens on the host before the guest's changes come back. */
async function afterwards(
	files: Readonly<Record<string, string>>,
	meanwhile: (workspace: string) => void,
	records: readonly SentRecord[],
) {
	const root = mkdtempSync(join(home, "w-"));
	const [workspace, keep] = [join(root, "workspace"), join(root, "keep")];
	for (const path of [workspace, keep]) mkdirSync(path);
	for (const [path, contents] of Object.entries(files)) {
		mkdirSync(dirname(join(workspace, path)), { recursive: true });
		writeFileSync(join(workspace, path), contents, { mode: 0o644 });
	}
	const { baseline } = await buildDisk({
		path: join(root, "disk"),
		parts: [{ source: workspace, at: "/" }],
		owner: { userId: 1000, groupId: 1000 },
	});
	assert.ok(baseline !== null);
	meanwhile(workspace);
	const done = await applyChanges(inPieces(streamBytes(records)), {
		folder: workspace,
		protected: [],
		baseline,
		keepDirectory: keep,
	});
	return { done, now: listing(workspace), keep };
}

test("nothing is in conflict when nobody else changed anything", async () => {
	const { done, now } = await afterwards({ a: "1", "d/b": "2", "d/e/c": "3", gone: "4" }, () => {}, [
		file("a"),
		opaque("d"),
		file("d/x"),
		removed("gone"),
		file("fresh"),
	]);
	assert.equal(done.refusedCount, 0);
	assert.deepEqual(now, ["a file 644 new", "d folder 755", "d/x file 644 new", "fresh file 644 new"]);
});

test("a file that the host changed stays as it is, and the guest's version is kept", async () => {
	const { done, now } = await afterwards({ a: "old", b: "old" }, (at) => writeFileSync(join(at, "a"), "the host's"), [
		file("a", "the guest's"),
		file("b", "the guest's"),
	]);
	assert.deepEqual(now, ["a file 644 the host's", "b file 644 the guest's"]);
	const [refused] = done.refused;
	assert.deepEqual([refused?.path, refused?.reason], ["a", "conflict"]);
	assert.equal(readFileSync(refused?.keptAs ?? "", "utf8"), "the guest's");
});

test("what the host made, exchanged or put inside a removed folder stays", async () => {
	const { done, now } = await afterwards(
		{ "d/a": "1", "e/a": "1", "k/a": "1", l: "1" },
		(at) => {
			writeFileSync(join(at, "made"), "the host's");
			writeFileSync(join(at, "d/made"), "the host's");
			writeFileSync(join(at, "e/a"), "longer than before");
			renameSync(join(at, "k"), join(at, "elsewhere"));
			writeFileSync(join(at, "k"), "a file now");
			unlinkSync(join(at, "l"));
			symlinkSync("/etc/passwd", join(at, "l"));
		},
		[file("made"), removed("d"), opaque("e"), folder("k"), file("k/a"), file("l")],
	);
	assert.deepEqual(now, [
		"d folder 755",
		"d/a file 644 1",
		"d/made file 644 the host's",
		"e folder 755",
		"e/a file 644 longer than before",
		"elsewhere folder 755",
		"elsewhere/a file 644 1",
		"k file 644 a file now",
		"l -> /etc/passwd",
		"made file 644 the host's",
	]);
	assert.deepEqual(
		done.refused.map(({ path, reason, keptAs }) => [path, reason, keptAs !== null]),
		[
			["made", "conflict", true],
			["d", "conflict", false],
			["e/a", "conflict", false],
			["k", "conflict", false],
			["k/a", "conflict", true],
			["l", "conflict", true],
		],
	);
});

test("what the host removed comes back when the guest changed it, and stays gone when it removed it too", async () => {
	const { done, now } = await afterwards(
		{ "d/a": "1", b: "1", c: "1" },
		(at) => {
			rmSync(join(at, "d"), { recursive: true });
			for (const name of ["b", "c"]) unlinkSync(join(at, name));
		},
		[folder("d"), file("d/a"), removed("b"), file("c")],
	);
	assert.equal(done.refusedCount, 0);
	assert.deepEqual(now, ["c file 644 new", "d folder 755", "d/a file 644 new"]);
});

test("several names of one file can all be changed, and a mode changed on the host is no conflict", async () => {
	const { done } = await afterwards(
		{ a: "1" },
		(at) => {
			linkSync(join(at, "a"), join(at, "b"));
			rmSync(join(at, "b"));
			chmodSync(join(at, "a"), 0o600);
		},
		[file("a"), link("z", "a")],
	);
	assert.equal(done.refusedCount, 0);
});

test("nothing is brought into a folder that took the workspace's place", async () => {
	const meanwhile = (at: string) => {
		renameSync(at, `${at}-away`);
		mkdirSync(at);
	};
	await assert.rejects(afterwards({ a: "1" }, meanwhile, [file("a")]), { code: "workspace-exchanged" });
});

test("a list that removes everything and leaves nothing is not followed", async () => {
	const files = { "src/a": "1", "src/b": "2", "README.md": "3", "vouch.policy.yaml": "4" };
	const all = ["README.md", "src", "vouch.policy.yaml"].map((path) => removed(path));
	const { done, now } = await afterwards(files, () => {}, all);
	assert.deepEqual(done.refused, [{ path: ".", reason: "removes-everything", keptAs: null }]);
	assert.equal(now.filter((line) => line.includes(" file ")).length, 4);
	const folderAlone = await afterwards({ "src/a": "1" }, () => {}, [removed("src")]);
	assert.equal(folderAlone.done.refused[0]?.reason, "removes-everything");
	const replaced = await afterwards(files, () => {}, [...all, file("result", "42")]);
	assert.deepEqual([replaced.done.refusedCount, replaced.now], [0, ["result file 644 42"]]);
	const single = await afterwards({ a: "1" }, () => {}, [removed("a")]);
	assert.deepEqual([single.done.removed, single.now], [1, []]);
	const most = await afterwards(files, () => {}, all.slice(0, 2));
	assert.deepEqual(most.now, ["vouch.policy.yaml file 644 4"]);
});
