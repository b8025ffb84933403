/**
 * The network attacks that end at the gate. Two witnesses stand outside: `good`, which a rule allows by name, and
 * `victim`, which none does. Every case asserts what reached them, not what the gate said.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { destinationAttacks } from "../../test/egress/attack-destinations.ts";
import { requestAttacks } from "../../test/egress/attack-requests.ts";
import { NAME } from "../../test/egress/attack-scene.ts";
import { streamAttacks } from "../../test/egress/attack-streams.ts";
import { testGate, witness } from "../../test/egress/gate-fixture.ts";

const attacks = [...destinationAttacks, ...streamAttacks, ...requestAttacks];

for (const attack of attacks) {
	test(`attack: ${attack.name}`, async (context) => {
		const [allowed, victim] = await Promise.all([witness(), witness()]);
		const gate = await testGate({
			rules: { allow: [`${NAME}:${allowed.port}`, `127.0.0.1:${allowed.port}`], ...attack.rules?.(allowed.port) },
			names: { [NAME]: ["127.0.0.1"], ...attack.names },
			...(attack.limits === undefined ? {} : { limits: attack.limits }),
		});
		context.after(async () => {
			await gate.stop();
			allowed.close();
			victim.close();
		});
		await attack.act({ gate, good: allowed.port, victim: victim.port });
		await delay(5);
		const entries = await gate.entries();
		assert.equal(victim.received(), "", "bytes reached the victim");
		assert.equal(victim.connections(), 0, "a connection reached the victim");
		if (attack.goodMay === undefined) assert.equal(allowed.received(), "", "bytes reached the allowed server");
		else assert.match(allowed.received(), attack.goodMay);
		assert.doesNotMatch(allowed.received(), /SMUGGLED|EXFILTRATED/);
		const refusals = entries.filter((entry) => entry.verdict === "refused");
		assert.ok(
			refusals.some((entry) => entry.reason === attack.reason),
			JSON.stringify(entries, null, 1),
		);
		if (attack.goodMay === undefined)
			assert.equal(
				entries.reduce((sum, entry) => sum + entry.bytesUp, 0),
				0,
			);
	});
}

test("the table holds at least 60 attacks, none twice", () => {
	assert.ok(attacks.length >= 60);
	assert.equal(new Set(attacks.map((attack) => attack.name)).size, attacks.length);
});
