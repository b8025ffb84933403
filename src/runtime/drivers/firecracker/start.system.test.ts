import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import type { PeerScript } from "../../../../test/firecracker/api-peer.ts";
import { QemuBehindApi } from "../../../../test/firecracker/qemu-behind-api.ts";
import { ScriptedMachine } from "../../../../test/firecracker/scripted-machine.ts";
import { guestImage, missingFor } from "../../../../test/guest/guest-image.ts";
import type { Digest, RunId } from "../../../core/index.ts";
import type { Ending } from "../../../host/index.ts";
import type { ImageManifest } from "../../../image/schema.ts";
import type { ImageRoot } from "../../driver.ts";
import { NO_LIMITS, type Workload } from "../../schema.ts";
import { type FirecrackerPlan, planFirecracker } from "./plan.ts";
import { startFirecracker } from "./start.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-firecracker-"));
after(() => rmSync(home, { recursive: true, force: true }));
const DIGEST = `sha256:${"5".repeat(64)}` as Digest;

interface Trial {
	readonly workload?: Partial<Workload>;
	readonly image?: Pick<ImageRoot, "files"> & { readonly words: string };
	readonly bootMs?: number;
	readonly script?: () => PeerScript;
}

interface Outcome {
	readonly ending: Ending;
	readonly stdout: string;
	readonly stderr: string;
	readonly machine: ScriptedMachine;
	readonly plan: FirecrackerPlan;
	/** What is left of the run's disks and jails. */
	readonly left: readonly string[];
}

let runs = 0;

function planOf(trial: Trial): { plan: FirecrackerPlan; cache: string; folder: string } {
	runs += 1;
	const folder = mkdtempSync(join(home, "run-"));
	const cache = join(folder, "cache");
	const files = trial.image?.files ?? emptyImage(folder);
	const commandLine = `console=ttyS0 quiet panic=-1 ${trial.image?.words ?? ""}`.trim();
	const made = planFirecracker(
		{
			runId: `01900000-0000-7000-8000-${String(runs).padStart(12, "0")}` as RunId,
			workload: {
				schema: "vouch.workload/v1",
				root: { kind: "image", reference: "test", digest: DIGEST },
				argv: ["true"],
				workingDirectory: "/",
				environment: [],
				secrets: [],
				workspace: null,
				exposed: [],
				network: { mode: "none", allow: [], deny: [], http: [] },
				limits: { ...NO_LIMITS, memoryMiB: 128, cpuMillicores: 1000, diskWriteMiB: 64 },
				demands: [],
				isolation: "firecracker",
				...trial.workload,
			},
			runDirectory: folder,
			cacheDirectory: cache,
			root: { kind: "image", digest: DIGEST, manifest: manifestOf(commandLine), files },
			gateSocket: join(folder, "gate.sock"),
			loopbackListeners: [],
			acceptNoIsolation: "not-accepted",
			emulation: "not-accepted",
			machine: null,
			exposedFiles: [],
		},
		{
			programs: {
				firecracker: "/opt/firecracker",
				jailer: "/opt/jailer",
				unshare: "/usr/bin/unshare",
				"mkfs.ext4": "/usr/sbin/mkfs.ext4",
			},
			versions: { firecracker: "1.12.0", jailer: "1.12.0" },
			user: "root",
			hardware: { works: true, found: "assumed" },
			platform: "linux/amd64",
			processors: 2,
			limits: { controllers: {}, unifiedDirectory: null, hybrid: null, user: "root", hardLimits: {} },
		},
	);
	if (made.kind === "unmet") throw new Error(made.reasons.map(({ sentence }) => sentence).join(" "));
	const { plan } = made;
	return {
		// Nothing enters this jail but the peer, which is this process: its files stay this user's, whoever that is.
		plan: {
			...plan,
			jail: { ...plan.jail, userId: process.geteuid?.() ?? 0, groupId: process.getegid?.() ?? 0 },
			times: { ...plan.times, bootMs: trial.bootMs ?? plan.times.bootMs },
		},
		cache,
		folder,
	};
}

function emptyImage(folder: string): ImageRoot["files"] {
	const file = join(folder, "part");
	writeFileSync(file, "", { mode: 0o644 });
	return { disk: file, kernel: file, initramfs: file, sbom: file, provenance: file };
}

function manifestOf(commandLine: string): ImageManifest {
	const part = { mediaType: "", digest: DIGEST, size: 0 };
	return {
		schema: "vouch.image/v1",
		platform: "linux/amd64",
		rootfsFormat: "erofs",
		verity: {
			algorithm: "sha256",
			dataBlockSize: 4096,
			hashBlockSize: 4096,
			dataBlocks: 1,
			hashOffset: 4096,
			salt: "",
			uuid: "00000000-0000-4000-8000-000000000001",
			rootHash: "0".repeat(64),
		},
		commandLine,
		parts: { disk: part, kernel: part, initramfs: part, sbom: part, provenance: part },
		config: { entrypoint: [], command: [], environment: [], workingDirectory: "", user: "" },
		reference: {
			kernelVersion: "",
			kernelDigest: DIGEST,
			initramfsDigest: DIGEST,
			commandLineDigest: DIGEST,
			guestDigest: DIGEST,
			guestGeneration: 1,
		},
	};
}

