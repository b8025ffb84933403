import assert from "node:assert/strict";
import { test } from "node:test";
import { Schedule } from "./fleet-schedule.ts";
import { openWorld } from "./fleet-world.ts";

const SEEDS = Number(process.env.VOUCH_SCHEDULES ?? 100);
const FIRST = Number(process.env.VOUCH_SEED ?? 1);

test(`${SEEDS} schedules of a fleet from seed ${FIRST}: nothing is lost and nothing happens twice`, async () => {
	const world = await openWorld("sqlite::memory:");
	try {
		for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
			await new Schedule(world, seed).run().catch((error: unknown) => {
				assert.fail(`seed ${seed} (repeat with VOUCH_SEED=${seed} VOUCH_SCHEDULES=1): ${(error as Error).stack}`);
			});
		}
	} finally {
		await world.close();
	}
});
