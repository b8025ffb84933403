import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { digestOf } from "../../src/core/index.ts";
import { whyNoMachines } from "../machines/qemu-driver.ts";
import { registryMissing, startRegistry } from "../registry/real-registry.ts";
import { type Going, until } from "../system/front-door.ts";
import { busyboxMissing, ImageDoor, makeBusyboxRoot } from "../system/image-door.ts";
import { type Fleet, ownerOf } from "./people.ts";

const skip = busyboxMissing() || (await whyNoMachines());

describe("directives in images and in machines", { skip }, () => {
	const door = new ImageDoor();
	let going: Going;
	let fleet: Fleet;
	let digest = "";
	const settings = join(door.data, "up/agent/agent.yaml");

	const startUp = async (): Promise<void> => {
		going = door.start(["up", "--port", "0"]);
		fleet = connect(await ownerOf(going));
	};
	const submit = async (...args: readonly string[]) => {
		const ended = await door.run(["submit", "--facility", "app", ...args]);
		return { ...ended, stdout: ended.stdout.toString() };
	};
	/** What the receipt of the directive that this said of verifiably says. */
	const receiptOf = async (stderr: string) => {
		const id = /directive (\S+)/.exec(stderr)?.[1] ?? assert.fail(stderr);
		const path = join(door.directory, `${id}.receipt.json`);
		writeFileSync(path, await fleet.directives.receipt({ directive_id: id }));
		const verified = await door.run(["verify", path, "--json"]);
		assert.equal(verified.code, 0, verified.stdout.toString());
		return JSON.parse(verified.stdout.toString()).receipt.predicate;
	};

	before(async () => {
		makeBusyboxRoot(join(door.workspace, "tools"));
		digest = await door.build("tools");
		await startUp();
		await fleet.facilities.create({ body: { kind: "empty", name: "app" } });
	});
	after(() => door.close());

	test("in a machine of its own: another kernel, the facility's files both ways, and the image in a receipt that verifies", async () => {
		assert.equal((await submit("--", "echo given > given")).code, 0);
		const command = "busybox uname -r; cat given; echo made > made; exit 3";
		const asked = ["--image", "tools", "--isolation", "vm", "--artifact", "made"];
		const { code, stdout, stderr } = await submit(...asked, command);
		assert.equal(code, 3, stderr);
		const [kernel, given] = stdout.split("\n");
		assert.equal(given, "given");
		assert.notEqual(kernel, release());
		const predicate = await receiptOf(stderr);
		assert.equal(predicate.launchPlan.driver, "qemu");
		assert.equal(predicate.image.digest, digest);
		assert.match(predicate.image.verityRoot, /^[0-9a-f]{64}$/);
		assert.deepEqual(predicate.workload.root, { kind: "image", reference: "tools", digest });
		assert.ok(predicate.launchPlan.guarantees.kept.includes("separate-kernel"));
		assert.deepEqual(predicate.artifacts, [{ name: "made", bytes: 5, digest: digestOf("made\n") }]);
		assert.equal(predicate.decision.workloadDigest, predicate.workloadDigest);
		assert.equal((await submit("--", "cat made")).stdout, "made\n");
	});

	for (const [isolation, driver] of [
		[[], "bwrap"],
		[["--isolation", "bwrap"], "bwrap"],
		[["--isolation", "container"], "container"],
	] as const) {
		test(`in an image, ${isolation.at(-1) ?? "the strongest that shows folders"}`, async () => {
			const asked = ["--image", `tools@${digest}`, ...isolation];
			const { code, stdout, stderr } = await submit(...asked, "ls /; test -e /usr && echo the machine has more");
			assert.equal(code, 1, stderr);
			assert.ok(stdout.split("\n").includes("workspace") && !stdout.includes("more"), stdout);
			const { launchPlan, image } = await receiptOf(stderr);
			assert.deepEqual([launchPlan.driver, image.digest], [driver, digest]);
		});
	}

	test("the control plane is told which images are here", async () => {
		const capacityNow = async () => (await fleet.territories.list()).territories[0]?.capacity;
		await until("a heartbeat tells of its capacity", async () => (await capacityNow())?.images !== undefined);
		const capacity = await capacityNow();
		assert.deepEqual([capacity?.images, capacity?.image_registries], [[digest], []]);
		const id = (await door.run(["territories", "--ids"])).stdout.toString().trim();
		const { stdout } = await door.run(["territories", "show", id]);
		assert.match(stdout.toString(), new RegExp(`capacity images +${digest}\n`));
	});

	test("what can't be is refused before it is stored, or before anything ran, each with its reason", async () => {
		const unknown = `sha256:${"f".repeat(64)}`;
		const absent = await submit("--image", `other@${unknown}`, "--isolation", "vm", "true");
		assert.equal(absent.code, 125);
		assert.match(absent.stderr, /This node does not have the image other \(sha256:f+\), and its name says no registry/);
		const far = await submit("--image", `registry.example.org/x:1@${unknown}`, "true");
		assert.equal(far.code, 125);
		assert.match(far.stderr, /does not pull from registry\.example\.org: its setting images\.registries names where/);
		const bare = await submit("--isolation", "vm", "true");
		assert.match(bare.stderr, /image: profile vm boots one; give it/);
		const both = await submit("--isolation", "bwrap", "--profile", "trusted", "true");
		assert.match(both.stderr, /--profile and --isolation both say what holds it/);
		const rules = { allowed_profiles: ["vm"], allowed_images: [unknown] };
		const policy = await fleet.policies.create({ body: { name: "machines", sandbox_profile_rules: rules } });
		const forbidden = await submit("--image", "tools", "--isolation", "bwrap", "true");
		assert.match(forbidden.stderr, /no policy allows the sandbox profile bwrap/);
		assert.match(forbidden.stderr, new RegExp(`no policy allows the image ${digest}`));
		await fleet.policies.delete({ policy_id: policy.id });
	});

	test("a node that keeps machines ready gives one of them to a directive", async () => {
		going.process.kill("SIGTERM");
		await going.ended;
		appendFileSync(settings, "pool: { images: [tools, absent], size: 1 }\n");
		await startUp();
		const { code, stdout, stderr } = await submit("--image", "tools", "--isolation", "vm", "echo ready");
		assert.deepEqual([code, stdout], [0, "ready\n"], stderr);
		const { launchPlan } = await receiptOf(stderr);
		assert.equal(typeof launchPlan.pool?.key, "string");
		going.process.kill("SIGTERM");
		assert.equal((await going.ended).code, 0);
		assert.deepEqual(readdirSync(join(door.directory, "cache/vouch/machines")), []);
		writeFileSync(settings, readFileSync(settings, "utf8").replace(/^pool:.*$/m, ""));
		await startUp();
	});

	test("a node pulls an image that it does not have, from registries that its settings name, and no other than that one", {
		skip: registryMissing(),
	}, async (context) => {
		const registry = await startRegistry(join(door.directory, "registry"));
		context.after(() => registry.stop());
		const place = `127.0.0.1:${registry.port}/team/tools:1`;
		await door.vouch(0, "image", "push", "tools", place);
		await door.vouch(0, "image", "rm", digest);
		going.process.kill("SIGTERM");
		await going.ended;
		appendFileSync(settings, `images:\n  registries: ["127.0.0.1:${registry.port}"]\n`);
		await startUp();
		const wrong = await submit("--image", `${place}@sha256:${"e".repeat(64)}`, "--isolation", "bwrap", "echo ran");
		assert.deepEqual([wrong.code, wrong.stdout], [125, ""]);
		assert.match(wrong.stderr, /Getting the image 127\.0\.0\.1:\d+\/team\/tools:1: /);
		const { code, stdout, stderr } = await submit("--image", `${place}@${digest}`, "--isolation", "bwrap", "echo ran");
		assert.deepEqual([code, stdout], [0, "ran\n"], stderr);
		assert.match(stderr, /\[prepare\] pulling the image 127\.0\.0\.1/);
		assert.equal((await receiptOf(stderr)).image.digest, digest);
	});
});
