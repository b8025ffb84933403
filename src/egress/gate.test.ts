import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
	type Behaviour,
	clientHello,
	readAll,
	type TestGate,
	type TestGateOptions,
	talk,
	testGate,
	until,
	type Witness,
	witness,
} from "../../test/egress/gate-fixture.ts";
import { digestOf } from "../core/index.ts";
import { ledgerEntrySchema, ledgerSummarySchema } from "./schema.ts";

const NAME = "good.example.test";

interface Stage {
	readonly server: Witness;
	readonly gate: TestGate;
}

/** One server that rules allow by name, and a gate. */
async function stage(
	context: { after(end: () => Promise<void>): void },
	options: TestGateOptions & { behave?: Behaviour; greeting?: string } = {},
): Promise<Stage> {
	const { behave, greeting, ...rest } = options;
	const server = await witness(behave, greeting);
	const gate = await testGate({
		names: { [NAME]: ["127.0.0.1"] },
		...rest,
		rules: { allow: [`${NAME}:${server.port}`, `127.0.0.1:${server.port}`], ...rest.rules },
	});
	context.after(async () => {
		await gate.stop();
		server.close();
	});
	return { server, gate };
}

const echo: Behaviour = (socket, chunk) => socket.write(chunk);
const connectHead = ({ server }: Stage): string => `CONNECT ${NAME}:${server.port} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`;

test("an allowed tunnel carries opaque bytes both ways and ends with half-closes", async (context) => {
	const scene = await stage(context, { behave: echo });
	const socket = scene.gate.toProxy();
	socket.write(connectHead(scene));
	await until(socket, "\r\n\r\n");
	socket.write("\0hello");
	await until(socket, "\0hello");
	socket.end("\0bye");
	assert.equal(await readAll(socket), "\0bye");
	const [entry] = await scene.gate.entries();
	assert.equal(entry?.verdict, "allowed");
	assert.deepEqual([entry?.bytesUp, entry?.bytesDown, entry?.address], [10, 10, "127.0.0.1"]);
	assert.equal(entry?.bytesWithheld, connectHead(scene).length);
	assert.ok(ledgerEntrySchema.safeParse(entry).success);
});

test("a server that speaks first is heard before the client says anything", async (context) => {
	const scene = await stage(context, { behave: echo, greeting: "220 welcome\r\n" });
	const socket = scene.gate.toAddress(await scene.gate.resolve(NAME), scene.server.port);
	await until(socket, "welcome");
	socket.write("EHLO me\r\n");
	await until(socket, "EHLO me");
	socket.destroy();
});

test("TLS with the allowed name passes whole, in one record or many", async (context) => {
	const scene = await stage(context, { behave: () => undefined });
	const hello = clientHello({ sni: NAME.toUpperCase(), recordBytes: 9 });
	const socket = scene.gate.toAddress(await scene.gate.resolve(NAME), scene.server.port);
	socket.write(hello.subarray(0, 20));
	await delay(20);
	assert.equal(scene.server.received(), "");
	socket.write(hello.subarray(20));
	while (scene.server.received().length < hello.length) await delay(5);
	assert.equal(scene.server.received(), hello.toString("latin1"));
	assert.equal((await scene.gate.entries())[0]?.sni, NAME.toUpperCase());
});

