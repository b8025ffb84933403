import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";

const root = join(import.meta.dirname, "../../..");
const NODE_UID = 61_001;
const CGROUP2_MAGIC = 0x63677270;
const cgroupRoot = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find(
	(path) => existsSync(path) && statfsSync(path).type === CGROUP2_MAGIC,
);
const skip =
	process.geteuid?.() !== 0
		? "only root can try what root is needed for"
		: cgroupRoot === undefined && "no cgroup v2 here";

/** Who is refused before all was read may find the connection closed while still writing. */
const REFUSED_UNREAD = /^(refused (user \d+ is not the node's|there is no such call)\n)?(error E(PIPE|CONNRESET))?$/;

/** What a user says and hears: a connection by another user, and what came back. */
const CLIENT = `
const socket = require("node:net").connect(process.argv[1]);
socket.on("data", (chunk) => process.stdout.write(chunk));
socket.on("error", (error) => process.stdout.write("error " + error.code));
socket.end(Buffer.from(process.argv[2], "base64"));
socket.on("close", () => { if (process.argv[3] === "show-group") process.stdout.write(require("node:fs").readFileSync("/proc/self/cgroup")); });
`;

/** Tries, as the user of a node that was given a group and sits in its leaf, what a node does, and what it must not. */
const TRIES = `
const { mkdirSync, readFileSync, rmdirSync, writeFileSync } = require("node:fs");
const [group, controller] = process.argv.slice(1);
const tried = (act) => { try { act(); return "done"; } catch (error) { return error.code; } };
const into = (folder) => tried(() => writeFileSync(folder + "/cgroup.procs", String(process.pid)));
const result = {
	handsDown: tried(() => writeFileSync(group + "/cgroup.subtree_control", "+" + controller)),
	makes: tried(() => mkdirSync(group + "/run")),
	movesInto: into(group + "/run"),
	sitsAbove: into(group),
	liftsItsLimit: tried(() => writeFileSync(group + "/cgroup.max.descendants", "max")),
	leaves: into(group + "/../.."),
	takesAnother: tried(() => writeFileSync(group + "/run/cgroup.procs", String(process.ppid))),
};
into(group + "/vouch-agent");
rmdirSync(group + "/run");
process.stdout.write(JSON.stringify(result));
`;

describe("vouch-helper", { skip }, () => {
	let directory: string;
	let helper: ChildProcess;
	const audit = () =>
		readFileSync(join(directory, "audit.jsonl"), "utf8")
			.trim()
			.split("\n")
			.map((line) => JSON.parse(line));

	const say = (line: string, uid: number, then = ""): string => {
		const words = ["--reuid", String(uid), "--regid", String(uid), "--clear-groups", process.execPath];
		const given = [join(directory, "socket"), Buffer.from(line).toString("base64"), then];
		return execFileSync("setpriv", [...words, "-e", CLIENT, ...given], { encoding: "utf8", timeout: 30_000 });
	};

	before(async () => {
		execFileSync("bash", [join(root, "scripts/build-helper")]);
		directory = mkdtempSync(join(tmpdir(), "vouch-helper-"));
		chmodSync(directory, 0o755);
		helper = spawn(join(root, "build/vouch-helper"), [
			...["--allow", String(NODE_UID), "--audit", join(directory, "audit.jsonl")],
			...["--cgroup-root", cgroupRoot ?? "", "--listen", join(directory, "socket")],
		]);
		for (let attempt = 0; attempt < 200 && !existsSync(join(directory, "socket")); attempt++)
			await new Promise((resolve) => setTimeout(resolve, 25));
	});
	after(() => {
		helper.kill();
		const group = join(cgroupRoot ?? "", "vouch-agents", String(NODE_UID));
		execFileSync("sh", ["-c", `rmdir ${group}/vouch-agent ${group} ${dirname(group)} 2>/dev/null; true`]);
		rmSync(directory, { recursive: true, force: true });
	});

	test("the node's user gets a control group of its own and sits in it; nothing else of the tree is its", () => {
		const answer = say("delegate-control-group\n", NODE_UID, "show-group");
		const group = join(cgroupRoot ?? "", "vouch-agents", String(NODE_UID));
		assert.match(answer, new RegExp(`^ok ${group}\n`));
		assert.match(answer, new RegExp(`^0::/vouch-agents/${NODE_UID}/vouch-agent$`, "m"));
		for (const path of [
			group,
			join(group, "cgroup.procs"),
			join(group, "cgroup.subtree_control"),
			join(group, "vouch-agent"),
		])
			assert.equal(statSync(path).uid, NODE_UID, path);
		assert.equal(statSync(join(group, "..")).uid, 0);
		assert.equal(statSync(join(group, "cgroup.max.descendants")).uid, 0);
	});

	test("in its group the node makes others below it, as the kernel has it, and gets neither out nor above", () => {
		const group = join(cgroupRoot ?? "", "vouch-agents", String(NODE_UID));
		// Where version 1 holds those that the helper hands down, another that there is stands for them.
		const there = join(cgroupRoot ?? "", "cgroup.subtree_control");
		const [controller = ""] = readFileSync(there, "utf8").trim().split(" ");
		if (controller !== "") writeFileSync(join(group, "../cgroup.subtree_control"), `+${controller}`);
		// As itself: it joins the leaf that it was given.
		const script = `echo $$ > ${group}/vouch-agent/cgroup.procs; exec setpriv --reuid ${NODE_UID} --regid ${NODE_UID} --clear-groups "$@"`;
		const words = ["-c", script, "sh", process.execPath, "-e", TRIES, group, controller];
		const tried = JSON.parse(execFileSync("sh", words, { encoding: "utf8", timeout: 30_000 }));
		const hasController = controller !== "";
		assert.deepEqual(tried, {
			handsDown: hasController ? "done" : "EINVAL",
			makes: "done",
			movesInto: "done",
			// A group that hands a controller down holds no process.
			sitsAbove: hasController ? "EBUSY" : "done",
			liftsItsLimit: "EACCES",
			leaves: "EACCES",
			takesAnother: "EACCES",
		});
	});

	test("what is empty is removed", () => {
		assert.equal(say("remove-control-group\n", NODE_UID), "ok removed\n");
		assert.equal(existsSync(join(cgroupRoot ?? "", "vouch-agents", String(NODE_UID))), false);
	});

	test("another user is refused whatever they say, and so is root", () => {
		for (const uid of [NODE_UID + 1, 0]) assert.match(say("delegate-control-group\n", uid), REFUSED_UNREAD);
	});

	test("a call is one line of the table, whole and alone", () => {
		const odd = [
			"",
			"status",
			"status \n",
			"STATUS\n",
			"status\nstatus\n",
			"status\0\n",
			"delegate-control-group 0\n",
			"x".repeat(5000),
			"../\n",
			"\n",
		];
		for (const line of odd) assert.match(say(line, NODE_UID), REFUSED_UNREAD, JSON.stringify(line));
		assert.equal(say("status\n", NODE_UID), "ok vouch-helper 1\n");
	});

	test("every call is audited, before and after", () => {
		const lines = audit();
		const delegations = lines.filter(({ call, uid }) => call === "delegate-control-group" && uid === NODE_UID);
		assert.deepEqual(
			delegations.map(({ outcome }) => outcome),
			["begun", "done"],
		);
		assert.equal(lines.filter(({ outcome }) => outcome === "refused: another user").length, 2);
		assert.equal(statSync(join(directory, "audit.jsonl")).mode & 0o777, 0o600);
	});

	test("what can't be audited is not done", () => {
		rmSync(join(directory, "audit.jsonl"));
		execFileSync("mkdir", [join(directory, "audit.jsonl")]);
		assert.equal(say("delegate-control-group\n", NODE_UID), "refused the audit file can't be written\n");
	});
});
