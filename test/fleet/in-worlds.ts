import assert from "node:assert/strict";
import { after, before } from "node:test";
import { onBothDatabases } from "./databases.ts";
import { openWorld, type World, type WorldOptions } from "./world.ts";

/** Declares a suite for a control plane on SQLite and for one on PostgreSQL. The world is there when a test begins. */
export function inWorlds(title: string, suite: (world: () => World) => void, options: WorldOptions = {}): void {
	onBothDatabases(title, (databases) => {
		let world: World | undefined;
		before(async () => {
			world = await openWorld(databases.fresh(), options);
		});
		after(() => world?.close());
		suite(() => world ?? assert.fail("the world is not open yet"));
	});
}
