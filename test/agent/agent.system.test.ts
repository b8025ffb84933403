import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { connect } from "../../src/api/index.ts";
import { publicKeyFromRaw } from "../../src/evidence/index.ts";
import type { ReceiptPredicate } from "../../src/evidence/schema.ts";
import { freePort } from "../fixtures/free-port.ts";
import { FrontDoor, type Going, processesWith, until } from "../system/front-door.ts";
import { readExposition } from "./exposition.ts";
import { gitDaemon, SSHD, sshDaemon } from "./git-servers.ts";
import { type Fleet, newFacility, ownerOf, type Seen, seen, submitted } from "./people.ts";
import { writeServerCertificate } from "./server-certificate.ts";

describe("a control plane and a node, each a process, with client certificates", () => {
	const door = new FrontDoor();
	const folder = join(door.directory, "node");
	let fleet: Fleet;
	let node: Going;
	let server: Going;
	let serverArgs: readonly string[] = [];
	let healthPort = 0;

	/** All that the nodes of this suite wrote to their logs. */
	let log = "";
	const said = (): string => log;

	const startNode = async (environment: Readonly<Record<string, string>> = {}): Promise<void> => {
		const args = ["agent", "--data", folder, "--health", `127.0.0.1:${healthPort}`, "--log-level", "trace"];
		node = door.start(args, { environment: { VOUCH_AGENT_DEBUG_TAPE: "true", ...environment } });
		node.process.stderr.on("data", (chunk: Buffer) => {
			log += chunk.toString();
		});
		await node.shows("the channel is up");
	};

	before(async () => {
		healthPort = await freePort();
		const { certificate, key } = await writeServerCertificate(door.directory);
		serverArgs = ["server", "--port", String(await freePort()), "--tls-certificate", certificate, "--tls-key", key];
		server = door.start(serverArgs);
		const owner = await ownerOf(server);
		setDefaultCACertificates([...getCACertificates("default"), readFileSync(certificate, "utf8")]);
		fleet = connect(owner);
		const { token } = await fleet.enrollmentTokens.create({ body: {} });
		const enrolled = await door.run(
			[
				"agent",
				"enroll",
				"--server",
				owner.server,
				"--token",
				"-",
				"--ca",
				certificate,
				"--data",
				folder,
				"--name",
				"node-1",
			],
			{ input: token },
		);
		assert.equal(enrolled.code, 0, enrolled.stderr);
		await startNode();
	});
	after(() => door.close());

	test("a second node in the same folder is refused, and a token works once", async () => {
		const second = await door.run(["agent", "--data", folder]);
		assert.match(second.stderr, /cli\.agent-running/);
		const again = await door.run([
			"agent",
			"enroll",
			"--server",
			"http://127.0.0.1:1",
			"--token",
			"x",
			"--data",
			folder,
		]);
		assert.match(again.stderr, /cli\.agent-enrolled/);
	});

	test("killed with kill -9 in the middle: nothing is left running, and the directive ends once", async () => {
		const mark = `sleep 8${process.pid}.25`;
		const facility = await newFacility(fleet);
		const once = await submitted(fleet, facility, { command: `${mark}` });
		await until("it runs", () => processesWith(mark).length > 0);
		node.process.kill("SIGKILL");
		await node.ended;
		await until("all of it is gone", () => processesWith(mark).length === 0);
		await startNode();
		const lost = await seen(fleet, once);
		assert.equal(lost.directive.state, "failed");
		assert.equal(lost.directive.attempts, 1);
		await until("private folders are gone", () => door.liveFolders().length === 0);
		const { stdout } = await seen(fleet, await submitted(fleet, facility, { command: "echo free again" }));
		assert.equal(stdout, "free again\n");
	});

	test("killed in the middle, what may be begun again is, and ends once", async () => {
		const mark = `sleep 9${process.pid}.25`;
		const command = `echo begun >> times; if [ $(wc -l < times) = 1 ]; then ${mark}; fi; cat times`;
		const facility = await newFacility(fleet);
		const id = await submitted(fleet, facility, { command, max_attempts: 2 });
		await until("it runs", () => isWritten(join(folder, "facilities", facility, "times")));
		node.process.kill("SIGKILL");
		await node.ended;
		await startNode();
		const { directive, stdout } = await seen(fleet, id);
		assert.deepEqual([directive.state, directive.attempts, stdout], ["succeeded", 2, "begun\nbegun\n"]);
	});

	test("a control plane takes a new key, and its nodes go on: the old one named it", async () => {
		const facility = await newFacility(fleet);
		server.process.kill("SIGTERM");
		await server.ended;
		const { before, after } = await door.json<{ before: string; after: string }>("server", "rotate-key");
		assert.notEqual(before, after);
		server = door.start(serverArgs);
		await server.shows("listening");
		const { directive, stdout, stderr } = await seen(fleet, await submitted(fleet, facility, { command: "echo on" }));
		assert.deepEqual([directive.state, stdout], ["succeeded", "on\n"], stderr);
		assert.match(log, /the control plane has another key, which the one before it names/);
		const { public_key } = await fleet.journal.checkpoint();
		assert.equal(publicKeyFromRaw(Buffer.from(public_key, "base64"))?.keyId, after);
	});

	test("a decision of another control plane is refused, and nothing runs", async () => {
		node.process.kill("SIGTERM");
		assert.equal((await node.ended).code, 0);
		const path = join(folder, "agent.yaml");
		const settings = readFileSync(path, "utf8");
		const other = Buffer.alloc(32, 7).toString("base64");
		writeFileSync(path, settings.replace(/vouch-ed25519:\S+/, `vouch-ed25519:${other}`));
		await startNode();
		const { directive, stderr } = await seen(
			fleet,
			await submitted(fleet, await newFacility(fleet), { command: "echo no" }),
		);
		assert.deepEqual([directive.state, directive.exit_code], ["failed", 125]);
		assert.match(stderr, /brings no decision that the control plane of this node has signed/);
		writeFileSync(path, settings);
		node.process.kill("SIGTERM");
		await node.ended;
		await startNode();
	});

	test("secrets are files in memory or the input, masked in every output, and only those that a policy allows", async (context) => {
		const memory = mkdtempSync("/dev/shm/vouch-agent-");
		context.after(() => rmSync(memory, { recursive: true, force: true }));
		const values = join(door.directory, "values");
		mkdirSync(values);
		writeFileSync(join(values, "deploy-key"), "hunter2-hunter2\n");
		node.process.kill("SIGTERM");
		await node.ended;
		await startNode({ XDG_RUNTIME_DIR: memory, VOUCH_AGENT_SECRETS_DIRECTORY: values });
		const facility = await newFacility(fleet);
		const asked = (refs: string[]) => ({ requested_capabilities: { secrets: { refs } } });
		const command = "cat /run/secrets/deploy-key; stat -f -c %T /run/secrets; env | grep -c h[u]nter2; ls /run/secrets";
		await assert.rejects(
			submitted(fleet, facility, { command, ...asked(["deploy-key"]) }),
			/no policy allows the secret/,
		);
		const secrets = { allowed_refs: ["deploy-key"] };
		await fleet.policies.create({ body: { name: "secrets", secrets } });
		const { stdout, directive } = await seen(
			fleet,
			await submitted(fleet, facility, { command, ...asked(["deploy-key"]) }),
		);
		assert.equal(stdout, "[secret]\ntmpfs\n0\ndeploy-key\n");
		const predicate = predicateIn(await fleet.directives.receipt({ directive_id: directive.id }));
		assert.deepEqual(predicate.workload.secretFiles, ["deploy-key"]);
		assert.ok(!JSON.stringify(predicate).includes("hunter2"));
		assert.deepEqual(readdirSync(join(memory, "vouch")), []);
		assert.match(said(), /"secrets":\["deploy-key"\]/, "that it was given is said");
		assert.doesNotMatch(
			said(),
			/hunter2|eyJ[\w-]+\.|vouch_\w{20}|PRIVATE KEY/,
			"no value, lease token, credential or key",
		);
		const given = { requested_capabilities: { secrets: { stdin: "deploy-key" } } };
		const input = 'read key; test "$key" = hunter2-hunter2 && echo as given; echo $key; ls /run/secrets 2>&1; cat';
		const read = await seen(fleet, await submitted(fleet, facility, { command: input, ...given }));
		assert.equal(read.stdout, "as given\n[secret]\nls: cannot access '/run/secrets': No such file or directory\n");
		const { inputs, workload } = predicateIn(await fleet.directives.receipt({ directive_id: read.id }));
		assert.deepEqual([workload.secretInput, inputs.stdin], ["deploy-key", null]);
		await assert.rejects(
			submitted(fleet, facility, { command, ...asked(["other"]) }),
			/no policy allows the secret other/,
		);
	});

	test("a device command reaches it by the channel and is answered", async () => {
		const asked = async (capability: string) => {
			const [territory] = (await fleet.territories.list()).territories;
			const body = { capability, target: { territory_id: territory?.id ?? "" } };
			const { command_id } = await fleet.commands.create({ body });
			for (let attempt = 0; attempt < 1200; attempt++) {
				const command = await fleet.commands.show({ command_id });
				if (command.state === "completed" || command.state === "failed") return command;
				await new Promise((resolve) => setTimeout(resolve, 50));
			}
			return assert.fail("it was not answered");
		};
		const info = await asked("system.info");
		assert.equal(info.state, "completed");
		assert.equal((info.result as { platform: string }).platform, process.platform);
	});

	test("health and metrics are served by the names that dashboards know", async () => {
		const get = async (path: string) => (await fetch(`http://127.0.0.1:${healthPort}${path}`)).text();
		assert.equal(await get("/healthz"), "ok");
		assert.equal(await get("/readyz"), "ok");
		const metrics = readExposition(await get("/metrics"));
		const labelsOf = (name: string) => {
			const labels = metrics.get(name)?.samples.flatMap((sample) => Object.keys(sample.labels)) ?? assert.fail(name);
			return [...new Set(labels)].sort();
		};
		// Conduits section 7.15.
		for (const [name, type, labels] of [
			["nexusd_directives_total", "counter", ["status"]],
			["nexusd_directive_duration_seconds", "histogram", ["driver", "le", "profile"]],
			["nexusd_directives_in_flight", "gauge", []],
			["nexusd_poll_total", "counter", ["result"]],
			["nexusd_poll_errors_total", "counter", []],
			["nexusd_heartbeat_errors_total", "counter", []],
			["nexusd_driver_healthy", "gauge", ["driver"]],
			["process_cpu_user_seconds_total", "counter", []],
		] as const)
			assert.deepEqual([name, metrics.get(name)?.type, labelsOf(name)], [name, type, [...labels]]);
		const figureOf = (name: string, label: string, text: string) =>
			metrics.get(name)?.samples.find((sample) => sample.labels[label] === text)?.value ?? 0;
		assert.ok(figureOf("nexusd_directives_total", "status", "succeeded") >= 1);
		assert.equal(figureOf("nexusd_driver_healthy", "driver", "bwrap"), 1);
		assert.ok(figureOf("nexusd_directive_duration_seconds", "driver", "bwrap") >= 0);
		const limits = metrics.get("nexusd_directive_duration_seconds")?.samples.flatMap(({ labels: { le } }) => le ?? []);
		assert.deepEqual(
			[...new Set(limits)],
			["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"],
		);
	});

	test("over ssh a repository is cloned with the node's deploy key, and from no host but those that it knows", {
		skip: !existsSync(SSHD) && "openssh-server is not installed",
	}, async (context) => {
		const memory = mkdtempSync("/dev/shm/vouch-agent-");
		context.after(() => rmSync(memory, { recursive: true, force: true }));
		const daemon = await sshDaemon(join(door.directory, "ssh"));
		context.after(() => daemon.child.kill());
		node.process.kill("SIGTERM");
		await node.ended;
		await startNode({
			XDG_RUNTIME_DIR: memory,
			VOUCH_AGENT_SECRETS_DIRECTORY: daemon.secrets,
			VOUCH_AGENT_SSH_KEY: "git-key",
		});
		const cloned = async (): Promise<Seen> => {
			const facility = await newFacility(fleet, daemon.url);
			return seen(fleet, await submitted(fleet, facility, { command: "cat README; ls /run/secrets" }));
		};
		const known = await cloned();
		assert.equal(known.stdout, "hello\n", known.stderr);
		writeFileSync(join(daemon.secrets, "known_hosts"), daemon.otherHostKey);
		const other = await cloned();
		assert.deepEqual([other.directive.state, other.stdout], ["failed", ""]);
		assert.match(other.stderr, /Host key verification failed/);
	});

	test("a repository is cloned through the gate, and what a directive changes in it is its diff", async (context) => {
		const repositories = join(door.directory, "repositories");
		const daemon = await gitDaemon(repositories);
		context.after(() => daemon.child.kill());
		const repository = `git://127.0.0.1:${daemon.port}/one.git`;
		const facility = await newFacility(fleet, repository);
		const id = await submitted(fleet, facility, { command: "cat README && echo more >> README" });
		const { stdout, stderr, directive } = await seen(fleet, id);
		assert.equal(stdout, "hello\n", stderr);
		assert.match(stderr, /^\[prepare\] cloning git:\/\/127\.0\.0\.1:\d+\/one\.git\n/);
		assert.equal(directive.has_diff, true);
		const diff = Buffer.from(await fleet.directives.diff({ directive_id: id })).toString();
		assert.match(diff, /^\+more$/m);
		const receipt = await fleet.directives.receipt({ directive_id: id });
		const { preparation } = predicateIn(receipt);
		const commit = execFileSync("git", ["-C", join(repositories, "work"), "rev-parse", "main"])
			.toString()
			.trim();
		assert.deepEqual([preparation?.repository, preparation?.ref, preparation?.commit], [repository, null, commit]);
		const reached = preparation?.ledgerEntries.map(({ host, port, verdict }) => [host, port, verdict]);
		assert.deepEqual(reached, [["127.0.0.1", daemon.port, "allowed"]]);
		assert.ok((preparation?.ledger.bytesDown ?? 0) > 100);
		const path = join(door.directory, "cloned.receipt.json");
		writeFileSync(path, receipt);
		const keys = [JSON.parse(Buffer.from(receipt).toString()), await fleet.journal.checkpoint()];
		const trusted = keys.flatMap(({ publicKey, public_key }) => ["--key", `vouch-ed25519:${publicKey ?? public_key}`]);
		const verified = await door.run(["verify", path, ...trusted]);
		assert.match(
			verified.stdout.toString(),
			new RegExp(`holds +preparation +cloned ${repository}: commit ${commit}; 1 allowed`),
		);
		assert.equal(verified.code, 0);
		const next = await seen(fleet, await submitted(fleet, facility, { command: "git log --oneline" }));
		assert.equal(predicateIn(await fleet.directives.receipt({ directive_id: next.id })).preparation, undefined);
		const taped = (): readonly string[] =>
			readFileSync(join(folder, "debug-tape.jsonl"), "utf8")
				.trimEnd()
				.split("\n")
				.map((line) => JSON.parse(line))
				.flatMap(({ directive_id, event }) => (directive_id === id ? [event] : []));
		await until("its end is on the tape", () => taped().includes("finished_posted"));
		assert.deepEqual(taped(), [
			"directive_claimed",
			"started_posted",
			"prepare_clone_started",
			"prepare_clone_succeeded",
			"driver_selected",
			"run_started",
			"run_finished",
			"finished_posted",
		]);
		const init = { repo_url: repository, ref: "release/1" };
		const released = await fleet.facilities.create({ body: { kind: "repo", init } });
		const command = "cat README; git branch --show-current; git rev-list --count HEAD";
		const other = await seen(fleet, await submitted(fleet, released.id, { command }));
		assert.equal(other.stdout, "released\nrelease/1\n1\n", other.stderr);
		const none = await fleet.facilities.create({ body: { kind: "repo", init: { ...init, ref: "release/2" } } });
		const without = await seen(fleet, await submitted(fleet, none.id, { command: "echo never" }));
		assert.deepEqual([without.directive.state, without.stdout], ["failed", ""]);
		assert.match(without.stderr, /release\/2/);
		const wrong = await newFacility(fleet, `git://127.0.0.1:${daemon.port}/two.git`);
		const failed = await seen(fleet, await submitted(fleet, wrong, { command: "echo never" }));
		assert.deepEqual([failed.directive.state, failed.stdout], ["failed", ""]);
		assert.match(failed.stderr, /\[prepare\] failed/);
	});
});

function predicateIn(receipt: Uint8Array): ReceiptPredicate {
	const { payload } = JSON.parse(Buffer.from(receipt).toString()).envelope;
	return JSON.parse(Buffer.from(payload, "base64").toString()).predicate;
}

function isWritten(path: string): boolean {
	return existsSync(path) && readFileSync(path).length > 0;
}
