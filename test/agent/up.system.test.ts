import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { FrontDoor, type Going, processesWith, until } from "../system/front-door.ts";
import { type Fleet, newFacility, ownerOf, seen, submitted } from "./people.ts";

describe("vouch up", () => {
	const door = new FrontDoor();
	let going: Going;
	let fleet: Fleet;
	let server: string;

	before(async () => {
		going = door.start(["up", "--port", "0"]);
		const owner = await ownerOf(going);
		server = owner.server;
		fleet = connect(owner);
	});
	after(() => door.close());

	test("a directive runs in a sandbox; its output, exit code and receipt are there", async () => {
		const facility = await newFacility(fleet);
		const command = "echo out; echo err >&2; echo kept > file; cat /etc/shadow; exit 3";
		const id = await submitted(fleet, facility, { command });
		const { stdout, stderr, directive } = await seen(fleet, id);
		assert.equal(stdout, "out\n");
		assert.match(stderr, /^err\n.*shadow/s);
		assert.deepEqual([directive.state, directive.exit_code], ["failed", 3]);
		const receipt = join(door.directory, "receipt.json");
		writeFileSync(receipt, await fleet.directives.receipt({ directive_id: id }));
		const verified = await door.run(["verify", receipt, "--json"]);
		const verdict = JSON.parse(verified.stdout.toString());
		assert.equal(verified.code, 0, verified.stdout.toString());
		const { predicate } = verdict.receipt;
		assert.equal(predicate.workloadDigest, directive.workload_digest);
		assert.deepEqual(predicate.workload.argv, ["/bin/sh", "-c", command]);
		assert.equal(predicate.decision.verdict, "allow");
		assert.deepEqual(
			predicate.changes.paths.map(({ path }: { path: string }) => path),
			["file"],
		);
	});

	test("a token that nobody gave to the command is known by its form, though it comes in pieces", async () => {
		const command = "printf 'token: gh'; sleep 0.2; printf 'p_%036d, not gh' 7; sleep 0.2; echo p_7";
		const { stdout } = await seen(fleet, await submitted(fleet, await newFacility(fleet), { command }));
		assert.equal(stdout, "token: [secret], not ghp_7\n");
	});

	test("a facility keeps what a directive left in it", async () => {
		const facility = await newFacility(fleet);
		await seen(fleet, await submitted(fleet, facility, { command: "echo one > file" }));
		const { stdout } = await seen(fleet, await submitted(fleet, facility, { command: "cat file" }));
		assert.equal(stdout, "one\n");
	});

	test("what is cancelled ends, with all that it started", async () => {
		const mark = `sleep 7${process.pid}.25`;
		const id = await submitted(fleet, await newFacility(fleet), { command: `${mark} & ${mark}; wait` });
		await until("it runs", () => processesWith(mark).length > 0);
		await fleet.directives.cancel({ directive_id: id });
		const { directive } = await seen(fleet, id);
		assert.equal(directive.state, "canceled");
		assert.deepEqual(processesWith(mark), []);
	});

	test("a timeout and an output limit are kept", async () => {
		const facility = await newFacility(fleet);
		const late = await seen(
			fleet,
			await submitted(fleet, facility, { command: "echo first; sleep 60", timeout_seconds: 3 }),
		);
		assert.deepEqual([late.directive.state, late.directive.exit_code, late.stdout], ["timed_out", 124, "first\n"]);
		const limits = { max_output_bytes: 1000 };
		const much = await seen(
			fleet,
			await submitted(fleet, facility, { command: "yes | head -c 100000; echo end > file", limits }),
		);
		assert.deepEqual(
			[much.directive.state, much.directive.stdout_truncated, much.stdout.length],
			["succeeded", true, 1000],
		);
	});

	test("of output beyond the limit the end is shown, and the facility keeps all of it", async () => {
		const facility = await newFacility(fleet);
		const limits = { max_output_bytes: 10_000 };
		const much = await seen(fleet, await submitted(fleet, facility, { command: "seq 20000; echo the end", limits }));
		assert.deepEqual([much.directive.state, much.directive.stdout_truncated], ["succeeded", true]);
		assert.match(much.stdout, /^1\n2\n3\n.*\n\[vouch\] \d+ bytes are left out here\n.*\n19999\n20000\nthe end\n$/s);
		assert.ok(much.stdout.length <= 10_000);
		const receipt = Buffer.from(await fleet.directives.receipt({ directive_id: much.id })).toString();
		const { subject } = JSON.parse(Buffer.from(JSON.parse(receipt).envelope.payload, "base64").toString());
		const digest = createHash("sha256").update(much.stdout).digest("hex");
		assert.equal(subject.find(({ name }: { name: string }) => name === "stdout").digest.sha256, digest);
		const command = `tail -n 2 .nexus/overflow/${much.id}/stdout.log; ls .nexus/overflow/${much.id}`;
		const after = await seen(fleet, await submitted(fleet, facility, { command }));
		assert.equal(after.stdout, "20000\nthe end\nstdout.log\n");
		const planted = await submitted(fleet, facility, { command: "rm -r .nexus; ln -s /tmp .nexus; seq 20000", limits });
		assert.equal((await seen(fleet, planted)).directive.state, "succeeded");
		assert.equal(existsSync(join("/tmp/overflow", planted)), false);
	});

	test("nothing is reached but what is allowed", async () => {
		const command = "curl -sS -m 5 http://192.0.2.1/ 2>&1; true";
		const { stdout } = await seen(fleet, await submitted(fleet, await newFacility(fleet), { command }));
		assert.match(stdout, /refus|denied|403|reset|Empty reply|Recv failure/i);
	});

	test("a second one on the same port says who is in the way, and what to do", async () => {
		const port = new URL(server).port;
		const other = join(door.directory, "other");
		const { code, stderr } = await door.run(["up", "--port", port, "--data", other]);
		assert.equal(code, 125);
		assert.match(stderr, /Listening on 127\.0\.0\.1:\d+: another program has that port\. Give another with --port/);
		assert.doesNotMatch(stderr, /"level"/);
	});

	test("asked to end it drains, and leaves nothing", async () => {
		const facility = await newFacility(fleet);
		const id = await submitted(fleet, facility, { command: "while [ ! -e go ]; do sleep 0.05; done; echo finished" });
		await until("it runs", () => door.liveFolders().length > 0);
		going.process.kill("SIGINT");
		writeFileSync(join(door.data, "up/agent/facilities", facility, "go"), "");
		const { code, stderr } = await going.ended;
		assert.equal(code, 0, stderr);
		assert.deepEqual(door.liveFolders(), []);
		going = door.start(["up", "--port", "0"]);
		fleet = connect(await ownerOf(going));
		const { stdout, directive } = await seen(fleet, id);
		assert.deepEqual([directive.state, stdout], ["succeeded", "finished\n"]);
	});
});

test("--json of what goes on running is one line for scripts: where it is, and a token", async () => {
	const door = new FrontDoor();
	try {
		for (const command of ["up", "server"]) {
			const going = door.start([command, "--port", "0", "--json"]);
			let said = "";
			going.process.stdout.on("data", (part: Buffer) => {
				said += part.toString();
			});
			await until(`vouch ${command} says where it is`, () => said.includes("\n"));
			const { url, token } = JSON.parse(said);
			const { role } = await connect({ server: url, token }).account.whoami();
			assert.equal(role, "owner");
		}
	} finally {
		await door.close();
	}
});
