import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { RunId } from "../../../core/index.ts";
import { emptyFile, giveFile, shareFile } from "./jail.ts";
import { jailerArguments, jailOf } from "./jailer.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-jail-"));
after(() => rmSync(home, { recursive: true, force: true }));
const RUN = "01900000-0000-7000-8000-000000000000" as RunId;
const rootOnly = process.geteuid?.() === 0 ? false : "only root can give files to another user";

test("a jail shares the image's files, and owns its own", { skip: rootOnly }, () => {
	const jail = jailOf(RUN, join(home, "jails"), "/usr/bin/firecracker");
	const shared = join(home, "kernel");
	writeFileSync(shared, "kernel", { mode: 0o444 });
	shareFile(jail, "/kernel", shared);
	emptyFile(jail, "/firecracker.log");
	writeFileSync(join(jail.root, "scratch.img"), "scratch", { mode: 0o600 });
	giveFile(jail, "/scratch.img");
	const at = (name: string) => statSync(join(jail.root, name));
	assert.deepEqual([at("kernel").ino, at("kernel").uid], [statSync(shared).ino, 0]);
	assert.deepEqual([at("scratch.img").uid, at("scratch.img").gid], [jail.userId, jail.groupId]);
	assert.deepEqual([at("firecracker.log").size, at("firecracker.log").uid], [0, jail.userId]);
});

test("a file that the machine could not read, or that is not there, is refused by name", () => {
	const jail = jailOf(RUN, join(home, "refused"), "/usr/bin/firecracker");
	const secret = join(home, "secret");
	writeFileSync(secret, "x");
	chmodSync(secret, 0o600);
	for (const from of [secret, join(home, "none")]) {
		assert.throws(() => shareFile(jail, "/kernel", from), { code: "jail-not-made", message: /\/kernel/ });
	}
});

test("each run has a user of its own, that no account has, and names fit the jailer", () => {
	const runs = Array.from({ length: 200 }, (_, index) => `01900000-0000-7000-8000-${String(index).padStart(12, "0")}`);
	const jails = runs.map((run) => jailOf(run as RunId, "/base", "/opt/bin/firecracker-v1.8"));
	assert.equal(new Set(jails.map(({ userId }) => userId)).size, runs.length);
	for (const { id, userId, groupId, root } of jails) {
		assert.ok(userId === groupId && userId >= 2_000_000_000 && userId < 2 ** 31);
		// src/jailer of Firecracker: letters, digits and hyphens, at most 64.
		assert.match(id, /^[A-Za-z0-9-]{1,64}$/);
		assert.equal(root, `/base/firecracker-v1.8/${id}/root`);
	}
});

test("the jailer is told everything that takes rights away, and to stay where the supervisor sees it", () => {
	const programs = { unshare: "/bin/unshare", jailer: "/bin/jailer", firecracker: "/bin/firecracker" };
	const argv = jailerArguments(programs, jailOf(RUN, "/base", programs.firecracker), { fileBytes: 2 ** 30 });
	assert.deepEqual(argv.slice(0, 7), [
		"/bin/unshare",
		"--pid",
		"--fork",
		"--kill-child=SIGKILL",
		"--net",
		"--ipc",
		"--",
	]);
	const words = argv.join(" ");
	for (const wanted of ["--uid 2", "--gid 2", "--chroot-base-dir /base", "no-file=", "fsize=1073741824", "--exec-file"])
		assert.ok(words.includes(wanted), wanted);
	for (const unwanted of ["--daemonize", "--new-pid-ns", "--no-seccomp"]) assert.ok(!words.includes(unwanted));
});
