import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { canonicalJson, digestOf, type Json, type RunId } from "../../../core/index.ts";
import type { ImageManifest, Platform } from "../../../image/schema.ts";
import type { ImageRoot, PlanRequest } from "../../driver.ts";
import { NO_LIMITS, type Workload } from "../../schema.ts";
import type { QemuFacts } from "./facts.ts";
import { machineFor, tiesOf } from "./machine-choice.ts";
import { planQemu, type QemuPlan } from "./plan.ts";
import { poolKey } from "./pools.ts";
import { tscOf } from "./probe.ts";
import { explainQemu } from "./problems.ts";
import { outerLimits } from "./size.ts";
import { type Template, templateKey } from "./templates.ts";

const part = { mediaType: "application/octet-stream", digest: digestOf("part"), size: 4096 };
const manifest: ImageManifest = {
	schema: "vouch.image/v1",
	platform: "linux/amd64",
	rootfsFormat: "erofs",
	verity: {
		algorithm: "sha256",
		dataBlockSize: 4096,
		hashBlockSize: 4096,
		dataBlocks: 100,
		hashOffset: 409_600,
		salt: "00",
		uuid: "00000000-0000-4000-8000-000000000001",
		rootHash: "ab".repeat(32),
	},
	commandLine: "console=ttyS0 vouch.rootfs=erofs",
	parts: { disk: part, kernel: part, initramfs: part, sbom: part, provenance: part },
	config: { entrypoint: [], command: [], environment: [], workingDirectory: "/", user: "" },
	reference: {
		kernelVersion: "6.1.0",
		kernelDigest: part.digest,
		initramfsDigest: part.digest,
		commandLineDigest: part.digest,
		guestDigest: part.digest,
		guestGeneration: 1,
	},
};
const image = (platform: Platform = "linux/amd64"): ImageRoot => ({
	kind: "image",
	digest: digestOf("image"),
	manifest: { ...manifest, platform },
	files: {
		disk: "/home/user/images/disk",
		kernel: "/home/user/images/kernel",
		initramfs: "/home/user/images/initramfs",
		sbom: "/home/user/images/sbom",
		provenance: "/home/user/images/provenance",
	},
});

const emulator = (name: string, machines: readonly string[]) => ({
	path: `/usr/bin/qemu-system-${name}`,
	version: "QEMU emulator version 7.2.22",
	machines,
});
const FACTS: QemuFacts = {
	programs: {
		bwrap: "/usr/bin/bwrap",
		setpriv: "/usr/bin/setpriv",
		sh: "/usr/bin/sh",
		"mkfs.ext4": "/usr/sbin/mkfs.ext4",
	},
	platform: "linux/amd64",
	emulators: {
		"linux/amd64": emulator("x86_64", ["microvm", "q35"]),
		"linux/riscv64": emulator("riscv64", ["virt"]),
	},
	confinement: {
		bwrap: "/usr/bin/bwrap",
		sh: "/usr/bin/sh",
		setpriv: "/usr/bin/setpriv",
		system: [
			{ path: "/bin", kind: "link", target: "usr/bin" },
			{ path: "/usr", kind: "directory", target: "" },
		],
		user: "root",
	},
	trialError: null,
	hardware: { works: false, found: "this machine has no /dev/kvm", host: "processor kernel" },
	processors: 2,
	tscKHz: 2_600_000,
	userIds: "all",
	deviceGroup: null,
	architecture: "x86_64",
	limits: { controllers: {}, unifiedDirectory: null, hybrid: null, user: "root", hardLimits: {} },
	templates: [],
	pools: [],
};

function requestFor(changes: Partial<PlanRequest> = {}, workload: Partial<Workload> = {}): PlanRequest {
	return {
		runId: "01900000-0000-7000-8000-00000000abcd" as RunId,
		workload: {
			schema: "vouch.workload/v1",
			root: { kind: "image", reference: "app", digest: digestOf("image") },
			argv: ["python3", "job.py", "a b"],
			workingDirectory: "/workspace",
			environment: ["TOKEN"],
			secrets: ["TOKEN"],
			workspace: { source: "/home/user/project", access: "read-write", protected: ["vouch.policy.yaml"] },
			exposed: ["/opt/tool", "/opt/one.conf"],
			network: { mode: "none", allow: [], deny: [], http: [] },
			limits: { ...NO_LIMITS, cpuMillicores: 1500, memoryMiB: 512, processes: 100, openFiles: 1024, diskWriteMiB: 256 },
			demands: ["separate-kernel"],
			isolation: "qemu",
			...workload,
		},
		runDirectory: "/run/user/0/vouch/run",
		cacheDirectory: "/home/user/.cache/vouch",
		root: image(),
		gateSocket: "/run/user/0/vouch/run/gate.sock",
		loopbackListeners: [{ address: "127.0.0.1", port: 5432 }],
		acceptNoIsolation: "not-accepted",
		emulation: "accepted",
		machine: null,
		exposedFiles: ["/opt/one.conf"],
		...changes,
	};
}

