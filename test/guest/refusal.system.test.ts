import assert from "node:assert/strict";
import { closeSync, copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, describe } from "node:test";
import { type GuestImage, guestImage, missingFor } from "./guest-image.ts";
import { finish, Machine } from "./machine.ts";
import { frame, hello, type Peer, STREAM, TYPE, word } from "./peer.ts";
import { record, setup, u8, u32 } from "./records.ts";

const skip = missingFor("amd64") ?? false;
const REASON = { verity: 1, setup: 2, protocol: 3 } as const;

/** FAILED with this reason and these words, the same on the console, and the end of the machine. */
async function refuses(machine: Machine, reason: keyof typeof REASON, words: RegExp): Promise<void> {
	const { payload } = await machine.peer.frame(TYPE.failed);
	assert.equal(payload.readUInt32LE(0), REASON[reason], payload.toString("latin1", 4));
	assert.match(payload.toString("latin1", 4), words);
	assert.ok(await machine.ends(), "the machine runs on");
	assert.match(machine.console, new RegExp(`vouch: ${reason}: .*(?:${words.source})`));
}

type Violation = readonly [what: string, said: RegExp, frames: () => readonly Buffer[]];
const afterHello = (...frames: readonly Buffer[]): readonly Buffer[] => [hello(), ...frames];
const VIOLATIONS: readonly Violation[] = [
	["anything before the greeting", /before its greeting/, () => [frame(TYPE.ping, 0)]],
	["a generation it does not speak", /a greeting that cannot be/, () => [hello(2)]],
	["a frame of an unknown type", /unknown type/, () => afterHello(Buffer.from([99]))],
	["a length over the limit", /wrong length/, () => afterHello(Buffer.from([4, 0, 0, 0]), word(4, 65537))],
	["input before there is credit", /credit of stream 1/, () => afterHello(frame(TYPE.data, 1, u8(1)))],
	["a stream that was never opened", /never opened/, () => afterHello(frame(TYPE.end, 40))],
	["a setup record of an unknown kind", /unknown kind/, () => afterHello(frame(TYPE.data, 4, record("Z")))],
	["the changes of a run that goes on", /COLLECT before the end/, () => afterHello(frame(TYPE.collect, 0))],
];

type Setup = readonly [what: string, said: RegExp, records: readonly Buffer[]];
const SETUPS: readonly Setup[] = [
	["a workload of user 0", /does not run as user or group 0/, [record("u", u32(0), u32(1000))]],
	["a mount before there is a root", /wrong side of r/, [record("t", u32(0o755), Buffer.alloc(8, 1), "/tmp")]],
	[
		"a disk that is not there",
		/there is no disk serial:nothing/,
		[record("d", u32(0o755), "/mnt"), record("r"), record("k", "/mnt", "serial:nothing", "erofs")],
	],
	[
		"a folder of the skeleton through a link",
		/could not be made/,
		[record("l", "/a", "/dev"), record("d", u32(0o755), "/a/b")],
	],
];

const COMMAND_LINES: readonly (readonly [what: string, said: RegExp, change: (words: string) => string])[] = [
	[
		"a measured word that stands there twice",
		/vouch.rootfs stands there twice/,
		(words) => `${words} vouch.rootfs=erofs`,
	],
	["a word of Vouch's that it does not know", /that is not known/, (words) => `${words} vouch.debug=1`],
	["no measured root at all", /vouch.verity is missing/, () => "vouch.rootfs=erofs"],
];

