import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { writeServerCertificate } from "../agent/server-certificate.ts";
import { addressOf, type FleetDoor, openFleetDoor, ScriptedNode } from "./fleet-door.ts";
import type { Ended } from "./front-door.ts";

let fleet: FleetDoor;
let node: ScriptedNode;
before(async () => {
	fleet = await openFleetDoor();
	node = await ScriptedNode.join(fleet);
	const { code, stdout, stderr } = await fleet.door.run(["login", fleet.url], { input: `${fleet.token}\n` });
	assert.equal(code, 0, stderr);
	assert.match(stdout.toString(), /^owner, owner of default at http:/);
});
after(() => fleet?.close());

const vouch = (...args: string[]): Promise<Ended> => fleet.door.run(args);

async function good(...args: string[]): Promise<string> {
	const { code, stdout, stderr } = await vouch(...args);
	assert.equal(code, 0, `vouch ${args.join(" ")}: ${stderr}`);
	return stdout.toString();
}

async function facility(name: string): Promise<string> {
	return (await fleet.owner.facilities.create({ body: { name } })).id;
}

test("a login is kept where only its owner can read it, and a token that others can read is refused", async () => {
	const { login } = await fleet.door.json<{ login: { server: string; file: string } }>("config");
	assert.equal(login.server, fleet.url);
	assert.equal(statSync(login.file).mode & 0o777, 0o600);
	const path = join(fleet.door.directory, "token");
	writeFileSync(path, fleet.token, { mode: 0o644 });
	const environment = { VOUCH_SERVER: fleet.url, VOUCH_TOKEN_FILE: path };
	const open = await fleet.door.run(["whoami"], { environment });
	assert.equal(open.code, 125);
	assert.match(open.stderr, /others may read that file.*chmod 600.*\[cli\.token-open-to-others\]/);
	chmodSync(path, 0o600);
	const closed = await fleet.door.run(["whoami", "--json"], { environment });
	assert.equal(JSON.parse(closed.stdout.toString()).role, "owner");
});

test("a token is only sent to the server that it was kept for", async () => {
	const { code, stderr } = await vouch("directives", "--server", "http://127.0.0.1:1");
	assert.equal(code, 125);
	assert.match(stderr, /there is no token for it.*\[cli\.no-token\]/);
});

test("submit needs no facility where there is one, and says the whole command where there is none", async () => {
	const none = await vouch("submit", "--", "true");
	assert.equal(none.code, 125);
	assert.match(none.stderr, /vouch facility create --empty --name app.*\[cli\.no-facility\]/);
	const made = await good("facility", "create", "--empty", "--name", "only");
	assert.match(made, /kind +empty\nname +only\n/);
	const done = node.next({});
	const { code, stderr } = await vouch("submit", "--", "true");
	assert.equal(code, 0, stderr);
	assert.match(stderr, /^vouch: in facility only, the only one\n/);
	const id = await done;
	const { code: missing, stderr: why } = await vouch("diff", id);
	assert.equal(missing, 125);
	assert.match(why, /it changed nothing, or its facility is no git repository.*\[cli\.no-diff\]/);
	const shown = await good("show", id);
	assert.match(shown, /^directive +[0-9a-f-]{36}\ncommand +true\nfacility +only /);
	assert.match(shown, /asked +\S+ \S+ ago, by you\n/);
	assert.match(shown, /ran on +scripted /);
	const several = await facility("several").then(() => vouch("submit", "--", "true"));
	assert.match(several.stderr, /There are several facilities: say which with --facility/);
});

test("submit follows the output, ends with the command's exit code, and tells of the diff", async () => {
	await facility("app");
	const done = node.next({
		output: [
			["stdout", "out\n"],
			["stderr", "err\n"],
		],
		exitCode: 3,
		diff: "--- a\n+++ b\n",
	});
	const { code, stdout, stderr } = await vouch("submit", "--facility", "app", "--", "make", "it's");
	const id = await done;
	assert.equal(code, 3);
	assert.equal(stdout.toString(), "out\n");
	assert.match(stderr, /^vouch: directive [0-9a-f-]{36}\nerr\nvouch: failed with exit code 3 after /);
	assert.match(stderr, new RegExp(`vouch diff ${id}`));
	const shown = await fleet.door.json<{ command: string; state: string }>("show", id);
	assert.equal(shown.command, `make 'it'\\''s'`);
	assert.equal(await good("diff", id), "--- a\n+++ b\n");
	assert.equal(await good("logs", id, "--only", "stderr"), "err\n");
	const both = await vouch("logs", id);
	assert.deepEqual([both.stdout.toString(), both.stderr], ["out\n", "err\n"]);
	const lines = (await good("logs", id, "--json"))
		.trim()
		.split("\n")
		.map((line) => JSON.parse(line));
	assert.deepEqual(
		lines.sort((a, b) => (a.stream < b.stream ? 1 : -1)),
		["stdout", "stderr"].map((stream, seq) => ({ stream, seq, text: `${stream.slice(3)}\n`, truncated: false })),
	);
	assert.equal((await good("logs", id, "--json", "-f", "--only", "stdout")).split("\n").length, 2);
	const { tokens } = await fleet.owner.tokens.list();
	assert.ok(
		tokens.every(({ last_used_at }) => last_used_at !== null),
		"its use is noted",
	);
	assert.match(await good("directives", "--state", "failed"), new RegExp(`${id} .* failed +3 `));
});

