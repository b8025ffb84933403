import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import test, { before, describe } from "node:test";
import { type GuestImage, guestImage, missingFor } from "./guest-image.ts";
import { finish, Machine } from "./machine.ts";
import { type Peer, STREAM, TYPE, word } from "./peer.ts";
import { listenerAt, record, setup } from "./records.ts";

const skip = missingFor("amd64") ?? false;

interface Opened {
	readonly id: number;
	readonly kind: "tcp" | "dns";
	readonly source: string;
	readonly destination: string;
}

function addressOf(family: number, bytes: Buffer): string {
	if (family === 4) return [...bytes.subarray(0, 4)].join(".");
	const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
	return `[${groups.join(":")}]`;
}

function readOpen(id: number, open: Buffer): Opened {
	const family = open.readUInt8(1);
	assert.equal(open.length, 40);
	const destination = `${addressOf(family, open.subarray(24))}:${open.readUInt16LE(4)}`;
	const source = addressOf(family, open.subarray(8));
	return { id, kind: open.readUInt8(0) === 1 ? "tcp" : "dns", source, destination };
}

/** Takes every connection and hands it to `serve`, with credit given. */
function serveAll(peer: Peer, serve: (opened: Opened) => Promise<void> | void): Opened[] {
	const all: Opened[] = [];
	peer.onOpen = (id, open) => {
		const opened = readOpen(id, open);
		all.push(opened);
		peer.send(TYPE.credit, id, word(1 << 18));
		void serve(opened);
	};
	return all;
}

/** An answer of one address, or of none, to a question as it came over TCP. */
function answerTo(question: Buffer): Buffer {
	const message = Buffer.from(question.subarray(2));
	const isA = message.readUInt16BE(message.length - 4) === 1;
	message.writeUInt8(message.readUInt8(2) | 0x80, 2);
	message.writeUInt16BE(isA ? 1 : 0, 6);
	const address = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, 9]);
	const answer = isA ? Buffer.concat([message, address]) : message;
	const size = Buffer.alloc(2);
	size.writeUInt16BE(answer.length);
	return Buffer.concat([size, answer]);
}