function planned(request: PlanRequest = requestFor(), facts: QemuFacts = FACTS): QemuPlan {
	const found = planQemu(request, facts);
	if (found.kind === "unmet") throw new Error(found.reasons.map(({ sentence }) => sentence).join(" "));
	return found.plan;
}

function refused(request: PlanRequest, facts: QemuFacts = FACTS): readonly string[] {
	const found = planQemu(request, facts);
	return found.kind === "unmet" ? found.reasons.map(({ code }) => code) : [];
}

for (const [name, facts] of [
	["emulated-root", FACTS],
	["hardware-user", hardware({ ...FACTS, confinement: ordinary(FACTS.confinement), userIds: "few" })],
] as const) {
	test(`the plan of qemu on ${name} is the golden one`, () => {
		const plan = JSON.parse(canonicalJson(planned(requestFor(), facts) as unknown as Json));
		const text = `${JSON.stringify(plan, null, "\t")}\n`;
		const path = fileURLToPath(new URL(`../../../../test/golden/launch-plans/qemu.${name}.json`, import.meta.url));
		if (process.env.VOUCH_UPDATE_GOLDEN === "1" || !existsSync(path)) {
			assert.equal(process.env.CI, undefined, `${path} is missing`);
			writeFileSync(path, text);
		}
		assert.equal(text, readFileSync(path, "utf8"), "VOUCH_UPDATE_GOLDEN=1 writes the new plan");
	});
}

function hardware(facts: QemuFacts): QemuFacts {
	return { ...facts, hardware: { works: true, found: "a guest came up", host: "processor kernel" }, deviceGroup: 106 };
}

function ordinary(confinement: QemuFacts["confinement"]): QemuFacts["confinement"] {
	return confinement === null ? null : { ...confinement, user: "ordinary" };
}

test("a microvm that is emulated is told its processor's frequency; one that nobody knows gets a q35", () => {
	assert.match(planned().machine.commandLine, /^console=ttyS0 vouch\.rootfs=erofs tsc_early_khz=2600000 tsc=reliable$/);
	const unknown = planned(requestFor(), { ...FACTS, tscKHz: null });
	assert.deepEqual([unknown.machine.type, unknown.machine.commandLine], ["q35", manifest.commandLine]);
	assert.deepEqual(refused(requestFor({ machine: "microvm" }), { ...FACTS, tscKHz: null }), ["driver-not-available"]);
	assert.equal(planned(requestFor({ machine: "q35" })).machine.type, "q35");
	assert.equal(planned(requestFor(), hardware({ ...FACTS, tscKHz: null })).machine.type, "microvm");
});

test("an image for another machine is emulated and says so, also where the hardware works", () => {
	const plan = planned(requestFor({ root: image("linux/riscv64") }), hardware(FACTS));
	assert.deepEqual([plan.machine.type, plan.machine.acceleration], ["virt", "tcg"]);
	assert.match(plan.performance.reason, /linux\/riscv64.*linux\/amd64/);
	assert.ok(plan.guarantees.notKept.some(({ guarantee }) => guarantee === "syscall-filter"));
	assert.deepEqual(refused(requestFor({ root: image("linux/arm64") })), ["driver-not-available"]);
});

test("emulation is refused unless it was asked for, with why there is no hardware", () => {
	const found = planQemu(requestFor({ emulation: "not-accepted" }), FACTS);
	assert.equal(found.kind === "unmet" && found.reasons[0].code, "emulation-not-asked-for");
	assert.match(found.kind === "unmet" ? found.reasons[0].sentence : "", /no \/dev\/kvm/);
	assert.deepEqual(refused(requestFor({ emulation: "not-accepted" }), hardware(FACTS)), []);
});

test("an image whose guest is older than what it would be told is not booted, and what mends that is said", () => {
	const old = { ...manifest, reference: { ...manifest.reference, guestGeneration: 0 } };
	const found = planQemu(requestFor({ root: { ...image(), manifest: old } }), FACTS);
	assert.match(found.kind === "unmet" ? found.reasons[0].sentence : "", /generation 0.*Build the image again/);
});

test("a workload with a terminal has one as large as the window", () => {
	const request = requestFor({ windowSize: { rows: 31, columns: 97 } }, { tty: true });
	const terminals = planned(request).setup.filter(({ kind }) => kind === "terminal");
	assert.deepEqual(terminals, [{ kind: "terminal", rows: 31, columns: 97 }]);
	assert.ok(!planned().setup.some(({ kind }) => kind === "terminal"));
});

test("without an image there is none to boot, and the way to one is said", () => {
	const found = planQemu(requestFor({ root: null }), FACTS);
	assert.match(found.kind === "unmet" ? found.reasons[0].sentence : "", /vouch image build/);
});