test("what a directive may use is what the flags say, and mistakes are said before anything is sent", async () => {
	await facility("limits");
	const flags = ["--allow", "github.com:443", "--timeout", "90s", "--memory", "1G", "--cpu", "0.5", "--attempts", "2"];
	const id = (await good("submit", "--facility", "limits", ...flags, "--detach", "--", "make test")).trim();
	const { lease, report } = await node.take();
	assert.equal(lease.directive_id, id);
	const { command, limits, capabilities, timeout_seconds } = lease.spec;
	assert.deepEqual([command, timeout_seconds], ["make test", 90]);
	assert.deepEqual([limits?.cpu, limits?.memory_mb], [500, 1024]);
	assert.deepEqual(capabilities?.net?.allow, ["github.com:443"]);
	await report.finished(0);
	for (const [wrong, words] of [
		[["--net", "none", "--allow", "x:1"], /--allow needs --net allowlist/],
		[["--timeout", "soon"], /--timeout soon: write a time/],
		[["--net", "everything"], /none, allowlist, unrestricted/],
		[["--facility", "nowhere"], /facility nowhere: there is none by that name/],
	] as const) {
		const { code, stderr } = await vouch("submit", "--facility", "limits", ...wrong, "--", "true");
		assert.equal(code, 125);
		assert.match(stderr, words);
	}
});

test("Ctrl-C cancels the directive and waits for its end", async () => {
	await facility("slow");
	const going = fleet.door.start(["submit", "--facility", "slow", "--", "sleep", "1000"], { input: null });
	const { report } = await node.take();
	const printed = going.shows("working");
	await report.chunk("stdout", 0, "working\n");
	await printed;
	going.process.kill("SIGINT");
	while (!(await report.heartbeat()).cancel_requested) await new Promise((resolve) => setTimeout(resolve, 250));
	await report.canceled();
	const { code, stderr } = await going.ended;
	assert.equal(code, 130);
	assert.match(stderr, /canceling it; Ctrl-C again to go away/);
});

test("what no machine takes says so while it waits, and is canceled without one", async () => {
	await facility("bare");
	await node.heartbeat({ capacity: { supported_profiles: ["untrusted"] } });
	const going = fleet.door.start(["submit", "--facility", "bare", "--profile", "host", "--", "true"], { input: null });
	await going.shows("no machine that is online takes the profile host: it waits");
	going.process.kill("SIGINT");
	const { code, stderr } = await going.ended;
	assert.equal(code, 125, "it never ran");
	assert.match(stderr, /vouch: canceled\n/);
});

