import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { realHost } from "./real-host.ts";
import { bash, eventually, needsRoot, networkOf, processesWith, specOf, textOf } from "./supervision-fixture.ts";

const packageRoot = fileURLToPath(new URL("../../", import.meta.url));
/** Whether a process runs. One that has ended and waits to be collected by its parent does not. */
function isAlive(pid: string | number): boolean {
	try {
		return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
	} catch {
		return false;
	}
}

const mark = () => `vouch-${randomBytes(6).toString("hex")}`;

/** A Node process of its own that supervises `spec` and writes `started` and a line with its supervisor's id. */
function vouchProcess(spec: object, root = packageRoot, prefix: readonly string[] = []): ChildProcess {
	const script = `
		import { createServer } from "node:net";
		import { realHost } from "${root}src/host/index.ts";
		const spec = ${JSON.stringify(spec)};
		if (spec.network !== null) createServer((socket) => socket.pipe(socket)).listen(spec.network.gateSocket);
		const run = await realHost().supervise({ ...spec, descriptors: [] });
		run.stdout.on("data", (part) => process.stdout.write(part));
		run.stderr.on("data", (part) => process.stderr.write(part));
		console.log("started", run.supervisorPid);
		const ending = await run.ended;
		process.stdout.write(JSON.stringify(ending));
		process.exit(0);`;
	const argv = [...prefix, process.execPath, "--input-type=module-typescript", "-e", script];
	return spawn(argv[0] ?? "", argv.slice(1), { stdio: ["ignore", "pipe", "inherit"], cwd: root });
}

/** Process id of the supervisor, once it has started the program. */
function startedSupervisor(vouch: ChildProcess): Promise<string> {
	return new Promise((resolve, reject) => {
		let said = "";
		vouch.stdout?.on("data", (part: Buffer) => {
			said += part.toString();
			const id = /started (\d+)\n/.exec(said)?.[1];
			if (id !== undefined) resolve(id);
		});
		vouch.on("exit", (code) => reject(new Error(`ended with ${code} before it started: ${said}`)));
	});
}

const sleepers = (name: string) =>
	`(exec -a ${name} sleep 1000) & setsid bash -c 'exec -a ${name} sleep 1000' & (setsid bash -c "trap '' TERM HUP; (exec -a ${name} sleep 1000) &" &); sleep 1000`;

