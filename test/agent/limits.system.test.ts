import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { realHost } from "../../src/host/index.ts";
import { drivers } from "../../src/runtime/index.ts";
import { TEST_CONTEXT } from "../conformance/context.ts";
import { FrontDoor } from "../system/front-door.ts";
import { type Fleet, newFacility, ownerOf, type Seen, seen, submitted } from "./people.ts";

const bwrap = drivers.find(({ name }) => name === "bwrap");
const checks = bwrap?.explain(await bwrap.probe(realHost(), { ...TEST_CONTEXT, image: async () => undefined })) ?? [];
const unkept = checks.find(({ name, status }) => /^(cpu|memory) limit$/.test(name) && status !== "ok");

describe("limits of a directive", { skip: unkept && `${unkept.name}: ${unkept.found}` }, () => {
	const door = new FrontDoor();
	let fleet: Fleet;
	before(async () => {
		fleet = connect(await ownerOf(door.start(["up", "--port", "0"])));
	});
	after(() => door.close());

	for (const profile of ["untrusted", "trusted"])
		test(`profile ${profile}: memory and processors are kept by control groups`, async () => {
			const facility = await newFacility(fleet);
			const ran = async (command: string, limits: Readonly<Record<string, number>>): Promise<Seen> =>
				seen(fleet, await submitted(fleet, facility, { command, sandbox_profile: profile, limits }));
			const filled = (bytes: number): string => `perl -e 'print length("a" x ${bytes})'`;
			const greedy = await ran(filled(300_000_000), { memory_mb: 64 });
			assert.deepEqual([greedy.directive.state, greedy.directive.exit_code], ["failed", 137], greedy.stderr);
			const modest = await ran(filled(1_000_000), { memory_mb: 64 });
			assert.deepEqual([modest.directive.state, modest.stdout], ["succeeded", "1000000"], modest.stderr);
			const busy = await ran('bash -c "time timeout 1 sha256sum /dev/zero"', { cpu: 200 });
			const times = [...busy.stderr.matchAll(/(?:real|user|sys)\s+0m([\d.]+)s/g)].map(([, seconds]) => Number(seconds));
			const [real = 0, user = 0, system = 0] = times;
			assert.equal(times.length, 3, busy.stderr);
			assert.ok(user + system < 0.6 * real, busy.stderr);
		});
});
