import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RunId } from "../../core/index.ts";
import { fakeHost } from "../../host/index.ts";
import { mountPointsOf } from "../view/index.ts";
import { hardLimitsOf, hierarchiesOf, type LimitFacts } from "./facts.ts";
import { planLimits, probeLimits, removeControlGroups } from "./index.ts";

const RUN = "01900000-0000-7000-8000-000000000000" as RunId;
const NONE: LimitFacts = { controllers: {}, unifiedDirectory: null, hybrid: null, user: "root", hardLimits: {} };
const WANTED = {
	cpuMillicores: 500,
	memoryMiB: 64,
	processes: 10,
	openFiles: 100,
	diskWriteMiB: 8,
	outputBytes: 1000,
	timeoutMs: 1000,
};

test("each limit is either enforced or unmet, and what was not asked for is said", () => {
	const keys = fc.record(
		Object.fromEntries(Object.entries(WANTED).map(([key, value]) => [key, fc.constantFrom(value, null)])),
	);
	const directory = { version: 2 as const, directory: "/cg", optionalFiles: [] };
	const controllers = fc.record(
		{ cpu: fc.constant(directory), memory: fc.constant(directory), pids: fc.constant(directory) },
		{ requiredKeys: [] },
	);
	fc.assert(
		fc.property(keys, controllers, (limits, found) => {
			const facts = { ...NONE, controllers: found as LimitFacts["controllers"] };
			const planned = planLimits(limits as typeof WANTED, facts, RUN, { processes: 2, userNamespace: "own" });
			const spoken = [...planned.enforced, ...planned.notEnforced, ...planned.unmet].map(({ limit }) => limit).sort();
			assert.deepEqual(spoken, Object.keys(WANTED).sort());
			for (const { limit } of planned.notEnforced) assert.equal(limits[limit], null);
		}),
		{ numRuns: 200 },
	);
});

test("one group per hierarchy holds all of its limits, and never a core dump", () => {
	const at = (directory: string) => ({
		version: 1 as const,
		directory,
		optionalFiles: ["memory.memsw.limit_in_bytes"],
	});
	const facts = { ...NONE, controllers: { cpu: at("/c"), memory: at("/m"), pids: at("/p") }, unifiedDirectory: "/u" };
	const planned = planLimits(WANTED, facts, RUN, { processes: 2, userNamespace: "own" });
	assert.deepEqual(
		planned.controlGroups.map(({ path, files }) => [path.split("/")[1], files.map(({ value }) => value)]),
		[
			["c", ["100000", "50000"]],
			["m", [String(64 * 2 ** 20), String(64 * 2 ** 20)]],
			["p", ["12"]],
			["u", []],
		],
	);
	assert.ok(planned.resourceLimits.some(({ name, value }) => name === "CORE" && value === 0));
});

test("without control groups an ordinary user's processes are held by RLIMIT_NPROC in a namespace of their own", () => {
	const ordinary: LimitFacts = { ...NONE, user: "ordinary" };
	const limits = { ...WANTED, cpuMillicores: null, memoryMiB: null };
	const planned = planLimits(limits, ordinary, RUN, { processes: 2, userNamespace: "own" });
	assert.deepEqual(planned.unmet, []);
	assert.equal(planned.resourceLimits.find(({ name }) => name === "NPROC")?.value, (WANTED.processes ?? 0) + 2);
	for (const facts of [NONE, ordinary]) {
		const elsewhere = planLimits(limits, facts, RUN, { processes: 0, userNamespace: "shared" });
		assert.deepEqual(
			elsewhere.unmet.map(({ limit }) => limit),
			["processes"],
		);
	}
});

test("a hard limit that is lower already is kept, never raised", () => {
	const planned = planLimits(WANTED, { ...NONE, hardLimits: { NOFILE: 50 } }, RUN, {
		processes: 0,
		userNamespace: "shared",
	});
	assert.equal(planned.resourceLimits.find(({ name }) => name === "NOFILE")?.value, 50);
});