test("requests on a kept connection are judged one by one", async (context) => {
	const scene = await stage(context);
	const { port } = scene.server;
	const socket = scene.gate.toProxy();
	const ask = (host: string, path: string): string =>
		`GET http://${host}:${port}${path} HTTP/1.1\r\nHost: other\r\n\r\n`;
	socket.write(
		`${ask(NAME, "/1?secret=1")}${ask("127.0.0.1", "/2")}${ask("evil.example.test", "/3")}${ask(NAME, "/4")}`,
	);
	const said = await readAll(socket);
	assert.equal(said.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
	assert.match(said, /403 Forbidden.*egress denied: NOT_IN_ALLOWLIST/s);
	assert.match(
		scene.server.received(),
		/^GET \/1\?secret=1 HTTP\/1\.1\r\nHost: good\.example\.test:\d+\r\n\r\nGET \/2 /,
	);
	assert.doesNotMatch(scene.server.received(), /\/3|\/4|other/);
	const entries = await scene.gate.entries();
	assert.deepEqual(
		entries.map((entry) => [entry.host, entry.verdict, entry.requests]),
		[
			[NAME, "allowed", ["GET /1"]],
			["127.0.0.1", "allowed", ["GET /2"]],
			["evil.example.test", "refused", ["GET /3"]],
		],
	);
});

test("hop-by-hop fields, foreign upgrades and the client's own framing do not pass", async (context) => {
	const scene = await stage(context);
	const head = `POST http://${NAME}:${scene.server.port}/ HTTP/1.1\r\nHost: x\r\nConnection: close, x-private\r\nX-Private: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\nProxy-Authorization: b\r\nX-Kept: yes\r\nTransfer-Encoding: chunked\r\n\r\n`;
	const said = await talk(scene.gate.toProxy(), `${head}5;ext=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n`);
	assert.match(said, /200 OK/);
	const got = scene.server.received();
	assert.equal(
		got,
		`POST / HTTP/1.1\r\nHost: ${NAME}:${scene.server.port}\r\nX-Kept: yes\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
	);
});

test("a malformed chunk ends the request before what follows is sent", async (context) => {
	const scene = await stage(context, { behave: () => undefined });
	const head = `POST http://${NAME}:${scene.server.port}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
	const said = await talk(scene.gate.toProxy(), `${head}5\r\nhello\r\n-1\r\nGET /SMUGGLED HTTP/1.1\r\n\r\n`);
	assert.match(said, /^HTTP\/1\.1 400 /);
	assert.doesNotMatch(scene.server.received(), /SMUGGLED/);
});

test("bytes after a response never answer the next request", async (context) => {
	let asked = 0;
	const scene = await stage(context, {
		behave: (socket) => {
			asked += 1;
			const planted = asked === 1 ? "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nPLANTED" : "";
			socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${asked}${planted}`);
		},
	});
	const ask = `GET http://${NAME}:${scene.server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
	const socket = scene.gate.toProxy();
	socket.write(ask);
	await until(socket, "\r\n\r\n1");
	socket.write(ask);
	assert.doesNotMatch(await until(socket, "\r\n\r\n2"), /PLANTED/);
	assert.equal(scene.server.connections(), 2);
	socket.destroy();
});

test("a response that comes before its request, on a stream, answers nothing", async (context) => {
	let asked = 0;
	const scene = await stage(context, {
		behave: (socket) => {
			asked += 1;
			socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${asked}`);
			if (asked === 1) setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nPLANTED"), 20);
		},
	});
	const socket = scene.gate.toAddress(await scene.gate.resolve(NAME), scene.server.port);
	const ask = `GET / HTTP/1.1\r\nHost: ${NAME}:${scene.server.port}\r\n\r\n`;
	socket.write(ask);
	await until(socket, "\r\n\r\n1");
	await delay(60);
	socket.write(ask);
	assert.doesNotMatch(await until(socket, "\r\n\r\n2"), /PLANTED/);
	socket.destroy();
});

test("a response framed twice becomes 502, one that ends with its connection passes whole", async (context) => {
	let asked = 0;
	const scene = await stage(context, {
		behave: (socket) => {
			asked += 1;
			if (asked === 1)
				socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
			else socket.end("HTTP/1.0 200 OK\r\n\r\nall of it");
		},
	});
	const ask = `GET http://${NAME}:${scene.server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
	assert.match(await talk(scene.gate.toProxy(), ask), /^HTTP\/1\.1 502 /);
	assert.match(await talk(scene.gate.toProxy(), ask), /Connection: close\r\n\r\nall of it$/);
});

test("interim answers and WebSocket upgrades pass", async (context) => {
	const scene = await stage(context, {
		behave: (socket, chunk) => {
			const text = chunk.toString("latin1");
			if (text.includes("Expect")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
			else if (text.includes("Upgrade: websocket"))
				socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
			else if (text.startsWith("body")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
			else socket.write(chunk);
		},
	});
	const base = `http://${NAME}:${scene.server.port}/`;
	const posting = scene.gate.toProxy();
	posting.write(`POST ${base} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`);
	await until(posting, "100 Continue\r\n\r\n");
	posting.write("body");
	await until(posting, "\r\n\r\nok");
	posting.destroy();
	const socket = scene.gate.toProxy();
	socket.write(`GET ${base} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
	await until(socket, "101 Switching Protocols");
	socket.write("\x81frame");
	await until(socket, "frame");
	socket.destroy();
});

test("many megabytes pass unchanged both ways while the reader is slow", async (context) => {
	const scene = await stage(context, { behave: echo });
	const socket = scene.gate.toProxy();
	socket.write(connectHead(scene));
	await until(socket, "\r\n\r\n");
	const sent = createHash("sha256");
	const got = createHash("sha256");
	let received = 0;
	const finished = new Promise<void>((done) => {
		socket.on("data", (chunk: Buffer) => {
			got.update(chunk);
			received += chunk.length;
			if (received % 7 === 0) {
				socket.pause();
				setTimeout(() => socket.resume(), 1);
			}
		});
		socket.on("end", done);
	});
	for (let piece = 0; piece < 64; piece += 1) {
		const bytes = piece === 0 ? Buffer.concat([Buffer.alloc(1), randomBytes(262_143)]) : randomBytes(262_144);
		sent.update(bytes);
		if (!socket.write(bytes)) await new Promise((done) => socket.once("drain", done));
	}
	socket.end();
	await finished;
	assert.equal(received, 64 * 262_144);
	assert.equal(got.digest("hex"), sent.digest("hex"));
	const [entry] = await scene.gate.entries();
	assert.deepEqual([entry?.bytesUp, entry?.bytesDown], [received, received]);
});

test("a client that reads nothing stops the server instead of filling memory", async (context) => {
	let pushed = 0;
	const scene = await stage(context, {
		behave: (socket) => {
			const block = Buffer.alloc(1 << 20);
			const push = (): void => {
				while (pushed < 256 && socket.write(block)) pushed += 1;
				pushed += 1;
				if (pushed < 256) socket.once("drain", push);
			};
			push();
		},
	});
	const socket = scene.gate.toProxy();
	socket.write(connectHead(scene));
	await until(socket, "\r\n\r\n");
	socket.pause();
	socket.write("\0go");
	await delay(300);
	assert.ok(pushed < 64, `the server could push ${pushed} MiB`);
	socket.destroy();
});

test("idle connections are cut, and so are those past the total time", async (context) => {
	for (const limits of [{ idleMs: 100 }, { totalMs: 150, idleMs: 60_000 }]) {
		const scene = await stage(context, { behave: echo, limits });
		const socket = scene.gate.toProxy();
		socket.write(connectHead(scene));
		await until(socket, "\r\n\r\n");
		const ended = once(socket, "end");
		socket.resume();
		await ended;
		socket.destroy();
	}
});

test("the connection goes to the address that was judged, and to the next one when that is dead", async (context) => {
	let asked = 0;
	const flip = (): readonly string[] => {
		asked += 1;
		return asked === 1 ? ["10.9.9.9", "127.0.0.9", "127.0.0.1"] : ["127.0.0.2"];
	};
	const server = await witness(echo);
	const gate = await testGate({
		rules: { allow: [`${NAME}:${server.port}`, `127.0.0.1:${server.port}`, `127.0.0.9:${server.port}`] },
		names: { [NAME]: flip },
	});
	context.after(async () => {
		await gate.stop();
		server.close();
	});
	const socket = gate.toProxy();
	socket.write(`CONNECT ${NAME}:${server.port} HTTP/1.1\r\nHost: ${NAME}\r\n\r\n\0x`);
	await until(socket, "\0x");
	assert.equal(asked, 1);
	assert.equal((await gate.entries())[0]?.address, "127.0.0.1");
});

test("a tunnel by query names asks nobody and takes bounded room", async (context) => {
	const { gate } = await stage(context, { limits: { dnsNamesListed: 20 } });
	for (let index = 0; index < 200; index += 1) {
		assert.equal(await gate.resolve(`${"x".repeat(40)}${index}.tunnel.evil.test`), "code 3");
	}
	assert.equal(await gate.resolve(NAME, 28), "no data");
	assert.match(await gate.resolve(NAME), /^198\.18\.0\.\d+$/);
	assert.deepEqual(gate.lookups, []);
	const entries = await gate.entries();
	assert.equal(entries.length, 21);
	assert.equal(
		entries.reduce((sum, entry) => sum + entry.attempts, 0),
		200,
	);
	assert.equal(entries.at(-1)?.host, "*.evil.test");
});

test("past its bound the ledger refuses and counts", async (context) => {
	const { gate, server } = await stage(context, { limits: { ledgerEntries: 2 } });
	for (let index = 0; index < 5; index += 1) {
		await talk(gate.toProxy(), `CONNECT 127.0.0.1:${index + 1} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
	}
	const said = await talk(gate.toProxy(), `GET http://127.0.0.1:${server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`);
	assert.match(said, /^HTTP\/1\.1 502/);
	assert.equal(server.received(), "");
	const { summary } = await gate.gate.close({ counters: null, merkleRoot: () => digestOf("") });
	assert.deepEqual([summary.entries, summary.overflow, summary.refused], [2, 4, 6]);
	assert.ok(ledgerSummarySchema.safeParse(summary).success);
});

test("kernel counts decide what was withheld, and refused datagrams are entries", async (context) => {
	const { gate } = await stage(context);
	const socket = gate.toAddress("93.184.216.34", 443);
	await talk(socket, "offered");
	const headerless = 7;
	gate.gate.noteSupervisorEvent({
		event: "datagram",
		protocol: 17,
		source: "10.0.2.2",
		destination: "8.8.8.8",
		port: 53,
		bytes: 40,
		packets: 2,
	});
	gate.gate.noteSupervisorEvent({
		event: "datagram",
		protocol: 17,
		source: "10.0.2.2",
		destination: "8.8.8.8",
		port: 53,
		bytes: 40,
		packets: 3,
	});
	gate.gate.noteSupervisorEvent({
		event: "datagram",
		protocol: 1,
		source: "10.0.2.2",
		destination: "8.8.8.8",
		port: 0,
		bytes: 8,
		packets: 1,
	});
	const counters = {
		txBytes: 10 * 114 + headerless + 88,
		txPackets: 10,
		rxBytes: 0,
		rxPackets: 0,
		retransmittedBytes: 0,
	};
	const { summary, entries } = await gate.gate.close({ counters, merkleRoot: () => digestOf("") });
	assert.equal(summary.reconciliation.verdict, "agrees");
	assert.equal(summary.reconciliation.explainedBytes, headerless + 88);
	assert.deepEqual(
		entries.map((entry) => [entry.protocol, entry.attempts, entry.bytesWithheld]),
		[
			["tcp", 1, 7],
			["udp", 5, 80],
			["icmp", 1, 8],
		],
	);
});

test("the socket is private, and nothing of the gate is left after close", async (context) => {
	const { gate, server } = await stage(context, { behave: echo });
	assert.equal((await stat(gate.gate.socketPath)).mode & 0o777, 0o600);
	const socket = gate.toAddress("127.0.0.1", server.port);
	socket.write("x");
	await until(socket, "x");
	const closed = readAll(socket);
	const [first, second] = [gate.entries(), gate.entries()];
	assert.deepEqual(await first, await second);
	await closed;
	await assert.rejects(stat(gate.gate.socketPath));
});

test("the process behind a connection is asked for by its port", async (context) => {
	const seen: string[] = [];
	const scene = await stage(context, {
		processOf: async ({ address, port }) => {
			seen.push(`${address} ${port > 0}`);
			return { pid: 42, name: "curl" };
		},
	});
	await talk(scene.gate.toAddress("93.184.216.34", 443), "x");
	assert.deepEqual((await scene.gate.entries())[0]?.process, { pid: 42, name: "curl" });
	assert.deepEqual(seen, ["10.0.2.2 true"]);
});

test("malformed carrier lines and floods of connections cost nothing", async (context) => {
	const { gate, server } = await stage(context, { limits: { connections: 4, carrierHeaderMs: 100 } });
	const held = [1, 2, 3, 4].map(() => gate.toProxy());
	await delay(30);
	assert.equal(await talk(gate.toProxy(), `GET http://127.0.0.1:${server.port}/ HTTP/1.1\r\nHost: x\r\n\r\n`), "");
	for (const socket of held) socket.destroy();
	assert.equal(server.received(), "");
	assert.match((await gate.entries())[0]?.detail ?? "", /too many connections/);
});