test("what needs a yes waits for one; nobody approves their own, and a yes names what was shown", async () => {
	const rules = { name: "ask", approval: { net_unrestricted: "needs_approval" } };
	const file = join(fleet.door.directory, "policy.yaml");
	writeFileSync(file, JSON.stringify(rules));
	const { id: policy } = await fleet.door.json<{ id: string }>("policies", "create", "--file", file);
	await facility("asked");
	const going = fleet.door.start(["submit", "--facility", "asked", "--net", "unrestricted", "--", "true"], {
		input: null,
	});
	await going.shows("waits for somebody's yes");
	const [waiting] = (await fleet.owner.directives.list({ state: "awaiting_approval" })).directives;
	assert.ok(waiting !== undefined);
	const own = await vouch("approve", waiting.id);
	assert.equal(own.code, 125);
	assert.match(own.stderr, /\[forbidden\]/);
	const ada = await fleet.door.json<{ id: string }>("users", "add", "--name", "Ada", "--role", "approver");
	const made = await fleet.door.json<{ token: string }>(
		...["tokens", "create", "--name", "ada", "--user", ada.id, "--role", "approver"],
	);
	const environment = { VOUCH_TOKEN: made.token, VOUCH_SERVER: fleet.url };
	const other = ["approve", waiting.id, "--digest", `sha256:${"0".repeat(64)}`];
	assert.notEqual((await fleet.door.run(other, { environment })).code, 0);
	const yes = await fleet.door.run(["approve", waiting.id, "--reason", "fine", "--json"], { environment });
	assert.equal(JSON.parse(yes.stdout.toString()).state, "queued", yes.stderr);
	await node.next({});
	assert.equal((await going.ended).code, 0);
	assert.match(await good("approvals", "--directive", waiting.id), /approved .* fine/);
	assert.match(await good("show", waiting.id), new RegExp(`approved by +${ada.id}: fine\n`));
	const refused = await good("submit", "--facility", "asked", "--net", "unrestricted", "--detach", "--", "true");
	await fleet.door.run(["reject", refused.trim(), "--reason", "not today"], { environment });
	const why = await good("show", refused.trim());
	assert.match(why, /^state +canceled: somebody said no$/m);
	assert.match(why, new RegExp(`rejected by +${ada.id}: not today\n`));
	await good("policies", "rm", policy);
});

test("a policy can be tried on what was submitted before it is made", async () => {
	const file = join(fleet.door.directory, "tried.yaml");
	writeFileSync(file, "name: shut\nnet: { mode: none }\n");
	const { judged, changed } = await fleet.door.json<{ judged: number; changed: { directive_id: string }[] }>(
		...["policies", "dry-run", "--file", file, "--last", "50"],
	);
	assert.ok(judged >= 3);
	assert.ok(changed.length >= 1, "the one that was to reach github.com");
	assert.match(await good("policies", "dry-run", "--file", file), /directives were judged/);
});

test("every list prints for people and for scripts, and goes on where it ended", async () => {
	for (const words of [
		["directives"],
		["facility", "ls"],
		["territories"],
		["policies", "--all"],
		["audit"],
		["approvals"],
		["tokens"],
		["tokens", "enrollments"],
		["users"],
		["commands"],
	]) {
		assert.match(await good(...words), /^(?:[A-Z]+ |No device commands\. .*vouch commands send)/, words.join(" "));
	}
	assert.ok("next_cursor" in (await fleet.door.json<object>("audit")));
	const text = await good("facility", "ls", "--limit", "1");
	const cursor = /--cursor (\S+)/.exec(text)?.[1] ?? assert.fail(text);
	assert.notEqual(await good("facility", "ls", "--limit", "1", "--cursor", cursor), text);
	const lines = (await good("audit", "export", "--event", "api.facilities.create")).trim().split("\n");
	assert.ok(lines.length >= 3 && lines.every((line) => JSON.parse(line).event_type === "api.facilities.create"));
});

test("devices behind a bridge are listed and shown, and a command goes to the one that is named", async () => {
	const bridge = await ScriptedNode.join(fleet, "bridge", "bridge");
	const lamp = { entity_type: "light", capabilities: ["light.on"], location: "home/hall" };
	const bridge_entities = [
		{ ...lamp, entity_ref: "light.lamp", display_name: "Lamp" },
		{ ...lamp, entity_ref: "light.spot" },
	];
	await bridge.heartbeat({ bridge_entities });
	const listed = await good("entities", "--location", "home/", "--type", "light", "--available");
	assert.match(listed, / Lamp +light +yes +\S+.* home\/hall +light\.on\n/);
	assert.match(await good("entities", "--unavailable"), /^No devices\./);
	const all = await fleet.door.json<{ bridge_entities: { id: string; entity_ref: string }[] }>("entities");
	const id = all.bridge_entities.find(({ entity_ref }) => entity_ref === "light.spot")?.id ?? assert.fail();
	assert.ok((await good("entities", "--ids")).split("\n").includes(id));
	assert.match(await good("entities", "show", id), /^id +\S+\nterritory id +\S+\nentity ref +light\.spot\n/m);
	const sent = await fleet.door.json<{ command_id: string }>("commands", "send", "light.on", "--entity", "light.spot");
	const told = await fleet.door.json<{ bridge_entity_id: string }>("commands", "show", sent.command_id);
	assert.equal(told.bridge_entity_id, id);
});