const MOUNT = "/sys/fs/cgroup";
/** Version 2 alone, as a machine with systemd has it: who sits where, and what is handed down below that. */
function unifiedHost(
	userId: number,
	own: string,
	delegated: string,
	handedDown: string,
	writable: readonly string[] = ["", "/cgroup.procs"],
) {
	const directory = delegated === "" ? MOUNT : `${MOUNT}/${delegated}`;
	return fakeHost({
		userId,
		writable: writable.map((name) => `${directory}${name}`),
		existing: ["/proc/swaps"],
		texts: {
			"/proc/self/mountinfo": `6 1 0:4 / ${MOUNT} rw - cgroup2 cgroup2 rw,nsdelegate`,
			"/proc/self/cgroup": `0::/${own}\n`,
			[`${directory}/cgroup.subtree_control`]: `${handedDown}\n`,
		},
	});
}

const UNIT = "system.slice/vouch-agent.service";
const OF_USER = "user.slice/user-1000.slice/user@1000.service";
for (const [who, userId, own, delegated] of [
	["root", 0, "system.slice/cron.service", ""],
	["a node of a unit with Delegate=", 990, `${UNIT}/vouch-agent`, UNIT],
	["a node of vouch-helper", 990, "vouch-agents/990/vouch-agent", "vouch-agents/990"],
	["a user of systemd", 1000, `${OF_USER}/app.slice/run-1.scope`, OF_USER],
	["a node of a user's own unit", 1000, `${OF_USER}/${UNIT}/vouch-agent`, `${OF_USER}/${UNIT}`],
] as const) {
	test(`version 2: ${who} makes groups in its own part of the tree, with what is handed down there`, async () => {
		const directory = delegated === "" ? MOUNT : `${MOUNT}/${delegated}`;
		const overhead = { processes: 2, userNamespace: "shared" } as const;
		const whole = await probeLimits(unifiedHost(userId, own, delegated, "cpuset cpu io memory pids"));
		const planned = planLimits(WANTED, whole, RUN, overhead);
		assert.deepEqual(planned.controlGroups, [
			{
				path: `${directory}/vouch-${RUN}`,
				files: [
					{ name: "cpu.max", value: "50000 100000" },
					{ name: "memory.max", value: String(64 * 2 ** 20) },
					{ name: "memory.swap.max", value: "0" },
					{ name: "memory.oom.group", value: "1" },
					{ name: "pids.max", value: "12" },
				],
			},
		]);
		assert.deepEqual(planned.unmet, []);
		const part = planLimits(WANTED, await probeLimits(unifiedHost(userId, own, delegated, "cpu pids")), RUN, overhead);
		assert.deepEqual(part.unmet, [
			{ limit: "memoryMiB", reason: "no writable control group with the memory controller" },
		]);
	});
}

test("version 2: who sits outside of what was handed over, or may not move into it, gets no control groups", async () => {
	const session = "user.slice/user-1000.slice/session-3.scope";
	for (const host of [
		unifiedHost(1000, session, session, "cpu memory pids"),
		unifiedHost(990, `${UNIT}/vouch-agent`, UNIT, "cpu memory pids", [""]),
		unifiedHost(990, `${UNIT}/vouch-agent`, UNIT, "cpu memory pids", ["/cgroup.procs"]),
	]) {
		const { controllers, unifiedDirectory } = await probeLimits(host);
		assert.deepEqual([controllers, unifiedDirectory], [{}, null]);
	}
});

test("nothing to recover on a machine without control groups", async () => {
	assert.equal(await removeControlGroups(RUN, fakeHost()), false);
});

test("files of /proc are read whatever they hold", () => {
	fc.assert(
		fc.property(fc.string(), (text) => {
			hierarchiesOf(text);
			hardLimitsOf(text);
			mountPointsOf(text);
		}),
		{ numRuns: 300 },
	);
	assert.deepEqual(mountPointsOf("1 2 3 / /a\\040b\\134c rw - x y z\n"), ["/a b\\c"]);
});
