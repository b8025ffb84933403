import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ApiPeer, type Misbehaviour, type PeerScript } from "../../../../test/firecracker/api-peer.ts";
import { VouchError } from "../../../core/index.ts";
import { makeCalls } from "./api.ts";
import { bootCalls, restoreCalls, saveCalls } from "./calls.ts";
import { connectGuest } from "./vsock.ts";

const home = mkdtempSync(join(tmpdir(), "vouch-api-"));
after(() => rmSync(home, { recursive: true, force: true }));

const CALLS = bootCalls({
	cores: 1,
	memoryMiB: 128,
	commandLine: "quiet",
	disks: [{ name: "root", access: "read-only", rate: null }],
});

function jail(...files: readonly string[]): string {
	const root = mkdtempSync(join(home, "jail-"));
	for (const file of files) writeFileSync(join(root, file), "");
	return root;
}

function options(root: string, more: { callTimeoutMs?: number; startTimeoutMs?: number; signal?: AbortSignal } = {}) {
	const socketPath = join(root, "api.sock");
	return { socketPath, startTimeoutMs: 2000, callTimeoutMs: 2000, signal: new AbortController().signal, ...more };
}

test("a machine is made, saved and restored by calls that the definition allows in these states", async () => {
	const files = ["kernel", "initramfs", "root.img", "firecracker.log", "snapshot", "memory"];
	const first = jail(...files);
	await using peer = await ApiPeer.listen(first, { files: "checked" });
	await makeCalls(CALLS, options(first));
	await makeCalls(saveCalls(), options(first));
	assert.deepEqual(
		peer.requests.map(({ method, path }) => `${method} ${path}`),
		[
			"PUT /logger",
			"PUT /machine-config",
			"PUT /boot-source",
			"PUT /drives/root",
			"PUT /entropy",
			"PUT /vsock",
			"PUT /actions",
			"PATCH /vm",
			"PUT /snapshot/create",
		],
	);
	const second = jail(...files);
	await using _fresh = await ApiPeer.listen(second, { files: "checked" });
	await makeCalls(restoreCalls(), options(second));
});

test("calls out of order, or about files that are not in the jail, are refused with its words", async () => {
	const root = jail("kernel", "initramfs", "firecracker.log");
	await using _peer = await ApiPeer.listen(root, { files: "checked" });
	await assert.rejects(makeCalls(CALLS, options(root)), {
		code: "firecracker-refused",
		message: /PUT \/drives\/root: 400, \/root\.img could not be opened/,
	});
	await assert.rejects(makeCalls(restoreCalls(), options(root)), /fresh process/);
	await assert.rejects(makeCalls(saveCalls(), options(root)), /no machine yet/);
});

const MISBEHAVIOURS: readonly (readonly [string, Misbehaviour, RegExp | string])[] = [
	["an error of its own", { kind: "refuse", status: 500, message: "no KVM\u001b[2J here" }, /500, no KVM \[2J here/],
	["no answer", { kind: "stall" }, "firecracker-silent"],
	["the connection closed", { kind: "close" }, "firecracker-lost"],
	["what is not HTTP", { kind: "garbage", bytes: "\0\x01\x02 nonsense\r\n\r\n" }, "firecracker-lost"],
	["half an answer", { kind: "garbage", bytes: "HTTP/1.1 204 No Content\r\nContent-" }, "firecracker-lost"],
	[
		"another success",
		{ kind: "garbage", bytes: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
		"firecracker-refused",
	],
	["an answer without end", { kind: "endless" }, "firecracker-lost"],
];

for (const [what, how, expected] of MISBEHAVIOURS) {
	test(`${what} to one call ends the start in time, with the call's name`, async () => {
		const root = jail();
		const script: PeerScript = { misbehave: { "PUT /boot-source": how } };
		await using peer = await ApiPeer.listen(root, script);
		const startedMs = performance.now();
		await assert.rejects(makeCalls(CALLS, options(root, { callTimeoutMs: 800 })), (error: unknown) => {
			assert.ok(error instanceof VouchError);
			assert.match(error.message, /PUT \/boot-source/);
			if (typeof expected === "string") assert.equal(error.code, expected);
			else assert.match(error.message, expected);
			return true;
		});
		assert.ok(performance.now() - startedMs < 20_000);
		assert.equal(peer.requests.length, 3, "nothing is asked after that");
	});
}

test("a process that never listens, or ends, or leaves something else there, is told", async () => {
	const root = jail();
	await assert.rejects(makeCalls(CALLS, options(root, { startTimeoutMs: 50 })), { code: "firecracker-silent" });
	const ended = new AbortController();
	setTimeout(() => ended.abort(new Error("it ended with exit code 148")), 30);
	await assert.rejects(makeCalls(CALLS, options(root, { signal: ended.signal })), {
		code: "firecracker-lost",
		message: /exit code 148/,
	});
	writeFileSync(join(root, "api.sock"), "");
	await assert.rejects(makeCalls(CALLS, options(root, { startTimeoutMs: 50 })), { code: "firecracker-silent" });
});

test("a link in the jail leads to no other socket of the machine", async () => {
	const root = jail();
	let reached = 0;
	const other = createServer(() => (reached += 1)).listen(join(home, "other.sock"));
	for (const name of ["api.sock", "vsock.sock"]) symlinkSync(join(home, "other.sock"), join(root, name));
	await assert.rejects(makeCalls(CALLS, options(root, { startTimeoutMs: 50 })), VouchError);
	const signal = new AbortController().signal;
	await assert.rejects(connectGuest({ socketPath: join(root, "vsock.sock"), timeoutMs: 50, signal }), VouchError);
	other.close();
	assert.equal(reached, 0);
});

async function started(script: PeerScript): Promise<{ root: string; peer: ApiPeer }> {
	const root = jail();
	const peer = await ApiPeer.listen(root, script);
	await makeCalls(CALLS, options(root));
	return { root, peer };
}

function guestOptions(root: string, timeoutMs = 20_000) {
	return { socketPath: join(root, "vsock.sock"), timeoutMs, signal: new AbortController().signal };
}

test("a guest that comes up late is reached, and its first bytes are not lost", async () => {
	const ports: number[] = [];
	const guest: PeerScript["guest"] = (socket, port) => {
		ports.push(port);
		socket.write("READY");
		socket.pipe(socket);
	};
	let attempts = 0;
	const { root, peer } = await started({ guest, isListening: () => ++attempts > 5 });
	await using _peer = peer;
	const socket = await connectGuest(guestOptions(root));
	socket.write(" and echoed");
	let said = "";
	for await (const part of socket) {
		said += String(part);
		if (said.length >= 16) break;
	}
	assert.equal(said, "READY and echoed");
	assert.deepEqual(ports, [1024]);
});

test("a guest that never listens, or greets wrongly, is given up in time", async () => {
	const silent = await started({});
	await using _silent = silent.peer;
	await assert.rejects(connectGuest(guestOptions(silent.root, 100)), { code: "guest-not-listening" });
	for (const greeting of ["NO 1\n", "OK\n", "OK 1 2\n", "x".repeat(100)]) {
		const { root, peer } = await started({ guest: () => {}, greeting });
		await using _peer = peer;
		await assert.rejects(connectGuest(guestOptions(root, 400)), /not OK and a port/);
	}
	const stalled = await started({ guest: () => {}, greeting: "OK 10" });
	await using _stalled = stalled.peer;
	await assert.rejects(connectGuest(guestOptions(stalled.root, 100)), { code: "guest-not-listening" });
});
