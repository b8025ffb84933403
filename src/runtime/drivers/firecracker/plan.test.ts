import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { violationsOf } from "../../../../test/firecracker/api-contract.ts";
import { canonicalJson, type Digest, type Json, type RunId } from "../../../core/index.ts";
import { fakeHost } from "../../../host/index.ts";
import type { ImageManifest } from "../../../image/schema.ts";
import type { ImageRoot, PlanRequest } from "../../driver.ts";
import { NO_LIMITS, type Workload } from "../../schema.ts";
import { planFirecracker } from "./plan.ts";
import { explainFirecracker, type FirecrackerFacts, isRecent, probeFirecracker } from "./probe.ts";

const DIGEST = `sha256:${"5".repeat(64)}` as Digest;
const part = (mediaType: string) => ({ mediaType, digest: DIGEST, size: 4096 });

const MANIFEST: ImageManifest = {
	schema: "vouch.image/v1",
	platform: "linux/amd64",
	rootfsFormat: "erofs",
	verity: {
		algorithm: "sha256",
		dataBlockSize: 4096,
		hashBlockSize: 4096,
		dataBlocks: 8,
		hashOffset: 32_768,
		salt: "00",
		uuid: "00000000-0000-4000-8000-000000000001",
		rootHash: "a".repeat(64),
	},
	commandLine: `console=ttyS0 quiet panic=-1 reboot=t vouch.rootfs=erofs vouch.verity=1:sha256:4096:8:9:00:${"a".repeat(64)}`,
	parts: {
		disk: part("disk"),
		kernel: part("kernel"),
		initramfs: part("initramfs"),
		sbom: part("sbom"),
		provenance: part("provenance"),
	},
	config: { entrypoint: [], command: [], environment: [], workingDirectory: "", user: "" },
	reference: {
		kernelVersion: "6.1",
		kernelDigest: DIGEST,
		initramfsDigest: DIGEST,
		commandLineDigest: DIGEST,
		guestDigest: DIGEST,
		guestGeneration: 1,
	},
};

const ROOT: ImageRoot = {
	kind: "image",
	digest: DIGEST,
	manifest: MANIFEST,
	files: {
		disk: "/images/disk",
		kernel: "/images/kernel",
		initramfs: "/images/initramfs",
		sbom: "/images/sbom",
		provenance: "/images/provenance",
	},
};

const FACTS: FirecrackerFacts = {
	programs: {
		firecracker: "/usr/local/bin/firecracker",
		jailer: "/usr/local/bin/jailer",
		unshare: "/usr/bin/unshare",
		"mkfs.ext4": "/usr/sbin/mkfs.ext4",
	},
	versions: { firecracker: "1.12.0", jailer: "1.12.0" },
	user: "root",
	hardware: { works: true, found: "a kernel booted in 300 ms" },
	platform: "linux/amd64",
	processors: 8,
	limits: {
		controllers: {
			cpu: { version: 2, directory: "/sys/fs/cgroup", optionalFiles: [] },
			memory: { version: 2, directory: "/sys/fs/cgroup", optionalFiles: ["memory.swap.max"] },
			pids: { version: 2, directory: "/sys/fs/cgroup", optionalFiles: [] },
		},
		unifiedDirectory: "/sys/fs/cgroup",
		hybrid: null,
		user: "root",
		hardLimits: {},
	},
};

const WORKLOAD: Workload = {
	schema: "vouch.workload/v1",
	root: { kind: "image", reference: "python-app", digest: DIGEST },
	argv: ["python3", "job.py", "a b"],
	workingDirectory: "/workspace",
	environment: ["TOKEN"],
	secrets: ["TOKEN"],
	workspace: { source: "/home/user/project", access: "read-write", protected: ["vouch.policy.yaml"] },
	exposed: ["/opt/go", "/etc/settings.conf"],
	network: { mode: "none", allow: [], deny: [], http: [] },
	limits: {
		cpuMillicores: 1500,
		memoryMiB: 512,
		processes: 100,
		openFiles: 1024,
		diskWriteMiB: 256,
		outputBytes: null,
		timeoutMs: 60_000,
	},
	demands: ["separate-kernel", "verified-root"],
	isolation: "firecracker",
};

