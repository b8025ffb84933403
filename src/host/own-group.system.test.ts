import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readFileSync, rmdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

const CGROUP2_MAGIC = 0x63677270;
const mount = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find(
	(path) => existsSync(path) && statfsSync(path).type === CGROUP2_MAGIC,
);
const skip =
	process.geteuid?.() !== 0 ? "only root can hand over a control group" : mount === undefined && "no cgroup v2 here";
const NODE_UID = 61_002;

/** As the user of a node, in a group of root's making: what it finds, and where it sits then. */
function settled(group: string): { readonly answer: string | null; readonly group: string } {
	// Loaded while it is root: the user of a node need not be able to read this folder.
	const script = `
		import(${JSON.stringify(join(import.meta.dirname, "own-group.ts"))}).then(({ settleInOwnGroup }) => {
			const { readFileSync, writeFileSync } = require("node:fs");
			writeFileSync(${JSON.stringify(join(group, "cgroup.procs"))}, String(process.pid));
			process.setgroups([]); process.setgid(${NODE_UID}); process.setuid(${NODE_UID});
			const answer = settleInOwnGroup() ?? null;
			const group = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))[1];
			process.stdout.write(JSON.stringify({ answer, group }));
		});`;
	return JSON.parse(execFileSync(process.execPath, ["-e", script], { encoding: "utf8", timeout: 30_000 }));
}

test("a group that was handed over gets a leaf for the node; one that was not stays as it is", { skip }, () => {
	const group = join(mount ?? "", `vouch-own-group-${process.pid}`);
	mkdirSync(group);
	try {
		assert.deepEqual(settled(group), { answer: null, group: `/${group.split("/").at(-1)}` });
		for (const path of [group, join(group, "cgroup.procs"), join(group, "cgroup.subtree_control")])
			chownSync(path, NODE_UID, NODE_UID);
		const found = settled(group);
		assert.deepEqual(found, { answer: group, group: `/${group.split("/").at(-1)}/vouch-agent` });
		assert.equal(readFileSync(join(group, "cgroup.procs"), "utf8"), "");
		rmdirSync(join(group, "vouch-agent"));
	} finally {
		rmdirSync(group);
	}
});
