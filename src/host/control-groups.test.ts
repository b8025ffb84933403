import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, rmdirSync } from "node:fs";
import { describe, it } from "node:test";
import { realHost } from "./real-host.ts";
import { bash, eventually, processesWith, runToEnd, specOf } from "./supervision-fixture.ts";

/** Version 2 as the kernel has it, also where version 1 holds the controllers that limits are made of: with one that it left. */
const unified = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find((path) => existsSync(`${path}/cgroup.controllers`));
const handedDown = unified === undefined ? "" : readFileSync(`${unified}/cgroup.subtree_control`, "utf8");
const row = (
	[
		["pids", "pids.max", "30"],
		["hugetlb", "hugetlb.2MB.max", "0"],
	] as const
).find(([controller]) => handedDown.trim().split(" ").includes(controller));

/** Where this machine lets us make groups with a memory and a process limit: version 2, or version 1's two trees. */
const layouts = {
	v2: { memory: "/sys/fs/cgroup", pids: "/sys/fs/cgroup", files: { memory: "memory.max", pids: "pids.max" } },
	v1: {
		memory: "/sys/fs/cgroup/memory",
		pids: "/sys/fs/cgroup/pids",
		files: { memory: "memory.limit_in_bytes", pids: "pids.max" },
	},
} as const;

function writableLayout() {
	for (const name of ["v2", "v1"] as const) {
		const { memory, pids } = layouts[name];
		const marker = name === "v2" ? `${memory}/cgroup.controllers` : `${memory}/memory.limit_in_bytes`;
		try {
			for (const folder of [memory, pids]) accessSync(folder, constants.W_OK);
			if (existsSync(marker)) return { name, ...layouts[name] };
		} catch {
			// Not this one.
		}
	}
	return undefined;
}

const layout = writableLayout();
const skip = layout === undefined ? "neither version 1 nor version 2 control groups are writable here" : false;
const name = () => `vouch-test-${randomBytes(6).toString("hex")}`;

