import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { digestOf } from "../../core/index.ts";
import { realHost } from "../../host/index.ts";
import { parseRegistryReference } from "./reference.ts";
import { Session } from "./session.ts";
import { uploadBlob } from "./upload.ts";

/** A registry that keeps what came of a chunk when its connection is lost, as distribution-spec 1.1 has it. */
class KeepingRegistry {
	readonly kept: Buffer[] = [];
	readonly ranges: string[] = [];
	receivedBytes = 0;
	cuts: number[] = [];
	/** Set, it forgets an upload that was cut. */
	memory: "keeps" | "forgets" = "keeps";
	#gone = false;
	stored = false;

	async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const size = () => this.kept.reduce((sum, { length }) => sum + length, 0);
		const state = () => ({ location: "/v2/a/blobs/uploads/1?state=x", range: `0-${Math.max(0, size() - 1)}` });
		if (request.method === "HEAD") return void response.writeHead(this.stored ? 200 : 404).end();
		if (request.method === "POST") {
			this.kept.length = 0;
			this.#gone = false;
			return void response.writeHead(202, state()).end();
		}
		if (this.#gone) return void response.writeHead(404).end();
		if (request.method === "GET") return void response.writeHead(204, state()).end();
		if (request.method === "PUT") {
			assert.equal(
				digestOf(Buffer.concat(this.kept)),
				new URL(request.url ?? "", "http://x").searchParams.get("digest"),
			);
			this.stored = true;
			return void response.writeHead(201).end();
		}
		this.ranges.push(request.headers["content-range"] ?? "");
		assert.match(this.ranges.at(-1) ?? "", new RegExp(`^${size()}-`));
		const cut = this.cuts.shift() ?? Number.POSITIVE_INFINITY;
		let taken = 0;
		for await (const chunk of request as AsyncIterable<Buffer>) {
			const part = chunk.subarray(0, cut - taken);
			this.kept.push(part);
			taken += part.length;
			this.receivedBytes += part.length;
			if (taken >= cut) {
				this.#gone = this.memory === "forgets";
				request.socket.destroy();
				return;
			}
		}
		response.writeHead(202, state()).end();
	}
}

async function upload(registry: KeepingRegistry, bytes: Uint8Array): Promise<number> {
	const server = createServer(
		(request, response) => void registry.handle(request, response).catch(() => response.destroy()),
	);
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	const patience = { stallMs: 2000, slowestBytesPerSecond: 1, tries: 3, pauseMs: 1, longestPauseMs: 2 };
	const session = new Session(
		parseRegistryReference(`127.0.0.1:${port}/a:1`),
		{ doing: "Pushing it", actions: "pull,push" },
		{ authFiles: [], host: realHost(), patience },
	);
	let reported = 0;
	try {
		await uploadBlob(session, { digest: digestOf(bytes), bytes }, (more) => {
			reported += more;
		});
	} finally {
		session.close();
		server.closeAllConnections();
		server.close();
	}
	return reported;
}

test("an upload goes on from the byte that the registry has", async () => {
	const registry = new KeepingRegistry();
	registry.cuts = [300_000, 1, 700_000];
	const bytes = randomBytes(2_000_000);
	assert.equal(await upload(registry, bytes), bytes.length);
	assert.ok(registry.stored);
	assert.equal(registry.receivedBytes, bytes.length);
	assert.deepEqual(registry.ranges, ["0-1999999", "300000-1999999", "300001-1999999", "1000001-1999999"]);
});

test("an upload that the registry forgot begins anew", async () => {
	const registry = new KeepingRegistry();
	registry.cuts = [900_000];
	registry.memory = "forgets";
	const bytes = randomBytes(1_000_000);
	assert.equal(await upload(registry, bytes), bytes.length);
	assert.deepEqual(registry.ranges, ["0-999999", "0-999999"]);
});

test("a registry that takes and forgets for ever ends the upload after a few tries", async () => {
	const registry = new KeepingRegistry();
	registry.cuts = Array(1000).fill(900_000);
	registry.memory = "forgets";
	await assert.rejects(upload(registry, randomBytes(1_000_000)), { code: "registry-unreachable" });
	assert.ok(registry.ranges.length < 10, `${registry.ranges.length} chunks`);
});

test("a blob of one byte, whose range can't be told from that of none", async () => {
	const registry = new KeepingRegistry();
	await upload(registry, Buffer.from("x"));
	assert.ok(registry.stored);
});
