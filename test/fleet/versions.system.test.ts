import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { submit } from "./world.ts";

inWorlds(
	"what nodes are told of versions",
	(world) => {
		test("one that is too old warns its operator and is leased nothing; an older and a newer one work", async () => {
			for (const [version, upgrade, isLeased] of [
				["0.1.9-dev", true, false],
				["0.2.0-dev", true, true],
				["0.3.0", false, true],
				["9.0.0", false, true],
			] as const) {
				const node = await StockNode.join(world());
				const { body } = await node.heartbeat({ nexus_version: version });
				assert.deepEqual(
					[body.upgrade_available, body.latest_version, body.min_compatible_version],
					[upgrade, "0.3.0", "0.2.0"],
					version,
				);
				const id = await submit(world());
				const leases = await node.poll();
				assert.deepEqual(leases.map((lease) => lease.directive_id).includes(id), isLeased, version);
				if (!isLeased) await (await StockNode.join(world())).claim(id);
			}
		});
	},
	{ nodeVersions: { latest: "0.3.0", minimum: "0.2.0" } },
);
