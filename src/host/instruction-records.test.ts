import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { concatBytes, utf8 } from "../core/index.ts";
import { instructionBytes } from "./instruction-records.ts";
import { networkOf, specOf, textOf } from "./supervision-fixture.ts";
import { supervisorBinary } from "./supervisor-binary.ts";

interface Heard {
	readonly exitCode: number | null;
	readonly said: string;
	readonly output: string;
	readonly durationMs: number;
}

/** Plays Vouch's side with any bytes: what the supervisor made of them. */
async function send(bytes: Uint8Array): Promise<Heard> {
	const folder = await mkdtemp(join(tmpdir(), "vouch-test-"));
	const path = join(folder, "control");
	const server = createServer();
	server.listen(path);
	await once(server, "listening");
	const started = performance.now();
	const child: ChildProcess = spawn(await supervisorBinary(), [path], { stdio: "ignore", env: {} });
	const exited = once(child, "exit");
	const [control] = await once(server, "connection");
	server.close();
	const fds = [
		openSync(`${path}.0`, constants.O_WRONLY | constants.O_NONBLOCK),
		openSync(`${path}.1`, constants.O_RDONLY | constants.O_NONBLOCK),
		openSync(`${path}.2`, constants.O_RDONLY | constants.O_NONBLOCK),
	];
	control.on("error", () => {});
	const said = textOf(control).catch(() => "");
	control.end(bytes);
	const [exitCode] = await exited;
	const durationMs = performance.now() - started;
	for (const fd of fds) closeSync(fd);
	const heard = { exitCode, said: await said, output: "", durationMs };
	// A supervisor that was told nothing at all has taken it away itself.
	await rm(folder, { recursive: true, force: true });
	return heard;
}

const record = (key: string, value: string | Uint8Array) => {
	const bytes = typeof value === "string" ? utf8(value) : value;
	return concatBytes(utf8(`${key}\0${bytes.length}\0`), bytes);
};

const keys = [
	"argv",
	"environment",
	"directory",
	"unmount",
	"group",
	"group-file",
	"limit",
	"descriptor",
	"signal-target",
	"terminal-descriptor",
	"terminal-rows",
	"disk-write-bytes",
	"afterwards",
	"ip",
	"nft",
	"redirect-port",
	"resolver-address",
	"listener",
	"gate-socket",
	"max-connections",
	"nonsense",
	"",
];

/** Records that never hold a runnable spec: there is no directory. */
const wildRecord = fc
	.tuple(
		fc.constantFrom(...keys.filter((key) => key !== "directory")),
		fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.string({ maxLength: 40 }).map(utf8), fc.constant(utf8("3\0x"))),
	)
	.map(([key, value]) => record(key, value));

const refuses = async (bytes: Uint8Array) => {
	const heard = await send(bytes);
	assert.equal(heard.exitCode, 70, heard.said);
	assert.ok(heard.durationMs < 3000, `${heard.durationMs} ms`);
};

