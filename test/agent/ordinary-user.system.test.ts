import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { FrontDoor, processesWith, program, until } from "../system/front-door.ts";
import { type Fleet, newFacility, ownerOf, type Seen, seen, submitted } from "./people.ts";

const USER = 61_017;
const isRoot = process.geteuid?.() === 0;

function whyNoOtherUser(): string | false {
	if (!isRoot) return false;
	const looked = spawnSync(program, ["--version"], { uid: USER, gid: USER, cwd: "/" });
	return looked.status !== 0 && `another user can't run this checkout: ${looked.stderr}`;
}

/** Who runs these tests is one already, unless it is root. */
describe("a control plane and a node of an ordinary user", { skip: whyNoOtherUser() }, () => {
	const door = new FrontDoor();
	let fleet: Fleet;
	const asUser = isRoot ? { user: USER } : {};

	before(async () => {
		for (const name of ["", "home", "runtime", "workspace", "data", "cache"]) {
			const path = join(door.directory, name);
			mkdirSync(path, { recursive: true, mode: 0o700 });
			if (isRoot) chownSync(path, USER, USER);
		}
		fleet = connect(await ownerOf(door.start(["up", "--port", "0", "--max-concurrent", "2"], asUser)));
	});
	after(() => door.close());

	const ran = async (facility: string, body: Parameters<typeof submitted>[2]): Promise<Seen> =>
		seen(fleet, await submitted(fleet, facility, body));

	/** What its receipt says, which this user's own Vouch verifies. */
	const predicateOf = async (id: string) => {
		const path = join(door.directory, `${id}.json`);
		writeFileSync(path, await fleet.directives.receipt({ directive_id: id }), { mode: 0o644 });
		const { code, stdout } = await door.run(["verify", path, "--json"], asUser);
		assert.equal(code, 0, stdout.toString());
		return JSON.parse(stdout.toString()).receipt.predicate;
	};

	for (const [profile, driver] of [
		["untrusted", "bwrap"],
		["trusted", "container"],
	] as const) {
		test(`profile ${profile}: ${driver} holds it, what it writes is the user's, and its receipt verifies`, async () => {
			const facility = await newFacility(fleet);
			const write = await ran(facility, { command: "cp /etc/hostname made", sandbox_profile: profile });
			assert.deepEqual([write.directive.state, write.stderr], ["succeeded", ""]);
			const predicate = await predicateOf(write.id);
			assert.equal(predicate.launchPlan.driver, driver);
			assert.deepEqual(
				predicate.changes.paths.map(({ path }: { path: string }) => path),
				["made"],
			);
			const made = statSync(join(door.data, "up/agent/facilities", facility, "made"));
			assert.equal(made.uid, isRoot ? USER : process.geteuid?.());
			const touch = await ran(facility, { command: "touch /usr/planted", sandbox_profile: profile });
			assert.deepEqual([touch.directive.state, touch.directive.exit_code], ["failed", 1]);
			assert.match(touch.stderr, /Read-only file system/);
			const shadow = await ran(facility, { command: "cat /etc/shadow", sandbox_profile: profile });
			assert.equal(shadow.directive.exit_code, 1);
			const reach = await ran(facility, { command: "curl -sSf -m 5 http://192.0.2.1/", sandbox_profile: profile });
			assert.notEqual(reach.directive.exit_code, 0);
			assert.equal((await predicateOf(reach.id)).ledger.refused, 1);
		});
	}

	test("profile trusted: what is cancelled ends, with all that it started", async () => {
		const mark = `sleep 6${process.pid}.75`;
		const id = await submitted(fleet, await newFacility(fleet), { command: mark, sandbox_profile: "trusted" });
		await until("it runs", () => processesWith(mark).length > 0);
		await fleet.directives.cancel({ directive_id: id });
		assert.equal((await seen(fleet, id)).directive.state, "canceled");
		assert.deepEqual(processesWith(mark), []);
		await until("nothing of it is left", () => readdirSync(join(door.directory, "runtime/vouch")).length === 0);
	});

	test("a limit that no control group of this user's can keep is refused before anything runs, and says so", async (context) => {
		const facility = await newFacility(fleet);
		for (const [limits, name] of [
			[{ memory_mb: 64 }, "memoryMiB"],
			[{ cpu: 500 }, "cpuMillicores"],
		] as const) {
			const { directive, stderr, stdout } = await ran(facility, { command: "echo ran", limits });
			if (directive.state === "succeeded") return context.skip("a control group was handed to this user");
			assert.deepEqual([directive.state, directive.exit_code, stdout], ["failed", 125, ""]);
			assert.match(stderr, new RegExp(`The limit ${name} can't be enforced here: no writable control group`));
			assert.equal(stderr.match(/can't be enforced/g)?.length, 1, "each reason once");
		}
	});
});
