import assert from "node:assert/strict";
import { connect as dial } from "node:net";
import { after, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { newFacility, ownerOf, submitted } from "../agent/people.ts";
import { FrontDoor } from "../system/front-door.ts";

/** Far below the minute for which a connection may be silent. */
const SOON_MS = 45_000;

describe("a control plane that is asked to end", () => {
	const door = new FrontDoor();
	after(() => door.close());

	test("waits neither for who follows output nor for connections that ask nothing", async () => {
		const server = door.start(["server", "--port", "0"]);
		const owner = await ownerOf(server);
		const fleet = connect(owner);
		const directive_id = await submitted(fleet, await newFacility(fleet), { command: "true" });
		const followed = fleet.directives.tail({ directive_id, after_stdout_seq: -1, after_stderr_seq: -1 });
		assert.equal((await followed[Symbol.asyncIterator]().next()).value?.event, "state");
		const silent = dial(Number(new URL(owner.server).port), "127.0.0.1").on("error", () => {});
		await new Promise((resolve) => silent.once("connect", resolve));
		const askedAt = Date.now();
		server.process.kill("SIGTERM");
		const { code, stderr } = await server.ended;
		assert.equal(code, 0, stderr);
		assert.ok(Date.now() - askedAt < SOON_MS, `${Date.now() - askedAt} ms`);
		silent.destroy();
	});
});