function requestOf(workload: Partial<Workload> = {}, more: Partial<PlanRequest> = {}): PlanRequest {
	return {
		runId: "01900000-0000-7000-8000-000000000000" as RunId,
		workload: { ...WORKLOAD, ...workload },
		runDirectory: "/run/user/0/vouch/run",
		cacheDirectory: "/root/.cache/vouch",
		root: ROOT,
		gateSocket: "/run/user/0/vouch/run/gate.sock",
		loopbackListeners: [{ address: "127.0.0.1", port: 5432 }],
		acceptNoIsolation: "not-accepted",
		emulation: "not-accepted",
		machine: null,
		exposedFiles: ["/etc/settings.conf"],
		...more,
	};
}

function planned(request: PlanRequest) {
	const made = planFirecracker(request, FACTS);
	if (made.kind === "unmet") throw new Error(made.reasons.map(({ sentence }) => sentence).join(" "));
	return made.plan;
}

const GOLDEN: Readonly<Record<string, PlanRequest>> = {
	workspace: requestOf(),
	bare: requestOf({ workspace: null, exposed: [], limits: NO_LIMITS }, { exposedFiles: [], loopbackListeners: [] }),
};

for (const [name, request] of Object.entries(GOLDEN)) {
	test(`the plan of firecracker for ${name} is the golden one, plain data and the same twice`, () => {
		const text = `${JSON.stringify(JSON.parse(canonicalJson(planned(request) as unknown as Json)), null, "\t")}\n`;
		const again = `${JSON.stringify(JSON.parse(canonicalJson(planned(request) as unknown as Json)), null, "\t")}\n`;
		assert.equal(text, again);
		const path = fileURLToPath(
			new URL(`../../../../test/golden/launch-plans/firecracker.${name}.json`, import.meta.url),
		);
		if (process.env.VOUCH_UPDATE_GOLDEN === "1" || !existsSync(path)) {
			assert.equal(process.env.CI, undefined, `${path} is missing`);
			writeFileSync(path, text);
		}
		assert.equal(text, readFileSync(path, "utf8"), "VOUCH_UPDATE_GOLDEN=1 writes the new plan, to be read first");
	});

	test(`every request of the plan for ${name} is valid by the published definition`, () => {
		for (const call of planned(request).calls) assert.deepEqual(violationsOf(call), [], `${call.method} ${call.path}`);
	});
}

test("a guest is told of its disks by their place, which is their order among the requests", () => {
	for (const request of [
		...Object.values(GOLDEN),
		requestOf({ exposed: [] }),
		requestOf({ workspace: null }),
		requestOf({ workspace: { source: "/home/user/project", access: "read-only", protected: [] } }),
	]) {
		const plan = planned(request);
		const drives = plan.calls.filter(({ path }) => path.startsWith("/drives/"));
		const placeOf = (name: string) => {
			const index = drives.findIndex(({ path }) => path === `/drives/${name}`);
			return index < 0 ? null : `index:${index}`;
		};
		assert.equal(placeOf("root"), "index:0");
		const disk = plan.setup.find(({ kind }) => kind === "disk");
		const workspace = plan.setup.find(({ kind }) => kind === "workspace");
		assert.equal(disk?.kind === "disk" ? disk.device : null, placeOf("files"));
		assert.equal(workspace?.kind === "workspace" ? (workspace.lower?.device ?? null) : null, placeOf("work"));
		assert.equal(workspace?.kind === "workspace" ? workspace.scratch : null, placeOf("scratch"));
		const writable = drives.filter(({ body }) => body.is_read_only === false).map(({ path }) => path);
		assert.deepEqual(writable, placeOf("scratch") === null ? [] : ["/drives/scratch"]);
		// What a request names is put into the jail before.
		const named = JSON.stringify(plan.calls);
		for (const { path } of plan.files) assert.ok(named.includes(`"${path}"`), path);
	}
});

test("the image's measured words are whole, and the machine's come after", () => {
	const boot = planned(requestOf()).calls.find(({ path }) => path === "/boot-source");
	const words = String(boot?.body.boot_args);
	assert.ok(words.startsWith(`${MANIFEST.commandLine} `));
	assert.doesNotMatch(words.slice(MANIFEST.commandLine.length), /vouch\.|root=|init=/);
	assert.ok(words.length < 2048);
});

