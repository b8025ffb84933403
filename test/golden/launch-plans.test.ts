import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { canonicalJson, type Json, type RunId } from "../../src/core/index.ts";
import { fakeHost, type HostScript } from "../../src/host/index.ts";
import { type Driver, drivers } from "../../src/runtime/index.ts";
import { requestOf, type Trial } from "../conformance/sandbox.ts";

const USER_GROUP = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";

/** A machine in words: Debian with everything installed, control groups version 1 and 2 at once. */
const HYBRID: HostScript = {
	userId: 0,
	programs: {
		bwrap: { "*": {} },
		catatonit: {},
		conmon: {},
		crun: {},
		ip: {},
		mount: {},
		nft: {},
		podman: {},
		sh: {},
		unshare: { "*": {} },
	},
	entries: {
		...{ "/usr": "d", "/bin": "l usr/bin", "/lib": "l usr/lib", "/lib64": "l usr/lib64", "/sbin": "l usr/sbin" },
		...{ "/root": "d", "/home": "d", "/opt": "d", "/var": "d", "/etc/shadow": "f", "/etc/passwd": "f" },
		...{ "/etc/alternatives": "d", "/etc/ld.so.cache": "f", "/etc/localtime": "l /usr/share/zoneinfo/Etc/UTC" },
		...{ "/etc/ssl": "d", "/etc/ssl/certs": "d", "/etc/ssl/private": "d", "/etc/machine-id": "f", "/proc": "d" },
		...{ "/proc/1": "d", "/proc/sys": "d", "/proc/keys": "f", "/proc/acpi": "d", "/proc/cpuinfo": "f" },
	},
	writable: [
		...["unified", "unified/cgroup.procs", "cpu", "memory", "pids"].map((name) => `/sys/fs/cgroup/${name}`),
		...[USER_GROUP, `${USER_GROUP}/cgroup.procs`],
	],
	owners: { "/usr/bin/bwrap": 0 },
	texts: {
		"/proc/self/mountinfo": [
			"1 0 8:1 / / rw - ext4 /dev/sda rw",
			"2 1 8:2 / /usr/local rw - ext4 /dev/sdb rw",
			"3 1 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
			"4 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
			"5 1 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
			"6 1 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
		].join("\n"),
		"/proc/self/cgroup": "4:memory:/\n0::/\n",
		"/proc/self/limits":
			"Max processes             96365                96365                processes\nMax open files            20000                20000                files\n",
		"/proc/sys/kernel/arch": "x86_64\n",
		"/proc/sys/kernel/pid_max": "32768\n",
		"/sys/fs/cgroup/unified/cgroup.subtree_control": "hugetlb\n",
	},
};

/** The same without root and with version 2 alone, as systemd hands it to a user. */
const DELEGATED: HostScript = {
	...HYBRID,
	userId: 1000,
	texts: {
		...HYBRID.texts,
		"/proc/self/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda rw\n6 1 0:4 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
		"/proc/self/cgroup": "0::/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope\n",
		"/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.subtree_control": "cpu memory pids\n",
		"/proc/swaps": "",
	},
};

const TRIAL: Trial = {
	argv: ["python3", "job.py", "a b"],
	workspace: { source: "/home/user/project", access: "read-write" },
	protected: ["vouch.policy.yaml"],
	limits: {
		cpuMillicores: 1500,
		memoryMiB: 512,
		processes: 100,
		openFiles: 1024,
		diskWriteMiB: 256,
		timeoutMs: 60_000,
	},
	environment: { TOKEN: "not in the plan" },
};

const MACHINES: readonly (readonly [string, HostScript])[] = [
	["hybrid-root", HYBRID],
	["delegated-user", DELEGATED],
];

const NOTHING = { cacheDirectory: "/home/user/.cache/vouch", image: async () => undefined };

for (const driver of drivers.filter(({ roots }) => roots.includes("host"))) {
	for (const [machine, script] of MACHINES) {
		test(`the plan of ${driver.name} on ${machine} is the golden one`, async () => {
			const text = await planText(driver, script);
			const path = fileURLToPath(new URL(`launch-plans/${driver.name}.${machine}.json`, import.meta.url));
			if (process.env.VOUCH_UPDATE_GOLDEN === "1" || !existsSync(path)) {
				assert.equal(process.env.CI, undefined, `${path} is missing`);
				writeFileSync(path, text);
			}
			assert.equal(
				text,
				readFileSync(path, "utf8"),
				"VOUCH_UPDATE_GOLDEN=1 writes the new plan, to be read before it is kept",
			);
		});
	}

	test(`the plan of ${driver.name} is pure: the same twice, and plain data`, async () => {
		assert.equal(await planText(driver, HYBRID), await planText(driver, HYBRID));
		assert.ok(!(await planText(driver, HYBRID)).includes("not in the plan"));
	});
}

async function planText(driver: Driver, script: HostScript): Promise<string> {
	const host = fakeHost(script);
	const request = requestOf(TRIAL, "01900000-0000-7000-8000-000000000000" as RunId, "/run/user/0/vouch/run");
	const planned = driver.plan(request, await driver.probe(host, NOTHING));
	if (planned.kind === "unmet") throw new Error(planned.reasons.map(({ sentence }) => sentence).join(" "));
	// Through canonical JSON, which has no form for anything but data.
	return `${JSON.stringify(JSON.parse(canonicalJson(planned.plan as unknown as Json)), null, "\t")}\n`;
}
