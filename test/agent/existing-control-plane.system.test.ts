import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FrontDoor, type Going, until } from "../system/front-door.ts";
import { ExistingControlPlane } from "./existing-control-plane.ts";

describe("a node of an existing control plane", () => {
	const door = new FrontDoor();
	const plane = new ExistingControlPlane();
	const config = join(door.directory, "agent.yaml");
	let node: Going;
	const startNode = (): void => {
		node = door.start(["agent", "--config", config]);
	};

	before(async () => {
		const settings = [
			`server_url: ${await plane.listen()}`,
			"territory_id: territory-1",
			"poll: { retry_backoff: 200ms }",
			"heartbeat: { interval: 500ms }",
		];
		writeFileSync(config, settings.join("\n"));
		startNode();
	});
	after(async () => {
		await door.close();
		plane.close();
	});

	const finishedOf = async (id: string) => {
		const early = node.ended.then(({ stderr }) => assert.fail(`the node ended: ${stderr.slice(0, 2000)}`));
		await Promise.race([until(`${id} is finished`, () => plane.posted(`${id}/finished`).length > 0), early]);
		return plane.posted(`${id}/finished`).at(-1) ?? {};
	};

	test("it announces itself, polls, runs, sends output in order and the end, all as that protocol has it", async () => {
		plane.lease("d-1", "echo out; echo err >&2; echo $CYBROS_DIRECTIVE_ID $CYBROS_NEXUS; exit 3");
		const finished = await finishedOf("d-1");
		assert.deepEqual([finished.status, finished.exit_code], ["failed", 3]);
		assert.equal(plane.output("d-1", "stdout"), "out\nd-1 1\n");
		assert.equal(plane.output("d-1", "stderr"), "err\n");
		const first = plane.heard.find(({ path }) => path.startsWith("/conduits/"));
		assert.equal(first?.path, "/conduits/v1/territories/heartbeat");
		assert.equal(first?.headers["x-nexus-territory-id"], "territory-1");
		const profiles = plane.posted("/polls")[0]?.supported_sandbox_profiles;
		assert.ok(Array.isArray(profiles) && profiles.includes("untrusted"));
		// A heartbeat may be on its way when the end is told.
		const reports = plane.heard.filter(({ path }) => path.includes("/d-1/") && !path.endsWith("/heartbeat"));
		assert.ok(reports[0]?.path.endsWith("/started"));
		assert.ok(reports.at(-1)?.path.endsWith("/finished"));
		assert.equal(reports[0]?.headers.authorization, "Bearer token of d-1");
	});

	test("the newest token is used, and what is refused for now is sent again in order", async () => {
		plane.failures.push(
			{ path: "/d-2/log_chunks", status: 503 },
			{ path: "/d-2/log_chunks", status: 429 },
			{ path: "/d-2/finished", status: 500 },
		);
		plane.lease("d-2", "echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; sleep 0.5; echo three");
		// The second is sent when the first was answered, with a newer token.
		await until("it was renewed", () => plane.posted("/d-2/heartbeat").length > 1);
		writeFileSync(join(door.data, "agent/facilities/facility_1/go"), "");
		await finishedOf("d-2");
		await until("it is told again", () => plane.posted("/d-2/finished").length === 2);
		const chunks = plane.posted("/d-2/log_chunks").map(({ seq, bytes }) => `${seq} ${bytes}`);
		assert.equal(new Set(chunks).size, chunks.length - 2, chunks.join("; "));
		const last = plane.heard.findLast(({ path }) => path.endsWith("/d-2/finished"));
		assert.equal(last?.headers.authorization, "Bearer a newer token");
	});

	test("a facility id that is a path is refused, and nothing of it is made", async () => {
		plane.lease("d-3", "echo no", { facility: { id: "../../up", mount: "/workspace" } });
		const finished = await finishedOf("d-3");
		assert.deepEqual([finished.status, finished.exit_code], ["failed", 125]);
		assert.match(plane.output("d-3", "stderr"), /no name for a folder/);
	});

	test("profile host is refused where nobody accepted it", async () => {
		plane.lease("d-4", "echo no", { sandbox_profile: "host" });
		const finished = await finishedOf("d-4");
		assert.equal(finished.status, "failed");
		assert.match(plane.output("d-4", "stderr"), /isolation/);
		assert.equal(plane.output("d-4", "stdout"), "");
	});

	test("an end that could not be told is told at the next start", async () => {
		for (let count = 0; count < 5; count++) plane.failures.push({ path: "/d-5/finished", status: 503 });
		plane.lease("d-5", "echo kept");
		await until("it ended and was tried", () => plane.posted("/d-5/finished").length > 0);
		node.process.kill("SIGKILL");
		await node.ended;
		const before = plane.posted("/d-5/finished").length;
		plane.failures.length = 0;
		startNode();
		await until("it is told", () => plane.posted("/d-5/finished").length > before);
		assert.deepEqual(plane.posted("/d-5/finished").at(-1), plane.posted("/d-5/finished").at(0));
	});
});