test("a template is taken when everything that ties it is equal, and never another", () => {
	const request = requestFor();
	const { machine } = machineFor(image(), request, FACTS);
	const own = FACTS.emulators["linux/amd64"];
	assert.ok(own !== undefined);
	const key = templateKey(tiesOf(machine, digestOf("image"), own, FACTS));
	const template: Template = {
		schema: "vouch.template/v1",
		key,
		imageDigest: digestOf("image"),
		stateDigest: digestOf("state"),
		stateBytes: 5,
		madeAt: "2026-01-01T00:00:00.000Z",
		state: "/home/user/.cache/vouch/templates/x/state",
	};
	const plan = planned(request, { ...FACTS, templates: [template] });
	assert.deepEqual(plan.template, { key, stateDigest: template.stateDigest, state: template.state });
	assert.ok(plan.supervision.argv.includes("-incoming"));
	const others: readonly PlanRequest[] = [
		requestFor({}, { limits: { ...NO_LIMITS, memoryMiB: 1024 } }),
		requestFor({ machine: "q35" }),
		requestFor({ root: { ...image(), digest: digestOf("another") } }),
	];
	for (const other of others) assert.equal(planned(other, { ...FACTS, templates: [template] }).template, null);
	const newer = { ...own, version: "QEMU emulator version 8.0.0" };
	const upgraded = { ...FACTS, templates: [template], emulators: { "linux/amd64": newer } };
	assert.equal(planned(request, upgraded).template, null);
});

test("a pool's machine is taken when it and the walls around it are what the run would have made", () => {
	const limits = { ...NO_LIMITS, memoryMiB: 512 };
	const request = requestFor({}, { limits });
	const { machine, size } = machineFor(image(), request, FACTS);
	const own = FACTS.emulators["linux/amd64"];
	assert.ok(own !== undefined);
	const key = poolKey(tiesOf(machine, digestOf("image"), own, FACTS), outerLimits(limits, size));
	const pools = [{ key, socket: `/home/user/.cache/vouch/pools/${key}` }];
	const plan = planned(request, { ...FACTS, pools });
	assert.deepEqual(plan.pool, pools[0]);
	// Bytes written are watched from the moment that it is taken.
	assert.deepEqual(
		planned(requestFor({}, { limits: { ...limits, diskWriteMiB: 64 } }), { ...FACTS, pools }).pool,
		pools[0],
	);
	assert.deepEqual(
		plan.disks.map(({ role }) => role),
		["root", "files", "work", "scratch"],
	);
	const others: readonly PlanRequest[] = [
		requestFor({}, { limits: NO_LIMITS }),
		requestFor({ machine: "q35" }, { limits }),
		requestFor({ root: { ...image(), digest: digestOf("another") } }, { limits }),
	];
	for (const other of others) assert.equal(planned(other, { ...FACTS, pools }).pool, null);
});

test("a machine that boots for one run has no disk that is empty", () => {
	const roles = (request: PlanRequest) => planned(request).disks.map(({ role }) => role);
	assert.deepEqual(roles(requestFor({}, { workspace: null, exposed: [] })), ["root"]);
	const argv = planned(requestFor({}, { workspace: null, exposed: [] })).supervision.argv.join(" ");
	assert.ok(argv.includes("serial=vouch-root") && !argv.includes("serial=vouch-work"));
});

test("no secret, and no network card, stands in a plan; QEMU has no shell but the one that opens a template", () => {
	const text = JSON.stringify(planned());
	for (const word of ["netdev", "virtio-net", "tap", '"sh"']) assert.ok(!text.includes(word), word);
	assert.ok(!text.includes("TOKEN="));
});

test("every limit is kept by the guest, also where this machine has no control groups", () => {
	const { limits, setup, supervision } = planned();
	assert.deepEqual(
		limits.enforced.map(({ limit }) => limit),
		["cpuMillicores", "memoryMiB", "processes", "openFiles", "diskWriteMiB"],
	);
	const told = setup.find((record) => record.kind === "limits");
	assert.deepEqual(told?.kind === "limits" && told.limits, {
		memory: 512 * 2 ** 20,
		pids: 100,
		nofile: 1024,
		cpu: 1500,
	});
	assert.deepEqual(supervision.controlGroups, []);
});

test("the counter's frequency is believed where the kernel can't show another", () => {
	const flags = "flags\t\t: fpu constant_tsc\n";
	assert.equal(tscOf(`cpu MHz\t\t: 2596.122\n${flags}`), 2_596_122);
	assert.equal(tscOf("cpu MHz\t\t: 2596.122\nflags\t\t: fpu\n"), null);
	assert.equal(tscOf(""), null);
});

test("doctor says what is installed, and emulated or not, and why", () => {
	const checks = explainQemu({ ...FACTS, emulators: {}, trialError: null });
	assert.equal(checks.find(({ name }) => name === "qemu-system-x86_64")?.status, "missing");
	assert.match(explainQemu(FACTS).find(({ name }) => name === "speed")?.found ?? "", /emulated.*no \/dev\/kvm/);
});