async function tryOut(trial: Trial): Promise<Outcome> {
	const { plan, cache, folder } = planOf(trial);
	const gate = createServer((socket) => socket.destroy()).listen(plan.gate.socket);
	const qemu = new QemuBehindApi(plan.jail.root, folder);
	const script = trial.script?.() ?? {
		files: "checked",
		started: (requests) => qemu.start(requests),
		isListening: () => qemu.isUp,
		guest: (socket) => qemu.join(socket),
	};
	await using machine = new ScriptedMachine(plan.jail.root, script, () => qemu.kill());
	try {
		const run = await startFirecracker(plan, { environment: { GREETING: "good day" } }, machine.host);
		run.stdin.end();
		const [stdout, stderr, ending] = await Promise.all([text(run.stdout), text(run.stderr), run.ended]);
		return { ending, stdout, stderr, machine, plan, left: readdirSync(join(cache, "machines")) };
	} finally {
		gate.close();
	}
}

test("a run goes through a jail, the API's requests and vsock, with a real kernel behind them", {
	skip: missingFor("amd64") ?? false,
}, async (context) => {
	const built = guestImage("amd64");
	const workspace = mkdtempSync(join(home, "workspace-"));
	// Below /tmp the guest has a folder of its own.
	const exposed = mkdtempSync("/var/tmp/vouch-exposed-");
	context.after(() => rmSync(exposed, { recursive: true }));
	writeFileSync(join(workspace, "input"), "from the host\n");
	mkdirSync(join(workspace, "old"));
	writeFileSync(join(exposed, "tool"), "a tool\n");
	const { kernel, initramfs, disk, words } = built;
	const { ending, stdout, stderr, left, machine, plan } = await tryOut({
		image: { files: { kernel, initramfs, disk, sbom: disk, provenance: disk }, words },
		workload: {
			argv: [
				"sh",
				"-c",
				`cat input ${exposed}/tool; echo $GREETING; id -u; echo new > output; rmdir old; echo to-errors >&2; exit 7`,
			],
			workingDirectory: "/workspace",
			workspace: { source: workspace, access: "read-write", protected: [] },
			exposed: [exposed],
		},
	});
	assert.equal(stdout, "from the host\na tool\ngood day\n1000\n", `${stderr} ${JSON.stringify(ending)}`);
	assert.deepEqual([ending.cause, ending.exitCode, stderr], ["program", 7, "to-errors\n"]);
	assert.deepEqual(readdirSync(workspace).sort(), ["input", "output"]);
	assert.equal(readFileSync(join(workspace, "output"), "utf8"), "new\n");
	assert.deepEqual(left, [], "the jail is gone");
	assert.deepEqual(
		machine.peer?.requests.map(({ method, path, body }) => ({ method, path, body })),
		plan.calls.map(({ method, path, body }) => ({ method, path, body })),
	);
	const [spec] = machine.specs;
	assert.deepEqual([spec?.environment, spec?.descriptors], [{}, []]);
	assert.ok(!JSON.stringify(plan).includes("good day"));
});

test("a guest that never listens ends the run in time, with that reason", async () => {
	const { ending, left } = await tryOut({ bootMs: 300, script: () => ({ files: "checked" }) });
	assert.deepEqual([ending.cause, ending.reason], ["guest-failed", "boot-timeout"]);
	assert.deepEqual(left, []);
});

test("a guest that says what it can't is no guest", async () => {
	const script = (): PeerScript => ({ guest: (socket) => socket.end("\xff".repeat(100)) });
	const { ending } = await tryOut({ script });
	assert.deepEqual([ending.cause, ending.reason], ["guest-failed", "guest-protocol"]);
});

test("a machine that ends while its guest is waited for did not start", async () => {
	const { plan } = planOf({});
	const gate = createServer().listen(plan.gate.socket);
	const script: PeerScript = {
		started: () => setTimeout(() => void machine.end({ exitCode: 148, message: "no KVM" }), 50),
	};
	await using machine = new ScriptedMachine(plan.jail.root, script);
	const run = await startFirecracker(plan, { environment: {} }, machine.host);
	const ending = await run.ended;
	gate.close();
	assert.deepEqual([ending.cause, ending.message], ["failed-to-start", "no KVM"]);
});

test("a request that is refused or not answered starts nothing and leaves nothing", async () => {
	for (const how of [{ kind: "refuse", status: 400, message: "no" } as const, { kind: "close" } as const]) {
		const { plan, cache } = planOf({});
		await using machine = new ScriptedMachine(plan.jail.root, { misbehave: { "PUT /vsock": how } });
		await assert.rejects(startFirecracker(plan, { environment: {} }, machine.host), /PUT \/vsock/);
		assert.deepEqual(readdirSync(join(cache, "machines")), []);
	}
});
