import assert from "node:assert/strict";
import {
	chmodSync,
	chownSync,
	linkSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { VouchError } from "../../core/index.ts";
import { applyChanges, type ChangesRequest } from "./changes.ts";
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

const home = mkdtempSync(join(tmpdir(), "vouch-changes-"));
after(() => rmSync(home, { recursive: true, force: true }));

interface Place {
	readonly workspace: string;
	readonly outside: string;
	readonly keep: string;
}

/** `path: contents`; a path with a slash at the end is an empty folder. */
function place(files: Readonly<Record<string, string>> = {}): Place {
	const root = mkdtempSync(join(home, "p-"));
	const [workspace, outside, keep] = ["workspace", "outside", "keep"].map((name) => join(root, name)) as [
		string,
		string,
		string,
	];
	for (const path of [workspace, outside, keep]) mkdirSync(path);
	writeFileSync(join(outside, "secret"), "of the host");
	for (const [path, contents] of Object.entries(files)) {
		const absolute = join(workspace, path);
		mkdirSync(path.endsWith("/") ? absolute : dirname(absolute), { recursive: true });
		if (!path.endsWith("/")) writeFileSync(absolute, contents, { mode: 0o644 });
	}
	return { workspace, outside, keep };
}

function apply({ workspace, keep }: Place, records: readonly SentRecord[], more: Partial<ChangesRequest> = {}) {
	const request = { folder: workspace, protected: [], baseline: null, keepDirectory: keep, ...more };
	return applyChanges(inPieces(streamBytes(records)), request);
}

test("files, folders, links and removals arrive, and nothing else is touched", async () => {
	const at = place({ "same/file": "same", edited: "old", gone: "x", "tree/deep/file": "x" });
	const before = statSync(join(at.workspace, "same/file"), { bigint: true });
	const done = await apply(at, [
		file("edited", "new contents", 0o600),
		removed("gone"),
		folder("new", 0o750),
		file("new/tool", "#!", 0o755),
		link("new/l", "tool"),
		removed("tree"),
	]);
	assert.deepEqual(listing(at.workspace), [
		"edited file 600 new contents",
		"new folder 750",
		"new/l -> tool",
		"new/tool file 755 #!",
		"same folder 755",
		"same/file file 644 same",
	]);
	assert.deepEqual(done, {
		files: 2,
		folders: 1,
		links: 1,
		removed: 2,
		bytes: 14,
		refused: [],
		refusedCount: 0,
		skipped: [],
		skippedCount: 0,
	});
	assert.deepEqual(statSync(join(at.workspace, "same/file"), { bigint: true }).ctimeNs, before.ctimeNs);
	assert.equal(statSync(join(at.workspace, "edited")).mtimeMs, 1_600_000_000_000);
	assert.deepEqual(readdirSync(at.keep), [], "nothing waits any more");
});

test("an opaque folder loses what the guest did not put there, all the way down", async () => {
	const at = place({ "d/old": "1", "d/kept": "2", "d/e/old": "3", "d/e/f/old": "4" });
	await apply(at, [opaque("d"), file("d/kept", "new"), folder("d/e"), file("d/e/new", "5")]);
	assert.deepEqual(listing(at.workspace), [
		"d folder 755",
		"d/e folder 755",
		"d/e/new file 644 5",
		"d/kept file 644 new",
	]);
});

test("any kind of entry takes the place of any other", async () => {
	const kinds = ["file", "folder", "link"] as const;
	for (const from of kinds) {
		for (const to of kinds) {
			const at = place();
			const path = join(at.workspace, "x");
			if (from === "file") writeFileSync(path, "old");
			else if (from === "link") symlinkSync(at.outside, path);
			else {
				mkdirSync(join(path, "deep"), { recursive: true });
				writeFileSync(join(path, "deep/file"), "old");
			}
			const records = { file: [file("x")], folder: [opaque("x"), file("x/y")], link: [link("x", "/etc")] }[to];
			const done = await apply(at, records);
			const expected = {
				file: ["x file 644 new"],
				folder: ["x folder 755", "x/y file 644 new"],
				link: ["x -> /etc"],
			}[to];
			assert.deepEqual(listing(at.workspace), expected, `${from} to ${to}`);
			assert.equal(done.refusedCount, 0);
			assert.deepEqual(listing(at.outside), ["secret file 644 of the host"]);
		}
	}
});

test("set-user-id, set-group-id and sticky bits of files never arrive, those of folders stay the host's", async () => {
	const at = place({ "shared/": "" });
	chmodSync(join(at.workspace, "shared"), 0o2775);
	await apply(at, [
		file("tool", "x", 0o6755),
		file("stuck", "x", 0o1777),
		folder("made", 0o7777),
		folder("shared", 0o4770),
	]);
	assert.deepEqual(listing(at.workspace), [
		"made folder 777",
		"shared folder 2770",
		"stuck file 777 x",
		"tool file 755 x",
	]);
});

test("a link of the host is replaced, never followed", async () => {
	const at = place();
	for (const name of ["file", "folder", "opaque", "gone"]) symlinkSync(at.outside, join(at.workspace, name));
	symlinkSync(join(at.outside, "secret"), join(at.workspace, "to-file"));
	const done = await apply(at, [
		file("file"),
		folder("folder"),
		file("folder/planted"),
		opaque("opaque"),
		file("opaque/planted"),
		removed("gone"),
		file("to-file", "overwritten"),
	]);
	assert.equal(done.refusedCount, 0);
	assert.deepEqual(listing(at.outside), ["secret file 644 of the host"]);
	assert.deepEqual(listing(at.workspace), [
		"file file 644 new",
		"folder folder 755",
		"folder/planted file 644 new",
		"opaque folder 755",
		"opaque/planted file 644 new",
		"to-file file 644 overwritten",
	]);
});

test("another name of a file, inside or outside, keeps its contents", async () => {
	const at = place({ a: "both" });
	linkSync(join(at.workspace, "a"), join(at.workspace, "b"));
	linkSync(join(at.outside, "secret"), join(at.workspace, "c"));
	await apply(at, [file("a", "changed", 0o777), file("c", "changed", 0o777)]);
	assert.deepEqual(listing(at.workspace), ["a file 777 changed", "b file 644 both", "c file 777 changed"]);
	assert.deepEqual(listing(at.outside), ["secret file 644 of the host"]);
});

test("protected entries stay, whatever is tried on them", async () => {
	const attempts: readonly (readonly SentRecord[])[] = [
		[file("vouch.policy.yaml", "allow everything")],
		[removed("vouch.policy.yaml")],
		[link("vouch.policy.yaml", "mine.yaml")],
		[opaque("vouch.policy.yaml"), file("vouch.policy.yaml/x")],
		[folder("rules", 0o777), file("rules/one"), file("rules/two")],
		[opaque("rules")],
		[removed("rules")],
	];
	for (const records of attempts) {
		const at = place({ "vouch.policy.yaml": "deny", "rules/one": "deny", other: "x" });
		const before = listing(at.workspace);
		const done = await apply(at, [...records, file("zz")], { protected: ["vouch.policy.yaml", "rules"] });
		assert.deepEqual(listing(at.workspace), [...before, "zz file 644 new"]);
		assert.equal(done.refusedCount, records.length);
		assert.ok(done.refused.every(({ reason }) => reason === "protected"));
	}
});

test("a stream that is refused leaves the folder untouched, up to its last byte", async () => {
	const at = place({ a: "1", "d/b": "2" });
	const before = listing(at.workspace);
	const good = [file("a", "new"), opaque("d"), removed("e")];
	for (const bad of [file("../x"), file("d/nowhere/x"), { ...file("x"), size: 2n ** 60n }]) {
		await assert.rejects(apply(at, [...good, bad]), VouchError);
	}
	const whole = streamBytes(good);
	for (const bytes of [0, 10, 30, whole.length - 1]) {
		const cut = applyChanges(inPieces(whole.subarray(0, bytes)), {
			folder: at.workspace,
			protected: [],
			baseline: null,
			keepDirectory: at.keep,
		});
		await assert.rejects(cut, { code: "changes-cut-short" });
	}
	assert.deepEqual(listing(at.workspace), before);
	assert.deepEqual(readdirSync(at.keep), []);
});

test("a guest that stands still, or sends a little for ever, is given up in time", async () => {
	const at = place();
	async function* silent(): AsyncGenerator<Uint8Array> {
		yield streamBytes([]).subarray(0, 1);
		await new Promise((resolve) => setTimeout(resolve, 5000).unref());
	}
	async function* dripping(): AsyncGenerator<Uint8Array> {
		const bytes = streamBytes([file("a", Buffer.alloc(10_000))]);
		for (const byte of bytes) {
			await new Promise((resolve) => setTimeout(resolve, 5));
			yield Buffer.from([byte]);
		}
	}
	const request = { folder: at.workspace, protected: [], baseline: null, keepDirectory: at.keep };
	const startedMs = performance.now();
	await assert.rejects(applyChanges(silent(), { ...request, limits: { stallTimeoutMs: 50 } }), {
		code: "changes-timed-out",
	});
	await assert.rejects(applyChanges(dripping(), { ...request, limits: { receiveTimeoutMs: 100 } }), {
		code: "changes-timed-out",
	});
	const abort = new AbortController();
	setTimeout(() => abort.abort(new Error("told to stop")), 50);
	await assert.rejects(applyChanges(silent(), { ...request, signal: abort.signal }), /told to stop/);
	assert.ok(performance.now() - startedMs < 20_000);
	assert.deepEqual(listing(at.workspace), []);
});

test("names that are not text arrive byte for byte, and are told in a form that a terminal can show", async () => {
	const at = place();
	const done = await apply(
		at,
		[folder("d\xff"), file("d\xff/\xe9\x01\x1b[2J", "x"), { kind: "S", path: "pipe\x07" }, file("p\xfe", "y")],
		{ protected: [] },
	);
	assert.deepEqual(listing(at.workspace), ["d\xff folder 755", "d\xff/\xe9\x01\x1b[2J file 644 x", "p\xfe file 644 y"]);
	assert.deepEqual(done.skipped, ["pipe\\x07"]);
	assert.equal(done.skippedCount, 1);
});

test("a file of zeros takes no room on the host", async () => {
	const at = place();
	const bytes = Buffer.alloc(32 * 2 ** 20);
	bytes.write("end", 5 * 2 ** 20);
	await apply(at, [file("sparse", bytes), file("all-zero", Buffer.alloc(3 * 2 ** 20))]);
	assert.ok(readFileSync(join(at.workspace, "sparse")).equals(bytes));
	assert.equal(statSync(join(at.workspace, "all-zero")).size, 3 * 2 ** 20);
	assert.ok(statSync(join(at.workspace, "sparse")).blocks * 512 < 4 * 2 ** 20);
	assert.equal(statSync(join(at.workspace, "all-zero")).blocks, 0);
});

test("a read-only folder takes what its new mode allows, and has that mode in the end", async () => {
	const at = place({ "locked/a": "1" });
	chmodSync(join(at.workspace, "locked"), 0o555);
	utimesSync(join(at.workspace, "locked"), 1, 1);
	await asOrdinaryUser(at, async () => {
		const refused = await apply(at, [folder("locked", 0o555), file("locked/b")]);
		assert.deepEqual(refused.refused, [{ path: "locked/b", reason: "not-permitted", keptAs: null }]);
		await apply(at, [folder("locked", 0o500), file("locked/b")]);
	});
	assert.deepEqual(listing(at.workspace), ["locked folder 500", "locked/a file 644 1", "locked/b file 644 new"]);
	assert.equal(lstatSync(join(at.workspace, "locked")).mtimeMs, 1_600_000_000_000);
});

/** Root may write everywhere: these cases need a user who may not. */
async function asOrdinaryUser({ workspace, keep }: Place, act: () => Promise<void>): Promise<void> {
	if (process.geteuid?.() !== 0) return act();
	const user = 65_534;
	chmodSync(home, 0o755);
	chmodSync(dirname(workspace), 0o755);
	for (const path of [workspace, keep]) {
		chownSync(path, user, user);
		for (const name of readdirSync(path, { recursive: true, encoding: "utf8" }))
			chownSync(join(path, name), user, user);
	}
	process.seteuid?.(user);
	try {
		await act();
	} finally {
		process.seteuid?.(0);
	}
}

test("what root brings back belongs to the owner of the workspace", {
	skip: process.geteuid?.() === 0 ? false : "only root can give files away",
}, async () => {
	const at = place({ mine: "x" });
	chownSync(at.workspace, 1234, 1235);
	await apply(at, [folder("d"), file("d/f"), link("d/l", "/etc/passwd"), file("mine")]);
	for (const path of ["d", "d/f", "d/l", "mine"]) {
		const { uid, gid } = lstatSync(join(at.workspace, path));
		assert.deepEqual([path, uid, gid], [path, 1234, 1235]);
	}
	assert.equal(statSync("/etc/passwd").uid, 0);
});

test("a folder that a process of the host exchanges for a link all the time leads nowhere", async () => {
	const at = place({ "d/old": "x" });
	const swapper = new Worker(
		`const { workerData: { workspace, outside } } = require("node:worker_threads");
		const fs = require("node:fs");
		const d = workspace + "/d", away = workspace + "/away";
		while (true) {
			try { fs.renameSync(d, away); } catch {}
			try { fs.symlinkSync(outside, d); } catch {}
			try { fs.unlinkSync(d); } catch {}
			try { fs.renameSync(away, d); } catch {}
		}`,
		{ eval: true, workerData: at },
	);
	const stopped = new Promise((resolve) => swapper.once("exit", resolve));
	try {
		const records = [
			folder("d"),
			file("d/planted"),
			removed("d/old"),
			opaque("d/e"),
			file("d/e/planted"),
			removed("d/secret"),
		];
		for (let round = 0; round < 150; round += 1) await apply(at, records);
	} finally {
		await swapper.terminate();
		await stopped;
	}
	assert.deepEqual(listing(at.outside), ["secret file 644 of the host"]);
});

test("what is left of a folder whose descriptors ran out of depth is said", async () => {
	const at = place();
	const paths = Array.from({ length: 300 }, (_, index) => Array.from({ length: index + 1 }, () => "d").join("/"));
	const done = await apply(at, [...paths.map((path) => folder(path)), file("after")]);
	assert.ok(done.refusedCount >= 40 && done.refused.every(({ reason }) => reason === "too-deep"));
	assert.ok(readdirSync(at.workspace).includes("after"));
	renameSync(join(at.workspace, "d"), join(at.outside, "d"));
});

test("fifty thousand entries are brought in without holding up the program", async () => {
	const at = place();
	const records = Array.from({ length: 50 }, (_, outer) => [
		folder(`d${outer}`),
		...Array.from({ length: 1000 }, (_unused, inner) => removed(`d${outer}/f${inner}`)),
	]).flat();
	let ticks = 0;
	const timer = setInterval(() => (ticks += 1), 10);
	const done = await apply(at, records);
	clearInterval(timer);
	assert.equal(done.folders, 50);
	assert.ok(ticks > 3, `${ticks} ticks`);
});