describe("control groups", { skip }, () => {
	const { memory, pids, files, name: version } = layout ?? { ...layouts.v2, name: "v2" as const };
	/** One group for version 2, one in each tree for version 1. */
	const groupsOf = (id: string, memoryBytes: number, processes: number) =>
		version === "v2"
			? [
					{
						path: `${memory}/${id}`,
						files: [
							{ name: files.memory, value: String(memoryBytes) },
							{ name: files.pids, value: String(processes) },
						],
					},
				]
			: [
					{ path: `${memory}/${id}`, files: [{ name: files.memory, value: String(memoryBytes) }] },
					{ path: `${pids}/${id}`, files: [{ name: files.pids, value: String(processes) }] },
				];

	it("are joined by the program and all it starts, and gone afterwards", async () => {
		const id = name();
		const controlGroups = groupsOf(id, 64 << 20, 30);
		const run = await runToEnd(specOf(bash("bash -c 'cat /proc/self/cgroup; exit 0'"), { controlGroups }));
		assert.equal(run.cause, "program", run.message ?? "");
		assert.equal(run.stdout.split("\n").filter((line) => line.endsWith(`/${id}`)).length, controlGroups.length);
		for (const group of controlGroups) assert.equal(await realHost().exists(group.path), false);
	});

	it("that exist belong to another run: nothing starts, and that one stays", async () => {
		const id = name();
		const controlGroups = groupsOf(id, 64 << 20, 30);
		const live = await realHost().supervise(specOf(["/bin/sleep", "100"], { controlGroups }));
		const second = await runToEnd(specOf(bash("echo ran"), { controlGroups }));
		assert.deepEqual([second.cause, second.stdout], ["failed-to-start", ""]);
		assert.match(second.message ?? "", /could not be made: File exists/);
		assert.equal(await realHost().exists(`/proc/${live.programPid}`), true);
		live.kill();
		assert.equal((await live.ended).cause, "killed");
		assert.equal(await realHost().exists(controlGroups[0]?.path ?? ""), false);
	});

	it("end a program that needs more memory, and the reason is told", async () => {
		const controlGroups = groupsOf(name(), 48 << 20, 30);
		const eater = "import sys\nx=bytearray(200<<20)\nprint(len(x))";
		const run = await runToEnd(specOf(["/usr/bin/python3", "-c", eater], { controlGroups }));
		assert.deepEqual([run.cause, run.signal, run.stdout], ["out-of-memory", "SIGKILL", ""]);
		const below = await runToEnd(specOf(bash("kill -9 $$"), { controlGroups: groupsOf(name(), 48 << 20, 30) }));
		assert.deepEqual([below.cause, below.signal], ["program", "SIGKILL"]);
	});

	it("hold a fork bomb, which is gone at its end", async () => {
		const mark = name();
		const bomb = `bomb() { bomb | bomb & }; exec -a ${mark} bash -c 'b() { b | b & }; b; sleep 0.5' 2>/dev/null`;
		const run = await runToEnd(specOf(bash(bomb), { controlGroups: groupsOf(mark, 256 << 20, 40) }), (live) => {
			setTimeout(() => live.kill(), 700);
		});
		assert.ok(run.cause === "killed" || run.cause === "program");
		assert.deepEqual(await processesWith(mark), []);
	});

	it("made below by the program are removed with the rest", async () => {
		const id = name();
		const controlGroups = groupsOf(id, 64 << 20, 30);
		const below = controlGroups.map((group) => `${group.path}/a/b`).join(" ");
		const run = await runToEnd(specOf(bash(`mkdir -p ${below} && ls -d ${below} | wc -l`), { controlGroups }));
		assert.equal(run.stdout.trim(), String(controlGroups.length));
		for (const group of controlGroups) assert.ok(await eventually(async () => !(await realHost().exists(group.path))));
	});

	it("are refused outside a control group file system, and when a file cannot be set", async () => {
		const outside = await runToEnd(
			specOf(bash("echo ran"), { controlGroups: [{ path: "/tmp/vouch-group", files: [] }] }),
		);
		assert.match(outside.message ?? "", /not on a control group file system/);
		const id = name();
		const wrong = [{ path: `${memory}/${id}`, files: [{ name: "memory.nonsense", value: "1" }] }];
		const run = await runToEnd(specOf(bash("echo ran"), { controlGroups: wrong }));
		assert.deepEqual([run.cause, run.stdout], ["failed-to-start", ""]);
		assert.match(run.message ?? "", /memory\.nonsense could not be set/);
		assert.equal(await realHost().exists(`${memory}/${id}`), false);
	});
});

describe("control groups of version 2", {
	skip: row === undefined && "no controller of version 2 is handed down here",
}, () => {
	const [controller, file, value] = row ?? ["", "", ""];

	it("get a controller from the group above, which holds no process then; all below ends at once", async () => {
		const above = `${unified}/${name()}`;
		const path = `${above}/run`;
		const mark = name();
		const sleeper = `bash -c 'exec -a ${mark} sleep 1000'`;
		const script = `cat ${path}/${file} ${above}/cgroup.subtree_control; (echo $$ > ${above}/cgroup.procs) 2>&1 | grep -o busy
			mkdir ${path}/below; (echo $BASHPID > ${path}/below/cgroup.procs; setsid ${sleeper} & ${sleeper}) & echo ready; wait`;
		const controlGroups = [{ path, files: [{ name: file, value }] }];
		try {
			const run = await runToEnd(specOf(bash(script), { controlGroups }), (live) => {
				let said = "";
				live.stdout.on("data", (part: Buffer) => {
					said += part.toString();
				});
				void eventually(async () => said.includes("ready") && (await processesWith(mark)).length >= 2).then(() =>
					live.kill(),
				);
			});
			assert.deepEqual(
				[run.cause, run.stdout],
				["killed", `${value}\n${controller}\nbusy\nready\n`],
				run.message ?? "",
			);
			assert.deepEqual(await processesWith(mark), []);
			assert.equal(existsSync(path), false);
		} finally {
			rmdirSync(above);
		}
	});
});