describe("what a guest refuses", { concurrency: 2, skip }, () => {
	let image: GuestImage;
	let folder: string;
	before(() => {
		image = guestImage("amd64");
		folder = mkdtempSync(join(tmpdir(), "vouch-refusal-"));
	});
	after(() => rmSync(folder, { recursive: true }));

	/** A copy of the disk with one bit of one byte flipped. */
	function brokenDisk(name: string, offset: number): string {
		const path = join(folder, name);
		copyFileSync(image.disk, path);
		const file = openSync(path, "r+");
		writeSync(file, Buffer.from([(readFileSync(path)[offset] ?? 0) ^ 0x10]), 0, 1, offset);
		closeSync(file);
		return path;
	}

	test("a root whose first block is not what was measured", async () => {
		await using machine = await Machine.start(image, { disk: brokenDisk("first", 1030) });
		await refuses(machine, "verity", /the root does not verify/);
		assert.equal(machine.peer.find(TYPE.ready), undefined);
	});

	test("a root hash that is another disk's", async () => {
		const other = image.rootHash.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
		await using machine = await Machine.start(image, { words: image.words.replace(image.rootHash, other) });
		await refuses(machine, "verity", /the root does not verify/);
	});

	test("a flipped bit of the tree", async () => {
		await using machine = await Machine.start(image, { disk: brokenDisk("tree", image.dataBytes + 4096 + 17) });
		await refuses(machine, "verity", /the root does not verify|not what was measured/);
	});

	test("a flipped bit of a file that a running workload reads: an error for it, and its end", async () => {
		const offset = readFileSync(image.disk).indexOf("measured measured ") + 100_000;
		await using machine = await Machine.start(image, { disk: brokenDisk("file", offset) });
		const run = finish(machine, { arguments: ["sh", "-c", "actor read-file /etc/victim; sleep 60"] });
		run.catch(() => {});
		await refuses(machine, "verity", /a block of the root is not what was measured/);
		const output = machine.peer.text(STREAM.stdout);
		assert.ok(output === "/etc/victim EIO\n" || output === "", output);
	});

	for (const [what, said, change] of COMMAND_LINES) {
		test(what, async () => {
			await using machine = await Machine.start(image, { words: change(image.words) });
			await refuses(machine, "verity", said);
		});
	}

	for (const [what, said, frames] of VIOLATIONS) {
		test(`${what}, from the host`, async () => {
			await using machine = await Machine.start(image);
			const { peer }: { peer: Peer } = machine;
			await peer.frame(TYPE.ready);
			peer.raw(Buffer.concat(frames()));
			await refuses(machine, "protocol", said);
		});
	}

	for (const [what, said, records] of SETUPS) {
		test(`${what}, at set-up`, async () => {
			await using machine = await Machine.start(image);
			await machine.peer.greet();
			await machine.peer.sendData(STREAM.setup, Buffer.concat(records));
			await refuses(machine, "setup", said);
		});
	}

	test("more input than its credit: what a pipe takes and what was granted, and not a frame more", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		await peer.greet();
		await peer.sendData(STREAM.setup, setup({ arguments: ["sleep", "100"] }));
		await peer.until(() => peer.credit.has(STREAM.stdin), "the start");
		await peer.sendData(STREAM.stdin, Buffer.alloc(512 << 10));
		peer.send(TYPE.ping, 0);
		await peer.frame(TYPE.pong);
		peer.send(TYPE.data, STREAM.stdin, Buffer.alloc(65536));
		await refuses(machine, "protocol", /more than the credit of stream 1/);
	});

	test("to live on when its host is gone", async () => {
		await using machine = await Machine.start(image);
		await machine.peer.greet();
		await machine.peer.sendData(STREAM.setup, setup({ arguments: ["sleep", "100"] }));
		await machine.peer.until(() => machine.peer.credit.has(STREAM.stdin), "the start");
		machine.peer.close();
		assert.ok(await machine.ends());
		assert.match(machine.console, /vouch: the host is gone/);
	});

	test("to stay when it is told to power off", async () => {
		await using machine = await Machine.start(image);
		await machine.peer.greet();
		machine.peer.send(TYPE.powerOff, 0);
		assert.ok(await machine.ends());
	});
});

describe("a guest of another architecture", { skip: missingFor("riscv64") ?? false }, () => {
	test("a riscv64 machine verifies its root, runs a command and carries its network", async () => {
		await using machine = await Machine.start(guestImage("riscv64"), { memoryMiB: 512 });
		const { peer } = machine;
		peer.onOpen = (id) => {
			peer.send(TYPE.credit, id, word(1 << 18));
			peer.send(TYPE.end, id);
		};
		const { exit, output } = await finish(machine, { arguments: ["actor", "talk", "1.2.3.4", "80"] });
		assert.deepEqual([exit.how, exit.code, output], ["exited", 0, ""]);
		assert.equal(peer.find(TYPE.open)?.payload.subarray(24, 28).join("."), "1.2.3.4");
	});

	test("and its workloads reach nothing of the machine either", async () => {
		await using machine = await Machine.start(guestImage("riscv64"), { memoryMiB: 512 });
		const { output } = await finish(machine, { arguments: ["actor", "attack"] });
		const done = output.split("\n").filter((line) => line.endsWith(" done"));
		assert.ok(
			done.every((line) => line === "/proc/kcore done"),
			output,
		);
		assert.match(output, /^vsock EAFNOSUPPORT$/m);
	});
});
