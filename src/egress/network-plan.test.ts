import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { test } from "node:test";
import { gateEnvironment, planNetwork, RESOLVER_CONFIGURATION } from "./network-plan.ts";
import { reconcile } from "./reconcile.ts";

const plan = planNetwork({
	gateSocket: "/run/x/gate.sock",
	loopbackListeners: [{ address: "::1", port: 80 }],
	maxConnections: 512,
});

test("the plan is data that holds what it was given", () => {
	assert.equal(plan.gateSocket, "/run/x/gate.sock");
	assert.deepEqual(plan.loopbackListeners, [{ address: "::1", port: 80 }]);
	assert.equal(plan.maxConnections, 512);
	assert.match(plan.gateCommands, /netns @SANDBOX_PID@/);
	assert.match(RESOLVER_CONFIGURATION, /^nameserver 10\.0\.2\.1\n/);
	const environment = gateEnvironment();
	for (const name of ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) {
		assert.equal(environment[name], "http://10.0.2.1:9080");
	}
});

/** Two namespaces as the supervisor makes them; undefined with the reason where this machine can't. */
function namespaces(): { sandbox: number; gate: number; end(): void } | string {
	try {
		execFileSync("unshare", ["-n", "sh", "-c", "ip link show lo && nft --version"], { stdio: "ignore" });
	} catch {
		return "needs root, unshare, ip and nft";
	}
	const held = [0, 1].map(() => spawn("unshare", ["-n", "sleep", "30"], { stdio: "ignore" }));
	execFileSync("sleep", ["0.2"]);
	return {
		sandbox: held[0]?.pid ?? 0,
		gate: held[1]?.pid ?? 0,
		end: () => held.forEach((process) => void process.kill()),
	};
}

test("the kernel takes the texts, and no way out exists", (context) => {
	const made = namespaces();
	if (typeof made === "string") return context.skip(made);
	context.after(() => made.end());
	const inside = (pid: number, command: string, input = ""): string =>
		execFileSync("nsenter", ["-t", String(pid), "-n", "sh", "-c", command], { input, encoding: "utf8" });
	inside(made.gate, "ip -batch -", plan.gateCommands.replaceAll("@SANDBOX_PID@", String(made.sandbox)));
	inside(made.sandbox, "ip -batch -", plan.sandboxCommands);
	inside(made.gate, "nft -f -", plan.firewall);
	assert.match(inside(made.sandbox, "ip route; ip -6 route"), /default via 10\.0\.2\.1.*default via fd00:766f::1/s);
	assert.match(inside(made.gate, "ip route get 93.184.216.34 from 10.0.2.2 iif gate0"), /^local/);
	assert.match(
		inside(made.gate, "ip -6 route get 2606:4700::1111 from fd00:766f::2 iif gate0"),
		/^local|^2606.* dev lo/,
	);
	assert.match(inside(made.gate, "ip -6 route get fd00:766f::2"), /dev gate0/);
	const links = inside(made.gate, "ip -o link").trim().split("\n");
	assert.equal(links.length, 2, "the gate namespace has loopback and the pair, nothing else");
});

test("every byte of the interface must be explained", () => {
	const counters = { txBytes: 1000 + 114 * 5, txPackets: 5, rxBytes: 1, rxPackets: 1, retransmittedBytes: 0 };
	const explained = { carriedBytes: 900, dnsBytes: 60, datagramBytes: 40, strangeFrames: 0 };
	assert.equal(reconcile(counters, explained).verdict, "agrees");
	const missing = reconcile(counters, { ...explained, carriedBytes: 899 });
	assert.deepEqual([missing.verdict, missing.unexplainedBytes], ["unaccounted-egress", 1]);
	assert.equal(
		reconcile({ ...counters, retransmittedBytes: 1 }, { ...explained, carriedBytes: 899 }).verdict,
		"agrees",
	);
	assert.equal(reconcile(counters, { ...explained, strangeFrames: 1 }).verdict, "unaccounted-egress");
	assert.equal(reconcile(null, explained).verdict, "not-measured");
});
