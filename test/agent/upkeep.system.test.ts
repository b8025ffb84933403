import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { FrontDoor } from "../system/front-door.ts";

const analyze = spawnSync("systemd-analyze", ["--version"]).status === 0;

describe("vouch agent doctor and install", () => {
	const door = new FrontDoor();
	before(() => void execFileSync("bash", [join(import.meta.dirname, "../../scripts/build-helper")]));
	after(() => door.close());

	test("doctor says what is missing and what mends it", async () => {
		const config = join(door.directory, "agent.yaml");
		writeFileSync(
			config,
			`server_url: http://127.0.0.1:9\ntls:\n  client_cert_file: ${door.directory}/none.pem\n  client_key_file: ""\n`,
		);
		const { code, stdout, stderr } = await door.run(["agent", "doctor", "--config", config, "--json"]);
		assert.equal(code, 125, stdout.toString());
		assert.match(stderr + stdout.toString(), /none\.pem/);
		writeFileSync(config, "server_url: http://127.0.0.1:9\n");
		mkdirSync(join(door.data, "agent"), { recursive: true, mode: 0o700 });
		const looked = await door.run(["agent", "doctor", "--config", config, "--json"]);
		assert.equal(looked.code, 1);
		const { works, checks } = JSON.parse(looked.stdout.toString());
		assert.equal(works, false);
		const statusOf = (name: string) => checks.find((check: { name: string }) => check.name === name)?.status;
		assert.deepEqual(
			[statusOf("control plane"), statusOf("client certificate"), statusOf("signed decisions")],
			["missing", "warning", "warning"],
		);
	});

	test("install writes units, user and helper, and a dry run writes nothing", async () => {
		const root = join(door.directory, "root");
		const dry = await door.run(["agent", "install", "--dry-run", "--root", root]);
		assert.equal(dry.code, 0, dry.stderr);
		assert.equal(existsSync(root), false);
		const { code, stderr } = await door.run(["agent", "install", "--root", root]);
		assert.equal(code, 0, stderr);
		const service = readFileSync(join(root, "etc/systemd/system/vouch-agent.service"), "utf8");
		for (const line of [
			"NoNewPrivileges=yes",
			"CapabilityBoundingSet=",
			"ProtectSystem=strict",
			"User=vouch",
			"Delegate=cpu memory pids",
		])
			assert.ok(service.split("\n").includes(line), line);
		assert.equal(statSync(join(root, "usr/local/lib/vouch/vouch-helper")).mode & 0o777, 0o755);
		assert.match(readFileSync(join(root, "etc/sysusers.d/vouch-agent.conf"), "utf8"), /^u vouch /);
	});

	test("systemd takes the units, and finds them confined", {
		skip: !analyze && "systemd-analyze is not installed",
	}, async () => {
		const root = join(door.directory, "analysed");
		assert.equal((await door.run(["agent", "install", "--root", root])).code, 0);
		const units = join(root, "etc/systemd/system");
		for (const [unit, worst] of [
			["vouch-agent.service", 5.5],
			["vouch-helper@.service", 4],
		] as const) {
			const text = execFileSync(
				"systemd-analyze",
				["security", "--offline=yes", "--no-pager", `--threshold=100`, join(units, unit)],
				{ encoding: "utf8" },
			);
			const exposure = Number(/exposure level for [^:]*: ([\d.]+)/.exec(text)?.[1] ?? assert.fail(text));
			assert.ok(exposure <= worst, `${unit}: ${exposure}`);
		}
		const verified = spawnSync(
			"systemd-analyze",
			["verify", "--man=no", join(units, "vouch-agent.service"), join(units, "vouch-helper.socket")],
			{ encoding: "utf8" },
		);
		const complaints = verified.stderr
			.split("\n")
			.filter(
				(line) =>
					/vouch-(agent|helper)/.test(line) && !/not executable|No such file|Failed to create|not found/.test(line),
			);
		assert.deepEqual(complaints, []);
	});
});