describe("the network of a guest, which has no card", { concurrency: 2, skip }, () => {
	let image: GuestImage;
	before(() => {
		image = guestImage("amd64");
	});

	test("every TCP connection arrives with the address it was made to, and carries both ways", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		const opened = serveAll(peer, async ({ id }) => {
			await peer.sendData(id, Buffer.from(`welcome ${id}\n`));
			peer.send(TYPE.end, id);
		});
		const script = [
			"echo one | actor talk 1.2.3.4 80",
			"echo two | actor talk 2001:db8::5 8080",
			"echo three | actor talk 10.0.2.1 9080",
			"echo four | actor talk 127.0.0.1 5432",
			"echo five | actor talk 127.0.0.1 5433; echo six | actor talk 10.0.2.2 80; echo seven | actor talk ::1 80",
		].join("; ");
		const listener = record("n", listenerAt("127.0.0.1", 5432));
		const { output } = await finish(machine, { arguments: ["sh", "-c", script], mounts: [listener] });
		assert.deepEqual(
			opened.map(({ id, kind, source, destination }) => [id, kind, source, destination]),
			[
				[16, "tcp", "10.0.2.2", "1.2.3.4:80"],
				[18, "tcp", "[fd00:766f:0:0:0:0:0:2]", "[2001:db8:0:0:0:0:0:5]:8080"],
				[20, "tcp", "10.0.2.2", "10.0.2.1:9080"],
				[22, "tcp", "127.0.0.1", "127.0.0.1:5432"],
			],
		);
		const welcomes = [16, 18, 20, 22].map((id) => `welcome ${id}\n`).join("");
		assert.equal(output, `${welcomes}${"connect ECONNREFUSED\n".repeat(3)}`);
		assert.equal([16, 18, 20, 22].map((id) => peer.text(id)).join(""), "one\ntwo\nthree\nfour\n");
		assert.ok([16, 18, 20, 22].every((id) => peer.ended.has(id)));
	});

	test("a connection that the host resets breaks in the workload", async () => {
		await using machine = await Machine.start(image);
		serveAll(machine.peer, ({ id }) => machine.peer.send(TYPE.reset, id, word(1)));
		const { output } = await finish(machine, { arguments: ["sh", "-c", "sleep 1 | actor talk 1.2.3.4 80"] });
		assert.match(output, /^(?:connect|send|receive) (?:ECONNRESET|EPIPE)\n$/);
	});

	test("many bytes go both ways at once over several connections, unchanged", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		const bytes = randomBytes(3 << 20);
		const digest = createHash("sha256").update(bytes).digest("hex");
		serveAll(peer, async ({ id }) => {
			await peer.sendData(id, bytes);
			peer.send(TYPE.end, id);
		});
		const talk = "seq 1 100000 | actor talk 9.9.9.9 443 | sha256sum";
		const script = `for i in 1 2 3 4; do (${talk}) & done; wait`;
		const { output } = await finish(machine, { arguments: ["sh", "-c", script] });
		assert.equal(output, `${digest}  -\n`.repeat(4));
		const numbers = Array.from({ length: 100_000 }, (_, index) => `${index + 1}\n`).join("");
		for (const id of [16, 18, 20, 22]) assert.ok(peer.text(id) === numbers, `stream ${id}`);
	});

	test("questions to the gate's resolver are carried and answered, those to any other refused and reported", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		const opened = serveAll(peer, async ({ id }) => {
			await peer.until(() => peer.bytes(id).length > 2, "the question");
			await peer.sendData(id, answerTo(peer.bytes(id)));
		});
		const ask = "nslookup -type=a one.example";
		const script = `${ask}; ${ask} fd00:766f::1; actor datagram 8.8.8.8 53`;
		const { output } = await finish(machine, { arguments: ["sh", "-c", script] });
		assert.equal(output.match(/Address: 198\.18\.0\.9/g)?.length, 2, output);
		assert.match(output, /send done\nreceive EAGAIN\n$/);
		const asked = opened.map(({ kind, destination }) => `${kind} ${destination}`);
		assert.deepEqual(asked, ["dns 10.0.2.1:53", "dns [fd00:766f:0:0:0:0:0:1]:53"]);
		assert.deepEqual(refusedBy(peer), [[17, "8.8.8.8", 53, 100]]);
	});

	test("other datagrams are refused at once and reported", async () => {
		await using machine = await Machine.start(image);
		const script = "actor datagram 9.9.9.9 123; actor datagram 2001:db8::7 443; actor datagram 127.0.0.1 9";
		const { output } = await finish(machine, { arguments: ["sh", "-c", script] });
		assert.equal(output, "send done\nreceive ECONNREFUSED\n".repeat(3));
		assert.deepEqual(refusedBy(machine.peer), [
			[17, "9.9.9.9", 123, 100],
			[17, "[2001:db8:0:0:0:0:0:7]", 443, 100],
		]);
	});

	test("what a workload sent before its end is carried before its end is told", async () => {
		await using machine = await Machine.start(image);
		const { peer } = machine;
		serveAll(peer, () => {});
		await peer.greet();
		const script = "(seq 1 10000; sleep 0.3; echo last) | actor talk 1.1.1.1 1 & sleep 1; kill -9 $!";
		await peer.sendData(STREAM.setup, setup({ arguments: ["sh", "-c", script] }));
		await peer.exit();
		assert.match(peer.text(16), /\nlast\n$/);
		assert.ok(peer.ended.has(16) || peer.resets.has(16));
	});
});

/** Protocol, address, port and bytes of each datagram that the guest said it refused. */
function refusedBy(peer: Machine["peer"]): readonly (readonly (number | string)[])[] {
	return peer.frames
		.filter(({ type }) => type === TYPE.refusedDatagram)
		.map(({ payload }) => [
			payload.readUInt8(0),
			addressOf(payload.readUInt8(1), payload.subarray(8)),
			payload.readUInt16LE(2),
			payload.readUInt32LE(4),
		]);
}