describe("when Vouch itself is killed", () => {
	it("nothing of the run is left, nor its supervisor", async () => {
		const name = mark();
		const vouch = vouchProcess(specOf(bash(sleepers(name))));
		const supervisor = await startedSupervisor(vouch);
		assert.ok(await eventually(async () => (await processesWith(`^${name}`)).length === 3));
		vouch.kill("SIGKILL");
		await once(vouch, "exit");
		assert.ok(await eventually(async () => (await processesWith(name)).length === 0), "processes are left");
		assert.ok(await eventually(() => !isAlive(supervisor)), "the supervisor is left");
	});

	it("no control group, no network and no unfinished clean-up is left", { skip: needsRoot }, async () => {
		const name = mark();
		const folder = await mkdtemp("/tmp/vouch-test-");
		const tree = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].find((path) => existsSync(path)) ?? "";
		const network = networkOf(join(folder, "gate"));
		const controlGroups = [{ path: `${tree}/${name}`, files: [] }];
		const afterwards = [["/usr/bin/touch", join(folder, "after")]] as const;
		const vouch = vouchProcess(specOf(bash(sleepers(name)), { network, controlGroups, afterwards }));
		const supervisor = await startedSupervisor(vouch);
		assert.ok(existsSync(`${tree}/${name}`));
		vouch.kill("SIGKILL");
		assert.ok(await eventually(() => !isAlive(supervisor)), "the supervisor is left");
		assert.deepEqual(await processesWith(name), []);
		assert.ok(!existsSync(`${tree}/${name}`), "the control group is left");
		assert.ok(existsSync(join(folder, "after")), "the clean-up did not run");
		await rm(folder, { recursive: true });
	});

	it("while the supervisor is still setting up, the program never runs", { skip: needsRoot }, async () => {
		const folder = await mkdtemp("/tmp/vouch-test-");
		for (let delayMs = 0; delayMs < 40; delayMs += 6) {
			const name = mark();
			const spec = specOf(bash(`touch ${folder}/ran; ${sleepers(name)}`), { network: networkOf(join(folder, "gate")) });
			const vouch = vouchProcess(spec);
			const appeared = await eventually(async () => (await processesWith(`vouch-supervisor ${folder}`)).length > 0);
			assert.ok(appeared);
			await new Promise((resolve) => setTimeout(resolve, delayMs));
			vouch.kill("SIGKILL");
			await once(vouch, "exit");
			assert.ok(await eventually(async () => (await processesWith(name)).length === 0), `left after ${delayMs} ms`);
			assert.ok(await eventually(async () => (await processesWith(`vouch-supervisor ${folder}`)).length === 0));
			await rm(join(folder, "gate"), { force: true });
		}
		await rm(folder, { recursive: true });
	});

	it("a supervisor that is told to end ends its run first", async () => {
		const name = mark();
		const run = await realHost().supervise(specOf(bash(sleepers(name))));
		process.kill(run.supervisorPid, "SIGINT");
		await new Promise((resolve) => setTimeout(resolve, 50));
		assert.ok(isAlive(run.programPid), "an interrupt is not the supervisor's to act on");
		process.kill(run.supervisorPid, "SIGTERM");
		assert.equal((await run.ended).cause, "killed");
		assert.deepEqual(await processesWith(name), []);
	});

	it("the killed supervisor's program dies with it, and its ending is told", async () => {
		const run = await realHost().supervise(specOf(["/bin/sleep", "1000"]));
		process.kill(run.supervisorPid, "SIGKILL");
		const ending = await run.ended;
		assert.deepEqual([ending.cause, ending.signal], ["killed", "SIGKILL"]);
		assert.ok(await eventually(() => !isAlive(run.programPid)));
	});
});

describe("without root", { skip: needsRoot }, () => {
	let root = "";
	before(async () => {
		// A copy that nobody may read: the tree itself may lie in a folder that only root can enter.
		root = `${await mkdtemp("/tmp/vouch-nobody-")}/`;
		for (const part of ["src/core", "src/host", "build/vouch-supervisor", "package.json", "node_modules/zod"]) {
			await cp(join(packageRoot, part), join(root, part), { recursive: true, dereference: true });
		}
		await realHost().run(["chown", "-R", "65534:65534", root]);
		await realHost().run(["chmod", "-R", "a+rX", root]);
	});
	after(() => rm(root, { recursive: true, force: true }));

	const asNobody = [
		"setpriv",
		"--reuid",
		"65534",
		"--regid",
		"65534",
		"--clear-groups",
		"env",
		"XDG_RUNTIME_DIR=",
	] as const;

	it("a gated run works in a user namespace of its own", async () => {
		const network = networkOf(join(root, "gate"));
		const script = "id -u; exec 3<>/dev/tcp/8.8.4.4/80; echo hi >&3; head -1 <&3; echo x > /dev/udp/9.9.9.9/9";
		const vouch = vouchProcess(specOf(bash(script), { network }), root, asNobody.slice(0, -2));
		const said = await textOf(vouch.stdout ?? assert.fail("no output"));
		assert.match(said, /^started \d+\n0\nVOUCH1 tcp 1 10\.0\.2\.2 \d+ 8\.8\.4\.4 80\n\{"exitCode":0,"cause":"program"/);
		assert.match(said, /"txBytes":[1-9]/);
	});

	it("an ungated one runs as the same user, and dies with Vouch", async () => {
		const name = mark();
		const vouch = vouchProcess(specOf(bash(`id -u; ${sleepers(name)}`)), root, asNobody.slice(0, -2));
		await startedSupervisor(vouch);
		assert.ok(await eventually(async () => (await processesWith(`^${name}`)).length === 3));
		vouch.kill("SIGKILL");
		assert.ok(await eventually(async () => (await processesWith(name)).length === 0), "processes are left");
	});
});
