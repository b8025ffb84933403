import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, type Parsed, submit, type World } from "./world.ts";

interface Event {
	readonly id: string;
	readonly data: Parsed;
}

/** The events of a live tail as they come. Nothing is read that nobody asks for. */
async function* eventsOf(world: World, id: string, lastEventId?: string): AsyncGenerator<Event> {
	const stop = new AbortController();
	const headers = {
		...world.account.headersOf("member"),
		...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
	};
	const response = await fetch(`${world.base}${API}/directives/${id}/logs`, { headers, signal: stop.signal });
	assert.equal(response.status, 200);
	assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
	let rest = "";
	try {
		for await (const part of response.body ?? assert.fail()) {
			rest += Buffer.from(part).toString();
			const whole = rest.split("\n\n");
			rest = whole.pop() ?? "";
			for (const text of whole.filter((each) => !each.startsWith(":"))) {
				const [, eventId = "", data = ""] = /^id: (.*)\nevent: .*\ndata: (.*)$/.exec(text) ?? assert.fail(text);
				yield { id: eventId, data: JSON.parse(data) };
			}
		}
	} finally {
		stop.abort();
	}
}

async function running(world: World, more: object = {}): Promise<[StockNode, string]> {
	const node = await StockNode.join(world);
	const id = await submit(world, { ...more });
	await node.claim(id);
	await node.started(id);
	return [node, id];
}

const bytesOf = ({ bytes_base64 }: Parsed) => Buffer.from(bytes_base64, "base64");

inWorlds("the live tail of a directive's output", (world) => {
	test("one that is cut off anywhere goes on with Last-Event-ID: each line once, both streams, to the end", async () => {
		const [node, id] = await running(world());
		const LINES = 60;
		const send = async () => {
			for (let seq = 0; seq < LINES; seq++) {
				await node.chunk(id, seq, `out ${seq}\n`);
				await node.chunk(id, seq, `err ${seq}\n`, { stream: "stderr" });
			}
			await node.finished(id);
		};
		const sent = send();
		const seen: Record<string, string> = { stdout: "", stderr: "" };
		let last: string | undefined;
		let isOver = false;
		for (let cut = 1; !isOver; cut += 3) {
			let count = 0;
			for await (const { id: eventId, data } of eventsOf(world(), id, last)) {
				last = eventId;
				if (data.event === "chunk") seen[data.stream] += bytesOf(data).toString();
				isOver = data.event === "end";
				if (isOver || ++count === cut) break;
			}
		}
		await sent;
		const whole = (word: string) => Array.from({ length: LINES }, (_, seq) => `${word} ${seq}\n`).join("");
		assert.deepEqual(seen, { stdout: whole("out"), stderr: whole("err") });
	});

	test("an id that is none of ours changes nothing", async () => {
		const [node, id] = await running(world());
		await node.chunk(id, 0, "all of it", { truncated: true });
		await node.finished(id);
		for (const odd of ["", "nonsense", "1.2.3", "-5.0", "9999999999999999999.0", "'"]) {
			const chunks: unknown[] = [];
			for await (const { data } of eventsOf(world(), id, odd))
				if (data.event === "chunk") chunks.push(bytesOf(data).toString(), data.truncated);
			assert.deepEqual(chunks, ["all of it", true], odd);
		}
	});

	test("clients that read slowly cost a bounded memory, hold up nobody, and lose nothing", async () => {
		const [node, id] = await running(world(), { limits: { max_output_bytes: 100_000_000 } });
		const CHUNKS = 120;
		const SLOW = 12;
		const all = createHash("sha256");
		await world().store.transaction(async ({ db, nowMs }) => {
			for (let seq = 0; seq < CHUNKS; seq++) {
				const bytes = randomBytes(256 * 1024);
				all.update(bytes);
				const row = { directive_id: id, stream: "stdout", seq, bytes, bytesize: bytes.length, truncated: 0 } as const;
				await db
					.insertInto("log_chunks")
					.values({ ...row, created_at: nowMs })
					.execute();
			}
		});
		const readers = Array.from({ length: SLOW }, () => eventsOf(world(), id));
		const before = heldBytes();
		const [first] = await Promise.all(readers.map((reader) => reader.next()));
		// Who reads at once is served while the others don't.
		await node.chunk(id, CHUNKS, "the end");
		await node.finished(id);
		assert.equal(await digestOf(eventsOf(world(), id)), all.update("the end").copy().digest("hex"));
		const each = (heldBytes() - before) / SLOW;
		assert.ok(each < 8 * 1024 * 1024, `${Math.round(each / 1024)} KiB for each of ${SLOW} that don't read`);
		const known = createHash("sha256").update(bytesOf(first?.value.data));
		assert.equal(
			await digestOf(readers[0] ?? assert.fail(), known),
			all.digest("hex"),
			"a slow one has all in the end",
		);
		await Promise.all(readers.map((reader) => reader.return(undefined)));
	});
});

async function digestOf(events: AsyncGenerator<Event>, hash = createHash("sha256")): Promise<string> {
	for await (const { data } of events) if (data.event === "chunk") hash.update(bytesOf(data));
	return hash.digest("hex");
}

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** Of the server and its clients, which are one process here. */
function heldBytes(): number {
	collect();
	const { heapUsed, arrayBuffers, external } = process.memoryUsage();
	return heapUsed + Math.max(arrayBuffers, external);
}
