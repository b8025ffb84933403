import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { testGate, until, witness } from "../../test/egress/gate-fixture.ts";
import { VouchError } from "../core/index.ts";
import { parseUpstreamProxy } from "./dial.ts";

/** A proxy that takes every CONNECT to one server, whatever name it is asked for. */
function connectProxy(target: () => number) {
	const joined = new Map<Socket, Socket>();
	return witness((socket, chunk) => {
		const known = joined.get(socket);
		if (known !== undefined) {
			known.write(chunk);
			return;
		}
		const upstream = connect(target(), "127.0.0.1");
		joined.set(socket, upstream);
		upstream.on("data", (bytes) => socket.write(bytes));
		upstream.on("error", () => socket.destroy());
		upstream.on("connect", () => socket.write("HTTP/1.1 200 OK\r\n\r\n"));
		socket.on("close", () => upstream.destroy());
	});
}

for (const [name, addresses, asked, words] of [
	["pinned", ["203.0.113.7"], "203.0.113.7:443", /to the address judged here/],
	["unresolvable", [], "far.example.test:443", /looked the name up itself/],
] as const) {
	test(`an upstream proxy is asked for the ${name} destination`, async (context) => {
		const server = await witness((socket, chunk) => socket.write(chunk));
		const proxy = await connectProxy(() => server.port);
		const gate = await testGate({
			rules: { allow: ["far.example.test:443"] },
			names: { "far.example.test": addresses },
			upstreamProxy: parseUpstreamProxy(`http://me:secret@127.0.0.1:${proxy.port}`, "localhost"),
		});
		context.after(async () => {
			await gate.stop();
			proxy.close();
			server.close();
		});
		const socket = gate.toProxy();
		socket.write("CONNECT far.example.test:443 HTTP/1.1\r\nHost: far.example.test\r\n\r\n\0hello");
		await until(socket, "\0hello");
		assert.ok(proxy.received().startsWith(`CONNECT ${asked} HTTP/1.1\r\nHost: ${asked}\r\n`));
		assert.match(proxy.received(), /Proxy-Authorization: Basic bWU6c2VjcmV0\r\n/);
		const [entry] = await gate.entries();
		assert.match(entry?.detail ?? "", words);
		assert.deepEqual([entry?.bytesUp, entry?.bytesDown], [6, 6]);
	});
}

test("what NO_PROXY names, and loopback, goes without it", async (context) => {
	const server = await witness((socket, chunk) => socket.write(chunk));
	const proxy = await witness();
	const gate = await testGate({
		rules: { allow: [`127.0.0.1:${server.port}`] },
		upstreamProxy: parseUpstreamProxy(`127.0.0.1:${proxy.port}`, ""),
	});
	context.after(async () => {
		await gate.stop();
		proxy.close();
		server.close();
	});
	const socket = gate.toAddress("127.0.0.1", server.port);
	socket.write("x");
	await until(socket, "x");
	assert.equal(proxy.connections(), 0);
});

test("proxies that are not plain HTTP are refused by name, without their password", () => {
	for (const url of ["https://me:secret@proxy:1", "socks5://proxy:1", "http://", "http://a b:1"]) {
		assert.throws(
			() => parseUpstreamProxy(url, ""),
			(error) =>
				error instanceof VouchError && error.code === "invalid-upstream-proxy" && !/secret/.test(error.message),
		);
	}
});
