import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client, connect, everyPage, followLogs } from "../../src/api/index.ts";
import { addressOf, type FleetDoor, openFleetDoor, ScriptedNode, startServer } from "./fleet-door.ts";

let fleet: FleetDoor;
let owner: Client;
before(async () => {
	fleet = await openFleetDoor();
	owner = fleet.owner;
});
after(() => fleet?.close());

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString();

async function submit(command: string): Promise<string> {
	const { id } = await owner.facilities.create();
	const made = await owner.directives.create({ facility_id: id, body: { command } });
	assert.equal(made.state, "queued");
	return made.directive_id;
}

test("a directive goes from submission to its diff through the client alone", async () => {
	const node = await ScriptedNode.join(fleet);
	const directive_id = await submit("make test");
	const done = node.next({
		output: [
			["stdout", "hello\n"],
			["stderr", "oh\n"],
		],
		exitCode: 3,
		diff: "--- a\n+++ b\n",
	});
	const seen: string[] = [];
	for await (const event of followLogs(owner, directive_id)) {
		if (event.event === "chunk") seen.push(`${event.stream}: ${atob(event.bytes_base64)}`);
		if (event.event === "end") seen.push(`${event.state} ${event.exit_code}`);
	}
	assert.equal(await done, directive_id);
	assert.deepEqual(seen, ["stdout: hello\n", "stderr: oh\n", "failed 3"]);
	const shown = await owner.directives.show({ directive_id });
	assert.equal(shown.exit_code, 3);
	assert.equal(textOf(await owner.directives.diff({ directive_id })), "--- a\n+++ b\n");
});

test("the same key makes one directive; another request under it is refused", async () => {
	const { id: facility_id } = await owner.facilities.create();
	const once = (command: string) =>
		owner.directives.create({ facility_id, body: { command } }, { idempotencyKey: "monday" });
	const [first, second] = [await once("true"), await once("true")];
	assert.equal(first.directive_id, second.directive_id);
	await assert.rejects(once("false"), { code: "idempotency-conflict" });
	await owner.directives.cancel({ directive_id: first.directive_id });
});

test("lists are walked page by page and audit events are streamed", async () => {
	for (const name of ["a", "b", "c"]) await owner.facilities.create({ body: { name } });
	const names: (string | null)[] = [];
	for await (const page of everyPage(owner.facilities.list, { limit: 2 }))
		names.push(...page.facilities.map((facility) => facility.name));
	assert.deepEqual(names.slice(0, 3), ["c", "b", "a"]);
	const events: string[] = [];
	for await (const event of owner.audit.export({ event_type: "api.facilities.create" })) events.push(event.outcome);
	assert.ok(events.length >= 3 && events.every((outcome) => outcome === "done"));
});

test("a lesser token is refused what its role may not, and a revoked one everything", async () => {
	const { token, id } = await owner.tokens.create({ body: { name: "member", role: "member" } });
	const member = connect({ server: fleet.url, token });
	assert.equal((await member.account.whoami()).role, "member");
	await assert.rejects(member.users.list(), { code: "forbidden" });
	await owner.tokens.revoke({ token_id: id });
	await assert.rejects(member.account.whoami(), { code: "unauthorized" });
});

test("following goes on when the control plane is killed and started again", async () => {
	const { port } = new URL(fleet.url);
	const node = await ScriptedNode.join(fleet, "second");
	const directive_id = await submit("make slow");
	const { report } = await node.take();
	await report.chunk("stdout", 0, "before ");
	const seen: string[] = [];
	const lost: string[] = [];
	const following = (async () => {
		const onLost = () => lost.push("lost");
		for await (const event of followLogs(owner, directive_id, { onLost })) {
			if (event.event === "chunk") seen.push(atob(event.bytes_base64));
			if (event.event === "end") seen.push(event.state);
		}
	})();
	while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
	fleet.server.process.kill("SIGKILL");
	await fleet.server.ended;
	await addressOf(startServer(fleet.door, Number(port)));
	await report.chunk("stdout", 1, "after");
	await report.finished(0);
	await following;
	assert.deepEqual(seen, ["before ", "after", "succeeded"]);
	assert.deepEqual(lost, ["lost"]);
});
