import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { realHost } from "../host/index.ts";
import { forgetTrials, tryOnce } from "./trials.ts";

const cache = mkdtempSync(join(tmpdir(), "vouch-trials-"));
after(() => rmSync(cache, { recursive: true, force: true }));

const program = join(cache, "program");
const setting = join(cache, "setting");

/** How many times the trial was made. */
async function trialsFor(outcomes: readonly (string | null)[]): Promise<number> {
	let made = 0;
	for (const outcome of outcomes) {
		const said = await tryOnce(realHost(), cache, { program, settings: [setting] }, async () => {
			made += 1;
			return outcome;
		});
		if (outcome !== null) assert.equal(said, outcome);
	}
	return made;
}

test("a trial that worked is made again when the program, a setting or somebody asks for it; a failed one always is", async () => {
	writeFileSync(program, "1");
	assert.equal(await trialsFor(["no", "no"]), 2);
	assert.equal(await trialsFor([null, null, null]), 1);
	writeFileSync(program, "22");
	assert.equal(await trialsFor([null, null]), 1);
	writeFileSync(setting, "1");
	assert.equal(await trialsFor([null, null]), 1);
	forgetTrials(cache);
	assert.equal(await trialsFor([null, null]), 1);
});