describe("the supervisor's instructions", () => {
	it("of any bytes end it at once, with a failure", async () => {
		await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), refuses), { numRuns: 60 });
	});

	it("of well-formed records that do not make a run end it at once, with a failure", async () => {
		const records = fc.array(wildRecord, { maxLength: 12 }).map((parts) => concatBytes(...parts, record("end", "")));
		await fc.assert(fc.asyncProperty(records, refuses), { numRuns: 80 });
	});

	it("cut short or with one byte changed never run anything else, and never hang", async () => {
		const spec = specOf(["/bin/true"], {
			resourceLimits: [{ name: "NOFILE", value: 100 }],
			descriptors: [{ fd: 7, bytes: utf8("abc") }],
			diskWriteBytes: 1 << 30,
		});
		const whole = instructionBytes(spec, null);
		const change = fc.record({ at: fc.nat(whole.length - 1), to: fc.nat(255), cut: fc.boolean() });
		await fc.assert(
			fc.asyncProperty(change, async ({ at, to, cut }) => {
				const bytes = cut ? whole.slice(0, at) : Uint8Array.from(whole, (byte, index) => (index === at ? to : byte));
				const heard = await send(bytes);
				assert.ok(heard.durationMs < 3000);
				if (cut) assert.equal(heard.exitCode, 70);
				// Vouch's end closes at once, so that even a valid one is killed.
				else assert.ok(heard.exitCode === 70 || heard.exitCode === 0, heard.said);
			}),
			{ numRuns: 80 },
		);
	});

	it("are refused one by one for what is wrong with them", async () => {
		const base = [record("argv", "/bin/true"), record("directory", "/"), record("signal-target", "program")];
		const wrong: readonly (readonly [string, Uint8Array])[] = [
			["malformed", record("directory", "/again")],
			["malformed", record("limit", "NOFILE\x00-1")],
			["malformed", record("limit", "NOFILE\x0007")],
			["malformed", record("limit", "NOFILE")],
			["malformed", record("descriptor", "2\0x")],
			["malformed", record("descriptor", "256\0x")],
			["malformed", concatBytes(record("descriptor", "9\0x"), record("descriptor", "9\0y"))],
			["malformed", record("group", "relative")],
			["malformed", record("group", "/sys/fs/cgroup/../../etc")],
			["malformed", record("group-file", "memory.max\x001")],
			["malformed", record("environment", "=x")],
			["malformed", record("environment", "NOTHING")],
			["malformed", record("afterwards", "relative\0")],
			["malformed", record("resolver-address", "10.0.0.300")],
			["malformed", record("listener", "127.0.0.1\x000")],
			["malformed", record("redirect-port", "65536")],
			["malformed", record("argv", "a\0b")],
			["malformed", utf8("argv\x0099999999999\0")],
			["malformed", utf8(`${"k".repeat(40)}\0`)],
			["needs network|lack", record("listener", "127.0.0.1\x0080")],
			["lack", record("ip", "/sbin/ip")],
		];
		for (const [sentence, extra] of wrong) {
			const heard = await send(concatBytes(...base, extra, record("end", "")));
			assert.equal(heard.exitCode, 70, heard.said);
			assert.match(heard.said, new RegExp(sentence), Buffer.from(extra).toString("latin1"));
		}
		for (const missing of [0, 1, 2]) {
			const heard = await send(concatBytes(...base.filter((_, index) => index !== missing), record("end", "")));
			assert.match(heard.said, /instructions lack/);
		}
	});

	it("say everything that a spec says", () => {
		const spec = specOf(["/bin/a", ""], {
			network: networkOf("/run/gate", { loopbackListeners: [{ address: "::1", port: 9 }] }),
			controlGroups: [{ path: "/sys/fs/cgroup/x", files: [{ name: "pids.max", value: "5" }] }],
			privateMounts: { unmount: ["/mnt/x"] },
			terminal: { descriptor: 7, size: { rows: 31, columns: 97 } },
			afterwards: [["/bin/rm", "x"]],
		});
		const text = Buffer.from(instructionBytes(spec, { ip: "/sbin/ip", nft: "/sbin/nft" })).toString("latin1");
		for (const part of [
			"argv\x006\0/bin/a",
			"argv\x000\0",
			"group\x0016\0/sys/fs/cgroup/x",
			"group-file\x0010\0pids.max\x005",
			"unmount\x006\0/mnt/x",
			"terminal-descriptor\x001\x007",
			"terminal-rows\x002\x0031",
			"terminal-columns\x002\x0097",
			"afterwards\x0010\0/bin/rm\0x\0",
			"listener\x005\0::1\x009",
			"gate-socket\x009\0/run/gate",
		]) {
			assert.ok(text.includes(part), part);
		}
		assert.ok(text.endsWith("end\x000\0"));
	});
});
