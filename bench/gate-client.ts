/**
 * The load generator of the gate bench. Runs by itself, in a sandbox as well as outside: it imports nothing of ours. The
 * same bytes for every proxy, over bare sockets, so that what differs is the path.
 *
 *   node gate-client.ts TARGET_HOST:PORT [PROXY_HOST:PORT]      prints one JSON object
 */
import { connect, type Socket } from "node:net";

const DOWNLOAD_BYTES = 256 * 2 ** 20;
const UPLOAD_BYTES = 128 * 2 ** 20;
const REQUESTS = 1_200;
const AT_ONCE = 16;
const CONNECTIONS = 300;

const [target = "", proxy] = process.argv.slice(2);

function dial(): Promise<Socket> {
	const address = proxy ?? target;
	const at = address.lastIndexOf(":");
	const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
	const { promise, resolve, reject } = Promise.withResolvers<Socket>();
	socket.once("connect", () => resolve(socket)).once("error", reject);
	return promise;
}

/** The bytes up to the end of a response head; what follows goes back into the socket. */
function readHead(socket: Socket): Promise<string> {
	const { promise, resolve, reject } = Promise.withResolvers<string>();
	let head = Buffer.alloc(0);
	const take = () => {
		for (let part = socket.read(); part !== null; part = socket.read()) {
			head = Buffer.concat([head, part]);
			const end = head.indexOf("\r\n\r\n");
			if (end === -1) continue;
			socket.off("readable", take);
			if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
			return resolve(head.toString("latin1", 0, end));
		}
	};
	socket.on("readable", take).once("error", reject);
	socket.once("end", () => reject(new Error(`closed after "${head.toString("latin1", 0, 200)}"`)));
	return promise;
}

async function expectOk(socket: Socket): Promise<void> {
	const head = await readHead(socket);
	if (!/^HTTP\/1\.[01] 200 /.test(head)) throw new Error(`answered "${head.slice(0, 200)}"`);
}

/** A connection to the target: through a CONNECT tunnel when there is a proxy. */
async function tunnel(): Promise<Socket> {
	const socket = await dial();
	if (proxy === undefined) return socket;
	socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
	await expectOk(socket);
	return socket;
}

function drain(socket: Socket): Promise<number> {
	const { promise, resolve, reject } = Promise.withResolvers<number>();
	let bytes = 0;
	socket.on("data", (part) => {
		bytes += part.length;
	});
	socket.once("end", () => resolve(bytes)).once("error", reject);
	socket.resume();
	return promise;
}

async function downloadMiBPerSecond(): Promise<number> {
	const socket = await tunnel();
	const startMs = performance.now();
	socket.write(`GET /bytes/${DOWNLOAD_BYTES} HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`);
	await expectOk(socket);
	const bytes = await drain(socket);
	const seconds = (performance.now() - startMs) / 1000;
	socket.destroy();
	if (bytes !== DOWNLOAD_BYTES) throw new Error(`${bytes} bytes came, not ${DOWNLOAD_BYTES}`);
	return bytes / 2 ** 20 / seconds;
}

async function uploadMiBPerSecond(): Promise<number> {
	const socket = await tunnel();
	const block = Buffer.alloc(2 ** 18, "u");
	const startMs = performance.now();
	socket.write(
		`POST /sink HTTP/1.1\r\nHost: ${target}\r\nContent-Length: ${UPLOAD_BYTES}\r\nConnection: close\r\n\r\n`,
	);
	for (let sent = 0; sent < UPLOAD_BYTES; sent += block.length) {
		if (!socket.write(block)) await new Promise((resolve) => socket.once("drain", resolve));
	}
	await expectOk(socket);
	const seconds = (performance.now() - startMs) / 1000;
	socket.destroy();
	return UPLOAD_BYTES / 2 ** 20 / seconds;
}

/** Plain HTTP, a connection for each: tinyproxy keeps none open. */
async function oneRequest(): Promise<void> {
	const socket = await dial();
	const address = proxy === undefined ? "/ping" : `http://${target}/ping`;
	socket.write(`GET ${address} HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`);
	await expectOk(socket);
	await drain(socket);
	socket.destroy();
}

async function requestsPerSecond(): Promise<number> {
	let left = REQUESTS;
	const startMs = performance.now();
	const worker = async () => {
		while (left > 0) {
			left -= 1;
			await oneRequest();
		}
	};
	await Promise.all(Array.from({ length: AT_ONCE }, worker));
	return REQUESTS / ((performance.now() - startMs) / 1000);
}

/** Milliseconds from dialling to the first byte of the target's answer, one connection after the other. */
async function firstByteMs(): Promise<readonly number[]> {
	const samples: number[] = [];
	for (let count = 0; count < CONNECTIONS; count += 1) {
		const startMs = performance.now();
		const socket = await tunnel();
		socket.write(`GET /ping HTTP/1.1\r\nHost: ${target}\r\nConnection: close\r\n\r\n`);
		await expectOk(socket);
		samples.push(performance.now() - startMs);
		socket.destroy();
	}
	return samples;
}

await firstByteMs();
const found = {
	firstByteMs: await firstByteMs(),
	requestsPerSecond: await requestsPerSecond(),
	downloadMiBPerSecond: await downloadMiBPerSecond(),
	uploadMiBPerSecond: await uploadMiBPerSecond(),
};
process.stdout.write(`${JSON.stringify(found)}\n`);