test("audit verify proves that events are as they were journaled, and says which were changed", async () => {
	const checkpoint = join(fleet.door.directory, "checkpoint");
	const verify = async () => {
		const { code, stdout } = await vouch("audit", "verify", "--checkpoint", checkpoint, "--json");
		return { code, ...(JSON.parse(stdout.toString()) as { covered: number; waiting: number; problems: string[] }) };
	};
	let first = await verify();
	// A round of the jobs comes every few seconds.
	for (const end = Date.now() + 60_000; first.covered === 0 && Date.now() < end; ) first = await verify();
	assert.deepEqual([first.code, first.problems], [0, []]);
	assert.ok(first.covered > 0);
	await facility("later");
	assert.equal((await verify()).code, 0);
	const store = new DatabaseSync(join(fleet.door.data, "server/store.sqlite"));
	store.exec("update audit_events set payload = '{\"innocent\":true}' where journal_index is not null and rowid = 1");
	store.close();
	const last = await verify();
	assert.equal(last.code, 1);
	assert.match(last.problems.join(), /^entry \d+: an event that it covers was changed$/);
	writeFileSync(checkpoint, readFileSync(checkpoint, "utf8").replace("\n", "\n9"));
	assert.match((await verify()).problems.join(), /that was kept is not signed by the key/);
});

test("a device command goes out and its result comes back", async () => {
	const send = ["commands", "send", "camera.snap", "--territory", node.territoryId, "--params", '{"flash": true}'];
	const { command_id } = await fleet.door.json<{ command_id: string }>(...send);
	assert.deepEqual(await node.pendingCommands(), [{ command_id, params: { flash: true } }]);
	await node.commandResult(command_id, { brightness: 7 }, Buffer.from("JPEG"));
	assert.match(await good("commands", "show", command_id), /result brightness +7/);
	assert.equal(await good("commands", "attachment", command_id), "JPEG");
});

test("a token that was revoked, and a server that is not there, are said in one sentence", async () => {
	const { id, token } = await fleet.door.json<{ id: string; token: string }>("tokens", "create", "--name", "gone");
	await good("tokens", "revoke", id);
	const refused = await fleet.door.run(["whoami"], { environment: { VOUCH_TOKEN: token } });
	assert.match(refused.stderr, /missing, wrong, expired or revoked.*\[unauthorized\]\n$/);
	const environment = { VOUCH_SERVER: "http://127.0.0.1:1", VOUCH_TOKEN: token };
	const nobody = await fleet.door.run(["whoami"], { environment });
	assert.match(nobody.stderr, /\[client\.unreachable\]\n$/);
	const typo = await vouch("policies", "shwo");
	assert.match(typo.stderr, /Unknown command 'policies shwo'\. Did you mean show\?/);
});

test("a server whose authority the system does not know is trusted by the one that login is given, and no other", async () => {
	const { certificate, key } = await writeServerCertificate(fleet.door.directory);
	const data = join(fleet.door.directory, "tls-server");
	const flags = ["--tls-certificate", certificate, "--tls-key", key, "--data", data, "--port", "0"];
	const server = fleet.door.start(["server", ...flags, "--log-level", "error"], { input: null });
	const { url, token } = await addressOf(server);
	assert.match(url, /^https:/);
	const input = `${token}\n`;
	const unknown = await fleet.door.run(["login", url], { input });
	assert.equal(unknown.code, 125);
	assert.match(unknown.stderr, /self-signed certificate.*\[client\.unreachable\]/);
	const known = await fleet.door.run(["login", url, "--ca", certificate], { input });
	assert.equal(known.code, 0, known.stderr);
	assert.match(await good("whoami"), /role +owner/);
	assert.equal((await fleet.door.run(["login", fleet.url], { input: fleet.token })).code, 0);
	server.process.kill("SIGTERM");
});

test("an id is a run's where there is such a run, and a directive's else; logout forgets", async () => {
	const missing = await vouch("show", "last");
	assert.match(missing.stderr, /\[cli\.run-not-found\]/);
	const unknown = await vouch("show", "019a2f44-8c1e-7000-9d2b-2f0e6a1c4b55");
	assert.match(unknown.stderr, /There is no directive 019a2f44/);
	const { login } = await fleet.door.json<{ login: { file: string } }>("config");
	await good("logout");
	assert.ok(!existsSync(login.file));
	const after = await vouch("show", "019a2f44-8c1e-7000-9d2b-2f0e6a1c4b55");
	assert.match(after.stderr, /\[cli\.run-not-found\]/);
	assert.match((await vouch("directives")).stderr, /\[cli\.no-server\]/);
});
