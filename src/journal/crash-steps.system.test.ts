import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync } from "node:fs";
import { describe, it } from "node:test";
import { openJournal } from "./journal.ts";
import { openKeyStore } from "./node-key.ts";
import { scratchDirectory, scratchEntry, writeLog } from "./scratch-log.ts";
import { verifyJournal } from "./verify-journal.ts";

/** One append in a process that kills itself at its n-th step on the disk: each step of an append is tried, one by one. */

const modules = { index: import.meta.resolve("./index.ts"), scratch: import.meta.resolve("./scratch-log.ts") };

function appendAndDieAt(journal: string, keys: string, step: number): "killed" | "appended" {
	const code = `
		import fs from "node:fs";
		import { syncBuiltinESMExports } from "node:module";
		const { openJournal, openKeyStore } = await import(${JSON.stringify(modules.index)});
		const { scratchEntry } = await import(${JSON.stringify(modules.scratch)});
		const journal = openJournal(${JSON.stringify(journal)}, openKeyStore(${JSON.stringify(keys)}));
		const entry = scratchEntry(0);
		let step = 0;
		for (const name of ["openSync", "writeSync", "fsyncSync", "renameSync", "mkdirSync", "rmSync"]) {
			const real = fs[name];
			fs[name] = (...given) => {
				step += 1;
				// A write is cut in the middle; whatever else is killed just before it happens.
				if (step === ${step} && name === "writeSync") real(given[0], given[1].subarray(0, given[1].length / 2));
				if (step === ${step}) process.kill(process.pid, "SIGKILL");
				return real(...given);
			};
		}
		syncBuiltinESMExports();
		journal.append(entry);
	`;
	const { signal, status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
		encoding: "utf8",
	});
	if (signal === "SIGKILL") return "killed";
	assert.equal(status, 0, stderr);
	return "appended";
}

describe("a crash at each step of an append", () => {
	for (const [what, size] of [
		["the first entry", 0],
		["an entry that completes a tile", 255],
	] as const) {
		it(`leaves the log before it or after it, and fit to go on: ${what}`, (context) => {
			using template = scratchDirectory();
			const keys = openKeyStore(`${template.path}/keys`);
			openJournal(`${template.path}/journal`, keys);
			if (size > 0) writeLog(`${template.path}/journal`, size, keys.signer());
			const sizes = new Set<number>();
			let step = 0;
			for (let outcome = "killed"; outcome === "killed"; ) {
				step += 1;
				using directory = scratchDirectory();
				cpSync(`${template.path}/journal`, directory.path, { recursive: true });
				chmodSync(directory.path, 0o700);
				outcome = appendAndDieAt(directory.path, `${template.path}/keys`, step);
				const verify = () => verifyJournal(directory.path, keys.trusted());
				const after = verify();
				assert.ok(after.status === "holds", `step ${step}: ${JSON.stringify(after)}`);
				assert.ok(after.size === size || after.size === size + 1, `step ${step}`);
				sizes.add(after.size);
				const inclusion = openJournal(directory.path, keys).append(scratchEntry(1));
				assert.equal(inclusion.leafIndex, after.size);
				assert.equal(verify().status, "holds", `going on after step ${step}`);
			}
			context.diagnostic(`${step - 1} steps`);
			assert.ok(step > 15, "the steps were not seen");
			assert.deepEqual(sizes, new Set([size, size + 1]));
		});
	}
});
