import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openJournal } from "./journal.ts";
import { openKeyStore } from "./node-key.ts";
import { scratchDirectory, scratchEntry, writeLog } from "./scratch-log.ts";
import { verifyJournal } from "./verify-journal.ts";

/** Real processes, really killed. */

const modules = { index: import.meta.resolve("./index.ts"), scratch: import.meta.resolve("./scratch-log.ts") };

/** Appends `count` entries one after the other and prints each index once it is acknowledged. */
function appender(directory: string, count: number): ChildProcess {
	const code = `
		import { writeSync } from "node:fs";
		const { openJournal, openKeyStore } = await import(${JSON.stringify(modules.index)});
		const { scratchEntry } = await import(${JSON.stringify(modules.scratch)});
		const journal = openJournal(${JSON.stringify(directory)} + "/journal", openKeyStore(${JSON.stringify(directory)} + "/keys"));
		for (let count = 0; count < ${count}; count += 1) writeSync(1, journal.append(scratchEntry(count)).leafIndex + "\\n");
	`;
	return spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
}

async function acknowledged(child: ChildProcess): Promise<number[]> {
	const chunks: Buffer[] = [];
	child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
	await once(child, "close");
	// A last line without its newline was cut by the kill; its entry may or may not be there.
	return Buffer.concat(chunks).toString().split("\n").slice(0, -1).map(Number);
}

describe("processes that append at once", () => {
	it("lose nothing and give each entry its own place", async () => {
		using directory = scratchDirectory();
		const lists = await Promise.all(Array.from({ length: 6 }, () => acknowledged(appender(directory.path, 25))));
		const all = lists.flat().sort((a, b) => a - b);
		assert.deepEqual(
			all,
			Array.from({ length: 150 }, (_, index) => index),
		);
		for (const list of lists)
			assert.deepEqual(
				list,
				[...list].sort((a, b) => a - b),
			);
		const keys = openKeyStore(`${directory.path}/keys`);
		const verdict = verifyJournal(`${directory.path}/journal`, keys.trusted());
		assert.ok(verdict.status === "holds" && verdict.size === 150, JSON.stringify(verdict));
	});
});

describe("kill -9 while appending", () => {
	it("leaves a valid log with every acknowledged entry, over thirty times and across full tiles", async (context) => {
		using directory = scratchDirectory();
		const keys = openKeyStore(`${directory.path}/keys`);
		// Less than two full tiles, so that the kills go over the completion of one.
		openJournal(`${directory.path}/journal`, keys);
		writeLog(`${directory.path}/journal`, 500, keys.signer());
		let highest = 499;
		for (let round = 0; round < 32; round += 1) {
			const child = appender(directory.path, 1_000_000);
			const done = acknowledged(child);
			await once(child.stdout ?? child, "data");
			await sleep(Math.random() * 25);
			child.kill("SIGKILL");
			highest = Math.max(highest, ...(await done));
			const verdict = verifyJournal(`${directory.path}/journal`, keys.trusted());
			assert.ok(verdict.status === "holds", JSON.stringify(verdict));
			// One more may be there: committed, and killed before it could be said.
			assert.ok(verdict.size === highest + 1 || verdict.size === highest + 2, `${verdict.size} after ${highest}`);
			highest = verdict.size - 1;
		}
		openJournal(`${directory.path}/journal`, keys).append(scratchEntry(0));
		const verdict = verifyJournal(`${directory.path}/journal`, keys.trusted());
		assert.ok(verdict.status === "holds" && verdict.size === highest + 2);
		context.diagnostic(`32 kills, ${verdict.size} entries`);
	});

	it("holds for a reader that verifies while another process appends", async () => {
		using directory = scratchDirectory();
		const keys = openKeyStore(`${directory.path}/keys`);
		openJournal(`${directory.path}/journal`, keys);
		writeLog(`${directory.path}/journal`, 250, keys.signer());
		const child = appender(directory.path, 40);
		const done = acknowledged(child);
		let rounds = 0;
		while (child.exitCode === null) {
			const verdict = verifyJournal(`${directory.path}/journal`, keys.trusted());
			assert.ok(verdict.status === "holds", JSON.stringify(verdict));
			rounds += 1;
			await sleep(5);
		}
		assert.equal((await done).length, 40);
		assert.ok(rounds > 3);
	});
});