test("every reason why it can't run here is given", () => {
	const reasonsOf = (request: PlanRequest, facts: Partial<FirecrackerFacts>): string => {
		const made = planFirecracker(request, { ...FACTS, ...facts });
		return made.kind === "unmet" ? made.reasons.map(({ sentence }) => sentence).join("\n") : "";
	};
	const cases: readonly (readonly [PlanRequest, Partial<FirecrackerFacts>, RegExp])[] = [
		[requestOf(), { programs: { ...FACTS.programs, jailer: null } }, /jailer is not installed/],
		[requestOf(), { programs: { ...FACTS.programs, "mkfs.ext4": null } }, /mkfs\.ext4 is not installed/],
		[
			requestOf(),
			{ versions: { firecracker: "1.12.0", jailer: "1.11.0" } },
			/firecracker is 1\.12\.0 and jailer 1\.11\.0/,
		],
		[requestOf(), { versions: { firecracker: "1.7.9", jailer: "1.7.9" } }, /older than 1\.8\.0/],
		[requestOf(), { versions: { firecracker: null, jailer: null } }, /does not say its version/],
		[requestOf(), { user: "ordinary" }, /only root can make a jail/],
		[requestOf(), { hardware: { works: false, found: "the kernel hung" } }, /hardware virtualisation: the kernel hung/],
		[requestOf(), { platform: "linux/arm64" }, /the image is for linux\/amd64/],
		[requestOf({ exposed: ["/run/tool"] }), {}, /\/run\/tool shown where the machine has a file system of its own/],
		[requestOf({}, { machine: "q35" }), {}, /has no machine q35/],
		[requestOf({}, { root: null }), {}, /needs? an image|boots an image/],
		[requestOf({ demands: ["measured-boot"] }), {}, /measured-boot/],
		[
			requestOf({ workspace: { source: "/etc", access: "read-write", protected: [] } }),
			{},
			/\/etc can't be the workspace/,
		],
	];
	for (const [request, facts, reason] of cases) assert.match(reasonsOf(request, facts), reason);
	assert.equal(reasonsOf(requestOf(), {}), "");
	const all = reasonsOf(requestOf(), { user: "ordinary", platform: null, hardware: { works: false, found: "no" } });
	assert.equal(all.split("\n").length, 3);
});

test("versions are compared by their numbers", () => {
	for (const version of ["1.8.0", "1.10.0", "1.17.0-dev", "2.0.0"]) assert.ok(isRecent(version), version);
	for (const version of ["1.7.9", "0.25.2", "1.0.0", ""]) assert.ok(!isRecent(version), version);
});

test("a machine without Firecracker is seen quickly, and no kernel is booted to find out", async () => {
	const host = fakeHost({
		userId: 0,
		texts: { "/proc/sys/kernel/arch": "x86_64\n", "/proc/cpuinfo": "processor : 0\n" },
	});
	const context = { cacheDirectory: "/nowhere", image: async () => assert.fail("an image was asked for") };
	const facts = await probeFirecracker(host, context);
	assert.deepEqual([facts.hardware.found, facts.processors, facts.platform], ["not tried", 1, "linux/amd64"]);
	assert.ok(!host.calls.some(({ call }) => call === "run"));
	const checks = explainFirecracker(facts);
	assert.deepEqual(
		checks.slice(0, 2).map(({ name, status }) => [name, status]),
		[
			["firecracker", "missing"],
			["jailer", "missing"],
		],
	);
});

test("what the programs say of their version is read, whatever else they print", async () => {
	const said = (name: string) => ({
		"--version": { stdout: `${name} v1.9.1\n\nSupported snapshot data format versions: 5.0.0\n` },
	});
	const host = fakeHost({ userId: 1000, programs: { firecracker: said("Firecracker"), jailer: said("Jailer") } });
	const facts = await probeFirecracker(host, { cacheDirectory: "/nowhere", image: async () => undefined });
	assert.deepEqual(facts.versions, { firecracker: "1.9.1", jailer: "1.9.1" });
	const other = fakeHost({ programs: { firecracker: { "--version": { stdout: "\u001b[2J" } } } });
	assert.equal(
		(await probeFirecracker(other, { cacheDirectory: "/", image: async () => undefined })).versions.firecracker,
		null,
	);
});
