import assert from "node:assert/strict";
import { it } from "node:test";
import { fakeHost } from "./fake-host.ts";
import { specOf } from "./supervision-fixture.ts";

it("a fake host answers from its script and records what it was asked", async () => {
	const host = fakeHost({
		programs: { podman: { "--version": { stdout: "podman version 4.3.1\n" }, "*": { exitCode: 125 } } },
		paths: { nft: "/usr/sbin/nft" },
		texts: { "/proc/sys/x": "1\n" },
		existing: ["/dev/kvm"],
		userId: 0,
	});
	assert.equal((await host.run(["/usr/bin/podman", "--version"])).stdout, "podman version 4.3.1\n");
	assert.equal((await host.run(["podman", "info"])).exitCode, 125);
	assert.equal((await host.run(["bwrap"])).exitCode, 127);
	assert.deepEqual(
		[await host.findProgram("nft"), await host.findProgram("podman"), await host.findProgram("bwrap")],
		["/usr/sbin/nft", "/usr/bin/podman", undefined],
	);
	assert.deepEqual([await host.readText("/proc/sys/x"), await host.readText("/proc/sys/y")], ["1\n", undefined]);
	assert.deepEqual(
		[await host.exists("/dev/kvm"), await host.exists("/proc/sys/x"), await host.exists("/x")],
		[true, true, false],
	);
	assert.deepEqual([host.userId, host.groupId], [0, 1000]);
	await assert.rejects(host.supervise(specOf(["/bin/true"])), /no script/);
	assert.deepEqual(
		host.calls.map((call) => call.call),
		[
			"run",
			"run",
			"run",
			"findProgram",
			"findProgram",
			"findProgram",
			"readText",
			"readText",
			"exists",
			"exists",
			"exists",
			"supervise",
		],
	);
});
