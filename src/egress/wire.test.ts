import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { Wire } from "./wire.ts";

const SIZE = 24 * 2 ** 20;
const opened: { destroy(): void }[] = [];
const servers: Server[] = [];

afterEach(() => {
	for (const socket of opened.splice(0)) socket.destroy();
	for (const server of servers.splice(0)) server.close();
});

async function listener(onSocket: (socket: Socket) => void): Promise<number> {
	const server = createServer({ allowHalfOpen: true }, (socket) => {
		opened.push(socket);
		onSocket(socket);
	});
	servers.push(server);
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return (server.address() as AddressInfo).port;
}

/** A client whose bytes an accepted wire relays to a dialled one, as an approved upload goes. */
async function uploadTo(
	port: number,
): Promise<{ readonly client: Socket; readonly wires: Promise<readonly [Wire, Wire]> }> {
	const { promise: wires, resolve } = Promise.withResolvers<readonly [Wire, Wire]>();
	const entrance = await listener((socket) => {
		const from = Wire.accepted(socket);
		const to = Wire.dial("127.0.0.1", port);
		opened.push(to);
		from.relayTo(to);
		resolve([from, to]);
	});
	const client = connect({ host: "127.0.0.1", port: entrance, allowHalfOpen: true });
	client.on("error", () => undefined);
	opened.push(client);
	return { client, wires };
}

describe("a relayed upload", () => {
	it("arrives whole at a reader that stops and starts", async () => {
		const sent = randomBytes(SIZE);
		const received = createHash("sha256");
		const { promise: ended, resolve } = Promise.withResolvers<void>();
		const port = await listener((socket) => {
			let until = 2 ** 20;
			let bytes = 0;
			socket.on("data", (chunk) => {
				received.update(chunk);
				bytes += chunk.length;
				if (bytes < until) return;
				until = bytes + 2 ** 20;
				socket.pause();
				setTimeout(() => socket.resume(), 2);
			});
			socket.on("end", resolve);
		});
		const { client, wires } = await uploadTo(port);
		client.end(sent);
		const [from, to] = await wires;
		await ended;
		assert.equal(received.digest("hex"), createHash("sha256").update(sent).digest("hex"));
		assert.deepEqual([from.bytesIn, to.bytesOut], [SIZE, SIZE]);
	});

	it("survives a reader that goes away in the middle of it", async () => {
		for (let round = 0; round < 20; round += 1) {
			const port = await listener((socket) => {
				socket.on("error", () => undefined);
				socket.once("data", () => (round % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()));
			});
			const { client, wires } = await uploadTo(port);
			client.write(Buffer.alloc(2 ** 21, round));
			const [, to] = await wires;
			await to.closed;
			assert.ok(to.bytesOut > 0);
			client.destroy();
		}
	});
});
