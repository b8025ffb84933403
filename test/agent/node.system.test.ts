import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FrontDoor, type Going, until } from "../system/front-door.ts";
import { ExistingControlPlane } from "./existing-control-plane.ts";

/** Far beyond what any test waits: what happens sooner was told, not asked for. */
const NEVER = "30m";
const mountsDisks = spawnSync("unshare", ["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

interface Capacity {
	readonly max_concurrent: number;
	readonly disk: { readonly free_bytes: number; readonly minimum_free_bytes: number };
}

/** A node whose control plane does what the test says. */
class Played {
	readonly door = new FrontDoor();
	readonly plane = new ExistingControlPlane();
	readonly facilities = join(this.door.data, "agent/facilities");
	node: Going | undefined;
	log = "";
	#url = "";

	async start(settings: readonly string[] = []): Promise<Going> {
		this.#url ||= await this.plane.listen();
		const config = join(this.door.directory, "agent.yaml");
		writeFileSync(config, [`server_url: ${this.#url}`, "territory_id: territory-1", ...settings].join("\n"));
		const node = this.door.start(["agent", "--config", config]);
		node.process.stderr.on("data", (chunk: Buffer) => {
			this.log += chunk.toString();
		});
		this.node = node;
		return node;
	}

	/** Waits for it, however loaded the machine is; a node that ended says why. */
	async until(what: string, holds: () => boolean): Promise<void> {
		const early = this.node?.ended.then(({ code }) => assert.fail(`${what}: the node ended with ${code}: ${this.log}`));
		await Promise.race([until(what, holds), early]);
	}

	async finished(id: string): Promise<Readonly<Record<string, unknown>>> {
		await this.until(`${id} is finished`, () => this.plane.posted(`${id}/finished`).length > 0);
		return this.plane.posted(`${id}/finished`).at(-1) ?? {};
	}

	polls(): number {
		return this.plane.posted("/polls").length;
	}

	/** As it said last. */
	capacity(): Capacity {
		const { capacity } = this.plane.posted("/territories/heartbeat").at(-1) ?? {};
		return capacity as Capacity;
	}

	async close(): Promise<void> {
		await this.door.close();
		this.plane.close();
	}
}

function played(): Played {
	const play = new Played();
	after(() => play.close());
	return play;
}

describe("a node that is told over its channel", () => {
	const play = played();
	const available = { type: "directive_available" };
	before(async () => {
		play.plane.openChannels();
		play.plane.pollAnswer = { retry_after_seconds: 1800 };
		play.plane.heartbeatAnswer = { next_heartbeat_interval_seconds: 1800 };
		await play.start([`heartbeat: { interval: ${NEVER} }`, `territory_heartbeat: { interval: ${NEVER} }`]);
		await play.until("the channel is up", () => play.log.includes("the channel is up"));
	});

	test("what becomes ready begins at once, though it would poll in half an hour", async () => {
		play.plane.lease("d-1", "echo told");
		play.plane.tell(available);
		assert.equal((await play.finished("d-1")).status, "succeeded");
		assert.equal(play.plane.output("d-1", "stdout"), "told\n");
	});

	test("what is cancelled ends at once, though its next heartbeat is in half an hour; its own clean-up still runs", async () => {
		play.plane.lease("d-2", "trap 'echo cleaned up; exit 3' TERM; echo ready; while :; do sleep 0.1; done");
		play.plane.tell(available);
		await play.until("it runs", () => play.plane.output("d-2", "stdout").includes("ready"));
		play.plane.tell({ type: "directive_cancel", directive_id: "another" });
		play.plane.tell({ type: "directive_cancel", directive_id: "d-2" });
		const { status, exit_code } = await play.finished("d-2");
		assert.deepEqual([status, exit_code], ["canceled", 3]);
		assert.equal(play.plane.output("d-2", "stdout"), "ready\ncleaned up\n");
		assert.equal(play.plane.posted("/d-2/heartbeat").length, 0);
	});
});

describe("a node whose control plane fails", () => {
	const play = played();
	const failing = (polls: number) => Array.from({ length: polls }, () => ({ path: "/polls", status: 500 }));

	test("polls five times, then waits; a sign of life is one more try, and a good one closes it", async () => {
		play.plane.openChannels();
		play.plane.failures.push(...failing(6));
		await play.start(["poll: { retry_backoff: 50ms }"]);
		await play.until("five polls failed", () => play.polls() >= 5);
		// Far more than the pause between polls, far less than the thirty seconds of an open breaker.
		await new Promise((resolve) => setTimeout(resolve, 2_000));
		// The channel that comes up tells once that something may be there.
		const early = play.polls();
		assert.ok(early <= 6, `${early} polls`);
		play.plane.failures.length = 0;
		play.plane.tell({ type: "directive_available" });
		await play.until("it polls again", () => play.polls() > early + 2);
		play.plane.lease("d-3", "echo back");
		assert.equal((await play.finished("d-3")).status, "succeeded");
		assert.equal(play.log.split("a poll failed").length - 1, early);
	});
});

describe("what a control plane says of versions", () => {
	const play = played();
	test("is said once, and stops nothing", async () => {
		play.plane.heartbeatAnswer = {
			next_heartbeat_interval_seconds: 1,
			upgrade_available: true,
			latest_version: "99.0.0",
			min_compatible_version: "98.0.0-beta",
		};
		await play.start(["territory_heartbeat: { interval: 100ms }"]);
		await play.until("it was said often", () => play.plane.posted("/territories/heartbeat").length > 4);
		const lines = play.log.split("\n").filter((line) => /"latest"|"minimum"/.test(line));
		assert.deepEqual(
			lines.map((line) => JSON.parse(line).msg),
			["a newer version is there", "this version is older than the control plane is made for"],
		);
		assert.equal(JSON.parse(lines[1] ?? "{}").minimum, "98.0.0-beta");
		play.plane.heartbeatAnswer = { upgrade_available: "perhaps", latest_version: 7, min_compatible_version: {} };
		play.plane.lease("d-4", "echo still");
		assert.equal((await play.finished("d-4")).status, "succeeded");
	});
});

describe("a node whose disk is nearly full", () => {
	const play = played();
	test("says so, asks for no work, and stays in touch", async () => {
		await play.start(["disk: { minimum_free: 1000000G }", "territory_heartbeat: { interval: 100ms }"]);
		const beats = () => play.plane.posted("/territories/heartbeat");
		await play.until("it stays in touch", () => beats().length > 3);
		assert.equal(play.polls(), 0);
		const { disk } = play.capacity();
		assert.ok(disk.free_bytes > 0 && disk.free_bytes < disk.minimum_free_bytes, JSON.stringify(disk));
		assert.equal(play.log.split("the disk is nearly full").length - 1, 1, "said once");
	});
});

describe("a node whose disk fills up while it works", {
	skip: !mountsDisks && "no file system can be mounted here",
}, () => {
	const play = played();
	const disk = join(play.door.directory, "disk");
	test("refuses what it was leased meanwhile, says why where the output is, and goes on when there is room", async () => {
		mkdirSync(disk);
		execFileSync("mount", ["-t", "tmpfs", "-o", "size=96m", "tmpfs", disk]);
		try {
			await play.start([
				`work_dir: ${disk}`,
				"disk: { minimum_free: 48M }",
				`territory_heartbeat: { interval: ${NEVER} }`,
			]);
			play.plane.lease("d-8", "head -c 60000000 /dev/zero > big");
			assert.equal((await play.finished("d-8")).status, "succeeded");
			play.plane.lease("d-9", "echo never");
			const refused = await play.finished("d-9");
			assert.deepEqual([refused.status, refused.exit_code], ["failed", 125]);
			assert.equal(play.plane.output("d-9", "stdout"), "");
			assert.match(play.plane.output("d-9", "stderr"), /disk of this node is nearly full/);
			rmSync(join(disk, "facility_1/big"));
			play.plane.lease("d-10", "echo room");
			assert.equal((await play.finished("d-10")).status, "succeeded");
			for (const said of ["the disk is nearly full", "there is room on the disk again"])
				assert.equal(play.log.split(said).length - 1, 1, said);
		} finally {
			play.node?.process.kill("SIGKILL");
			await play.node?.ended;
			execFileSync("umount", ["--lazy", disk]);
		}
	});
});

describe("a node that may run two at once", () => {
	const play = played();
	test("runs two, asks for no third until there is room for it, and then begins it", async () => {
		await play.start(["poll: { retry_backoff: 50ms, max_directives_to_claim: 2 }"]);
		const at = (id: string) => ({ facility: { id, mount: "/workspace" } });
		const command = "echo begun; while [ ! -e go ]; do sleep 0.05; done";
		for (const id of ["one", "two", "three"]) play.plane.lease(id, command, at(`at_${id}`));
		const begun = (id: string) => play.plane.output(id, "stdout").includes("begun");
		await play.until("two run", () => begun("one") && begun("two"));
		const claims = () => play.plane.posted("/polls").map(({ max_directives_to_claim: most }) => most);
		assert.deepEqual(claims(), [2, 1], "asked for as many as there was room for");
		assert.equal(play.capacity().max_concurrent, 2);
		writeFileSync(join(play.facilities, "at_two/go"), "");
		await play.until("the third runs", () => begun("three"));
		assert.deepEqual(claims(), [2, 1, 1]);
		assert.equal(play.plane.posted("/one/finished").length, 0);
		for (const id of ["one", "three"]) writeFileSync(join(play.facilities, `at_${id}/go`), "");
		await Promise.all(["one", "two", "three"].map((id) => play.finished(id)));
	});
});

describe("a node that is asked to end", () => {
	const play = played();
	test("takes no more, lets what runs end, tells it, and ends well", async () => {
		const node = await play.start(["poll: { retry_backoff: 50ms }"]);
		play.plane.lease("d-5", "echo begun; while [ ! -e go ]; do sleep 0.05; done; echo ended");
		await play.until("it runs", () => play.plane.output("d-5", "stdout").includes("begun"));
		node.process.kill("SIGTERM");
		await play.until("it drains", () => play.log.includes("ending when what runs has"));
		play.plane.lease("d-6", "echo never");
		const polls = play.polls();
		writeFileSync(join(play.facilities, "facility_1/go"), "");
		assert.equal((await node.ended).code, 0);
		assert.equal(play.plane.posted("/d-5/finished")[0]?.status, "succeeded");
		assert.equal(play.plane.output("d-5", "stdout"), "begun\nended\n");
		assert.ok(play.polls() <= polls + 1, "one poll may have been on its way");
		assert.equal(play.plane.posted("/d-6/started").length, 0);
		assert.deepEqual(play.door.liveFolders(), []);
	});

	test("asked twice it stops what runs, and that end is told too", async () => {
		const node = await play.start(["poll: { retry_backoff: 50ms }"]);
		// What a drained node left is leased again.
		await play.until("the next one ran", () => play.plane.posted("/d-6/finished").length > 0);
		play.plane.lease("d-7", "echo begun; sleep 1000");
		await play.until("it runs", () => play.plane.output("d-7", "stdout").includes("begun"));
		play.log = "";
		node.process.kill("SIGTERM");
		await play.until("it drains", () => play.log.includes("ending when what runs has"));
		node.process.kill("SIGTERM");
		await node.ended;
		assert.equal(play.plane.posted("/d-7/finished")[0]?.status, "canceled");
	});
});

describe("facilities that nobody uses", () => {
	const play = played();
	const HOUR_MS = 3_600_000;
	test("go when they were idle for a day or are a week old, and no sooner", async () => {
		const notes = join(play.facilities, ".vouch");
		mkdirSync(notes, { recursive: true });
		const ages = { idle_25h: [30, 25], used_23h: [100, 23], old_8d: [8 * 24, 1], young_6d: [6 * 24, 1] } as const;
		for (const [id, [createdHours, usedHours]] of Object.entries(ages)) {
			mkdirSync(join(play.facilities, id));
			writeFileSync(join(play.facilities, id, "file"), id);
			const [createdMs, usedMs] = [createdHours, usedHours].map((hours) => Date.now() - hours * HOUR_MS);
			writeFileSync(join(notes, `${id}.json`), JSON.stringify({ createdMs, usedMs, state: "ready" }));
		}
		mkdirSync(join(play.facilities, "a_persons_own"));
		await play.start();
		await play.until("some were removed", () => play.log.includes("idle facilities were removed"));
		const line = play.log.split("\n").find((each) => each.includes("idle facilities were removed")) ?? "";
		assert.deepEqual(JSON.parse(line).facilities.toSorted(), ["idle_25h", "old_8d"]);
		assert.deepEqual(
			readdirSync(play.facilities).toSorted(),
			[".vouch", "a_persons_own", "used_23h", "young_6d"].toSorted(),
		);
		assert.equal(readFileSync(join(play.facilities, "young_6d/file"), "utf8"), "young_6d");
		assert.ok(!existsSync(join(notes, "idle_25h.json")));
	});
});
