import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { digestOf } from "../../src/core/index.ts";
import { BUCKET_KEYS, openBucket } from "../fixtures/bucket.ts";
import { freePort } from "../fixtures/free-port.ts";
import { FrontDoor, type Going, processesWith, until } from "../system/front-door.ts";
import { type Fleet, newFacility, ownerOf, seen, submitted } from "./people.ts";

describe("a control plane on S3 that is killed while its node works", () => {
	const door = new FrontDoor();
	const folder = join(door.directory, "node");
	const facilities = join(folder, "facilities");
	const objects = join(door.directory, "objects");
	let bucket: Awaited<ReturnType<typeof openBucket>> | undefined;
	let fleet: Fleet;
	let server: Going;
	let node: Going;
	let port = 0;

	/** Header authentication: TLS is another test's. */
	const startServer = async (): Promise<Going> => {
		const args = ["--port", String(port), "--territory-auth", "either", "--blobs", "s3://vouch/fleet"];
		const environment = {
			AWS_ENDPOINT_URL_S3: bucket?.endpoint ?? "",
			AWS_ACCESS_KEY_ID: BUCKET_KEYS.accessKeyId,
			AWS_SECRET_ACCESS_KEY: BUCKET_KEYS.secretAccessKey,
		};
		server = door.start(["server", ...args], { environment });
		return server;
	};
	const startNode = async (): Promise<void> => {
		node = door.start(["agent", "--data", folder]);
		await node.shows("the channel is up");
	};
	const killed = async (going: Going): Promise<void> => {
		going.process.kill("SIGKILL");
		await going.ended;
	};
	const serverIsBack = async (): Promise<void> => {
		await (await startServer()).shows("listening");
	};
	const ends = (): string => {
		const path = join(folder, "state/finished.wal");
		return existsSync(path) ? readFileSync(path, "utf8") : "";
	};

	before(async () => {
		bucket = await openBucket(objects);
		port = await freePort();
		const owner = await ownerOf(await startServer());
		fleet = connect(owner);
		const { token } = await fleet.enrollmentTokens.create({ body: {} });
		const where = ["--server", owner.server, "--data", folder];
		const enrolled = await door.run(["agent", "enroll", "--token", "-", ...where], { input: token });
		assert.equal(enrolled.code, 0, enrolled.stderr);
		await startNode();
	});
	after(async () => {
		await door.close();
		await bucket?.close();
	});

	test("the command goes on; all it prints meanwhile comes later, in order and once", async () => {
		const facility = await newFacility(fleet);
		const waiting = "while [ ! -e go ]; do sleep 0.05; done; echo over";
		const command = `for i in $(seq 1 300); do echo line $i; sleep 0.01; done; touch printed; ${waiting}`;
		const id = await submitted(fleet, facility, { command });
		for await (const event of fleet.directives.tail({ directive_id: id })) if (event.event === "chunk") break;
		await killed(server);
		await until("all is printed, and nobody took it", () => existsSync(join(facilities, facility, "printed")));
		await serverIsBack();
		writeFileSync(join(facilities, facility, "go"), "");
		const { stdout, directive } = await seen(fleet, id);
		const lines = Array.from({ length: 300 }, (_, at) => `line ${at + 1}\n`).join("");
		assert.equal(stdout, `${lines}over\n`);
		assert.equal(directive.state, "succeeded");
	});

	test("a node killed with an end that nobody heard tells it at its next start, files and receipt first", async () => {
		const facility = await newFacility(fleet);
		const mark = `sleep 7${process.pid}.25`;
		// It leaves a process behind that would outlive it.
		const command = `setsid ${mark} & while [ ! -e go ]; do sleep 0.05; done; mkdir out; head -c 5000000 /dev/zero > out/zeros; echo x > out/x`;
		const id = await submitted(fleet, facility, { command, artifacts: ["out/"] });
		await until("it runs", () => processesWith(mark).length > 0);
		await killed(server);
		writeFileSync(join(facilities, facility, "go"), "");
		await until("its end is on disk", () => ends().includes(id));
		await killed(node);
		await until("nothing of it runs", () => processesWith(mark).length === 0);
		assert.equal(readdirSync(join(folder, "state/artifacts")).length, 1);
		await serverIsBack();
		await startNode();
		const { directive } = await seen(fleet, id);
		assert.deepEqual([directive.state, directive.attempts], ["succeeded", 1]);
		assert.notEqual(directive.receipt_digest, null);
		const { artifacts } = await fleet.directives.artifacts({ directive_id: id });
		assert.deepEqual(
			artifacts.map(({ name, size_bytes }) => [name, size_bytes]),
			[
				["out/x", 2],
				["out/zeros", 5_000_000],
			],
		);
		const zeros = fleet.directives.artifact({ directive_id: id, artifact_id: artifacts[1]?.id ?? "" });
		assert.equal(digestOf(await buffer(zeros)), digestOf(Buffer.alloc(5_000_000)));
		await until("the node keeps none of it", () => readdirSync(join(folder, "state/artifacts")).length === 0);
		assert.equal(ends().trim(), "");
		const kept = readdirSync(objects, { recursive: true, encoding: "utf8" });
		const [x] = artifacts;
		assert.ok(
			kept.some((path) => path.includes(`fleet/aging/`) && path.includes(x?.digest.slice("sha256:".length) ?? "?")),
			kept.join("\n"),
		);
		assert.equal(existsSync(join(door.data, "server/blobs")), false, "nothing is beside the bucket");
	});
});
