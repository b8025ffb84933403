import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { addressOf } from "../system/fleet-door.ts";
import { FrontDoor } from "../system/front-door.ts";
import { postgresPrograms, startPostgres } from "./postgres-cluster.ts";

const programs = postgresPrograms();
const skip = "missing" in programs ? programs.missing : false;
const KINDS = [
	{ from: "sqlite", to: "postgres" },
	{ from: "postgres", to: "sqlite" },
] as const;

/** Set once PostgreSQL is needed. */
let cluster: ReturnType<typeof startPostgres> | undefined;
after(() => cluster?.stop());

for (const { from, to } of KINDS) {
	describe(`vouch server backup and restore, ${from} to ${to}`, { skip }, () => {
		const door = new FrontDoor();
		after(() => door.close());

		test("a running server's backup becomes a server that knows the same", async () => {
			const old = placeOf(door, from, "old");
			const first = await serve(door, old);
			const owner = connect({ server: first.url, token: first.token ?? "" });
			const { id: facility_id } = await owner.facilities.create({ body: { kind: "empty" } });
			const made = await owner.directives.create({ facility_id, body: { command: "make" } });
			const backup = join(door.directory, "backup");
			const { code, stderr } = await door.run(["server", "backup", ...old, backup]);
			assert.equal(code, 0, stderr);
			const twice = await door.run(["server", "backup", ...old, backup]);
			assert.notEqual(twice.code, 0);
			assert.match(twice.stderr, /nothing is overwritten/);
			// It went on running, and what comes after is in no backup.
			const late = await owner.directives.create({ facility_id, body: { command: "make more" } });
			await first.end();

			const fresh = placeOf(door, to, "new");
			const restored = await door.run(["server", "restore", ...fresh, backup]);
			assert.equal(restored.code, 0, restored.stderr);
			assert.match(restored.stdout.toString(), /Restored: 1 directives/);
			assert.notEqual((await door.run(["server", "restore", ...fresh, backup])).code, 0, "not twice");
			const second = await serve(door, fresh);
			assert.equal(second.token, undefined, "its owner is known");
			const again = connect({ server: second.url, token: first.token ?? "" });
			const shown = await again.directives.show({ directive_id: made.directive_id });
			assert.equal(shown.state, "queued");
			await assert.rejects(again.directives.show({ directive_id: late.directive_id }));
			await second.end();
		});

		test("what is no backup is refused, and nothing is put anywhere", async () => {
			const place = placeOf(door, to, "nowhere");
			const { code, stderr } = await door.run(["server", "restore", ...place, door.workspace]);
			assert.notEqual(code, 0);
			assert.match(stderr, /no folder of `vouch server backup`/);
			assert.equal(existsSync(join(door.directory, "nowhere")), false);
		});
	});
}

function placeOf(door: FrontDoor, kind: "sqlite" | "postgres", name: string): readonly string[] {
	const data = ["--data", join(door.directory, name)];
	if (kind === "sqlite") return data;
	cluster ??= startPostgres();
	return [...data, "--store", cluster.database()];
}

async function serve(door: FrontDoor, place: readonly string[]) {
	const going = door.start(["server", ...place, "--port", "0", "--log-level", "error"], { input: null });
	const { url, token } = await addressOf(going);
	return {
		url,
		token,
		async end() {
			going.process.kill("SIGTERM");
			await going.ended;
		},
	};
}
