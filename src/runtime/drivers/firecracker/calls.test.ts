import assert from "node:assert/strict";
import { test } from "node:test";
import { phaseOf, violationsOf } from "../../../../test/firecracker/api-contract.ts";
import { type ApiCall, bootCalls, type Machine, restoreCalls, saveCalls } from "./calls.ts";

const MACHINE: Machine = {
	cores: 2,
	memoryMiB: 512,
	commandLine: "console=ttyS0 quiet vouch.rootfs=erofs reboot=k pci=off",
	disks: [
		{ name: "root", access: "read-only", rate: null },
		{ name: "work", access: "read-only", rate: null },
		{ name: "scratch", access: "read-write", rate: { bytesPerSecond: 2 ** 28, operationsPerSecond: 20_000 } },
	],
};

const SEQUENCES: Readonly<Record<string, readonly ApiCall[]>> = {
	boot: bootCalls(MACHINE),
	"boot without further disks": bootCalls({ ...MACHINE, disks: MACHINE.disks.slice(0, 1) }),
	save: saveCalls(),
	restore: restoreCalls(),
};

for (const [name, calls] of Object.entries(SEQUENCES)) {
	for (const call of calls) {
		test(`${name}: ${call.method} ${call.path} is valid by the published definition`, () => {
			assert.deepEqual(violationsOf(call), []);
		});
	}
}

test("the contract refuses what is missing, unknown, of another type or at another place", () => {
	const wrong: readonly (readonly [ApiCall, RegExp])[] = [
		[{ method: "PUT", path: "/machine-config", body: { vcpu_count: 1 } }, /mem_size_mib/],
		[{ method: "PUT", path: "/machine-config", body: { vcpu_count: 33, mem_size_mib: 1 } }, /<= 32/],
		[{ method: "PUT", path: "/machine-config", body: { vcpu_count: "1", mem_size_mib: 1 } }, /integer/],
		[{ method: "PUT", path: "/entropy", body: { rate: 1 } }, /additional properties/],
		[{ method: "PUT", path: "/drives/a", body: { drive_id: "b", is_root_device: false } }, /drive_id is b/],
		[{ method: "PUT", path: "/drives/a", body: { drive_id: "a" } }, /is_root_device/],
		[
			{
				method: "PUT",
				path: "/drives/a",
				body: { drive_id: "a", is_root_device: false, rate_limiter: { ops: { size: 1 } } },
			},
			/refill_time/,
		],
		[{ method: "PUT", path: "/snapshot/load", body: { mem_file_path: "/m" } }, /snapshot_path/],
		[{ method: "PATCH", path: "/vm", body: { state: "Stopped" } }, /allowed values/],
		[{ method: "PUT", path: "/no/such", body: {} }, /there is no/],
		[{ method: "PATCH", path: "/vsock", body: {} }, /there is no/],
	];
	for (const [call, reason] of wrong) assert.match(violationsOf(call).join("; "), reason);
});

test("a machine is made whole before it starts, and its disks come in their order", () => {
	const calls = bootCalls(MACHINE);
	assert.equal(calls.at(-1)?.path, "/actions");
	assert.ok(calls.slice(0, -1).every((call) => phaseOf(call) !== "after-start"));
	assert.deepEqual(
		calls.filter(({ path }) => path.startsWith("/drives/")).map(({ path }) => path),
		["/drives/root", "/drives/work", "/drives/scratch"],
	);
	assert.ok(!calls.some(({ path }) => path.startsWith("/network-interfaces")));
	assert.ok(!JSON.stringify(calls).includes('"is_root_device":true'));
});
