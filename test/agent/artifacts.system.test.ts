import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { digestOf } from "../../src/core/index.ts";
import { type Ended, FrontDoor } from "../system/front-door.ts";
import { type Fleet, ownerOf } from "./people.ts";

/** Makes what may be kept, what may not, and fails: they are kept all the same. */
const COMMAND = `mkdir -p dist/deep; head -c 5000000 /dev/zero > dist/zeros; echo deep > "dist/deep/ü b.txt"; echo log > run.log;
	: > dist/empty; echo hidden > dist/.hidden; ln -s /etc/passwd dist/link; ln -s deep dist/folder; mkfifo dist/pipe; echo no > other; exit 3`;
const PATTERNS = ["--artifact", "dist/", "--artifact", "*.log"];
const ZEROS = Buffer.alloc(5_000_000);
const NAMES = ["dist/deep/ü b.txt", "dist/empty", "dist/zeros", "run.log"];

describe("files that a run hands over", () => {
	const door = new FrontDoor();
	let fleet: Fleet;
	let places = 0;

	before(async () => {
		fleet = connect(await ownerOf(door.start(["up", "--port", "0"])));
		await fleet.facilities.create({ body: { kind: "empty", name: "app" } });
	});
	after(() => door.close());

	/** What there is to get of an id, however it was run. */
	const mustBeThere = async (id: string, receipt: string): Promise<void> => {
		const listed = await door.json<{ name: string; bytes: number; digest: string }[]>("artifacts", id);
		assert.deepEqual(
			listed.map(({ name }) => name),
			NAMES,
		);
		assert.deepEqual(listed[2], { name: "dist/zeros", bytes: ZEROS.length, digest: digestOf(ZEROS) });
		places += 1;
		const folder = join(door.directory, `out-${places}`);
		const gotten = await door.run(["artifacts", id, "--to", folder]);
		assert.equal(gotten.code, 0, gotten.stderr);
		assert.deepEqual(
			readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted(),
			[...NAMES, "dist", "dist/deep"].toSorted(),
		);
		assert.deepEqual(readFileSync(join(folder, "dist/zeros")), ZEROS);
		const again = await door.run(["artifacts", id, "--to", folder]);
		assert.match(again.stderr, /is there already/);
		const printed = await door.run(["artifacts", id, "--get", "dist/deep/ü b.txt"]);
		assert.equal(printed.stdout.toString(), "deep\n");
		const one = join(folder, "one");
		assert.equal((await door.run(["artifacts", id, "--get", "run.log", "-o", one])).code, 0);
		assert.equal(readFileSync(one, "utf8"), "log\n");
		assert.match((await door.run(["artifacts", id, "--get", "other"])).stderr, /there is none of that name/);
		const verify = (name: string) =>
			door.run(["verify", receipt, "--artifact", `${name}=${join(folder, "dist/zeros")}`]);
		const good = await verify("dist/zeros");
		assert.equal(good.code, 0, good.stdout.toString());
		assert.match(good.stdout.toString(), /holds +artifacts +4 files, 4\.8 MiB/);
		const other = await verify("run.log");
		assert.equal(other.code, 1);
		assert.match(other.stdout.toString(), /DOES NOT HOLD +outputs/);
	};

	const mustSay = ({ stderr }: Ended): void => {
		assert.match(stderr, /kept {5}4 artifacts, 4\.8 MiB/);
		assert.match(stderr, /the artifact dist\/link was left out: it is a symlink/);
		assert.match(stderr, /the artifact dist\/pipe was left out: it is a fifo/);
		assert.doesNotMatch(stderr, /artifact other/);
	};

	test("of a directive: listed, got and verified, and the digest that is decided covers what was asked for", async () => {
		const ended = await door.run(["submit", ...PATTERNS, "--", "sh", "-c", COMMAND]);
		assert.equal(ended.code, 3, ended.stderr);
		mustSay(ended);
		const [directive] = (await fleet.directives.list()).directives;
		const id = directive?.id ?? "";
		const receipt = join(door.directory, "receipt.json");
		writeFileSync(receipt, (await door.run(["receipt", id])).stdout);
		await mustBeThere(id, receipt);
		assert.match((await door.run(["show", id])).stdout.toString(), /4 artifacts/);
		const digestFor = async (...artifacts: string[]) => {
			const body = { command: "true", artifacts };
			return (await fleet.directives.create({ facility_id: directive?.facility_id ?? "", body })).workload_digest;
		};
		const [some, same, others, none] = [
			await digestFor("a", "b"),
			await digestFor("b", "a", "a"),
			await digestFor("a"),
			await digestFor(),
		];
		assert.equal(same, some);
		assert.equal(new Set([some, others, none]).size, 3);
	});

	test("of a run here: the same", async () => {
		const ended = await door.run(["run", ...PATTERNS, "--", "sh", "-c", COMMAND]);
		assert.equal(ended.code, 3, ended.stderr);
		mustSay(ended);
		await mustBeThere("last", "last");
		// The files of a folder that was changed since are still those of the run.
		rmSync(join(door.workspace, "dist"), { recursive: true });
		assert.equal((await door.run(["artifacts", "last", "--get", "run.log"])).stdout.toString(), "log\n");
	});

	test("one that was changed behind its back is not given out", async () => {
		mkdirSync(join(door.directory, "changed"));
		await door.run([
			"run",
			"--workspace",
			join(door.directory, "changed"),
			"--artifact",
			"a",
			"--",
			"sh",
			"-c",
			"echo a > a",
		]);
		const kept = filesNamed(join(door.data, "runs"), digestOf(Buffer.from("a\n")).slice("sha256:".length));
		assert.equal(kept.length, 1);
		writeFileSync(kept[0] ?? "", "b\n");
		const got = await door.run(["artifacts", "last", "--get", "a"]);
		assert.equal(got.stdout.length, 0);
		assert.match(got.stderr, /its bytes are not what its digest names/);
	});

	test("none that were asked for, none that are there, and a pattern that leaves the workspace are told apart", async () => {
		const said = async (...args: string[]) => {
			const { stderr } = await door.run([...args, "--", "true"]);
			return `${stderr}${(await door.run(["artifacts", "last"])).stdout}`;
		};
		assert.match(await said("run"), /No artifacts: none were asked for/);
		assert.match(await said("run", "--artifact", "nothing/*"), /no file is an artifact by nothing\/\*/);
		for (const command of ["run", "submit"]) {
			const { code, stderr } = await door.run([command, "--artifact", "../x", "--", "true"]);
			assert.equal(code, 125);
			assert.match(stderr, /--artifact \.\.\/x: it must be a path below the workspace/);
		}
	});
});

function filesNamed(folder: string, name: string): readonly string[] {
	const all = readdirSync(folder, { recursive: true, encoding: "utf8" });
	return all.filter((path) => path.endsWith(name)).map((path) => join(folder, path));
}
