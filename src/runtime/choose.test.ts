import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf, type RunId } from "../core/index.ts";
import { fakeHost } from "../host/index.ts";
import { chooseDriver, measureOnce } from "./choose.ts";
import type { Driver, PlanRequest } from "./driver.ts";
import { fakeDriver } from "./drivers/fake/index.ts";
import { hostDriver } from "./drivers/host/index.ts";
import { failures } from "./failures.ts";
import { drivers } from "./index.ts";
import { type Guarantee, NO_LIMITS, type Workload } from "./schema.ts";

const CONTEXT = { cacheDirectory: "/tmp/cache", image: async () => undefined };

function requestFor(
	changes: Partial<Workload>,
	accept: PlanRequest["acceptNoIsolation"] = "not-accepted",
): PlanRequest {
	return {
		runId: "01900000-0000-7000-8000-000000000000" as RunId,
		workload: {
			schema: "vouch.workload/v1",
			root: { kind: "host" },
			argv: ["true"],
			workingDirectory: "/workspace",
			environment: [],
			secrets: [],
			workspace: null,
			exposed: [],
			network: { mode: "none", allow: [], deny: [], http: [] },
			limits: NO_LIMITS,
			demands: [],
			isolation: null,
			...changes,
		},
		runDirectory: "/tmp/run",
		root: null,
		gateSocket: "/tmp/run/gate.sock",
		loopbackListeners: [],
		cacheDirectory: "/tmp/cache",
		acceptNoIsolation: accept,
		emulation: "not-accepted",
		machine: null,
		exposedFiles: [],
	};
}

const named = (name: string, strength: number, kept: readonly Guarantee[], script = {}): Driver => {
	return { ...fakeDriver({ kept, ...script }), strength, summary: name };
};

test("the strongest driver that keeps what is demanded is taken", async () => {
	const known = [named("weak", 1, ["readonly-root"]), named("strong", 9, []), named("middle", 5, ["readonly-root"])];
	const choice = await chooseDriver(
		known,
		requestFor({ demands: ["readonly-root"] }),
		null,
		measureOnce(fakeHost(), CONTEXT),
	);
	assert.equal(choice.kind === "chosen" && choice.driver.summary, "middle");
});

test("every reason of every driver is returned", async () => {
	const known = [named("a", 2, []), named("b", 1, ["readonly-root"])];
	const choice = await chooseDriver(
		known,
		requestFor({ demands: ["readonly-root", "attestable"] }),
		null,
		measureOnce(fakeHost(), CONTEXT),
	);
	assert.deepEqual(choice.kind === "unmet" && choice.reasons.map(({ details }) => details.guarantee), [
		"readonly-root",
		"attestable",
		"attestable",
	]);
});

test("a driver without strength is never taken by itself", async () => {
	const unmet = [failures.failure("isolation-not-accepted")] as const;
	const known = [named("broken", 3, [], { unmet }), hostDriver];
	const choice = await chooseDriver(known, requestFor({}, "accepted"), null, measureOnce(fakeHost(), CONTEXT));
	assert.equal(choice.kind, "unmet");
	const asked = await chooseDriver(known, requestFor({}, "accepted"), "host", measureOnce(fakeHost(), CONTEXT));
	assert.equal(asked.kind === "chosen" && asked.driver.name, "host");
});

test("the host itself needs the words, and keeps nothing", async () => {
	const choice = await chooseDriver(drivers, requestFor({}), "host", measureOnce(fakeHost(), CONTEXT));
	assert.equal(choice.kind === "unmet" && choice.reasons[0].code, "isolation-not-accepted");
	const accepted = await chooseDriver(drivers, requestFor({}, "accepted"), "host", measureOnce(fakeHost(), CONTEXT));
	assert.deepEqual(accepted.kind === "chosen" && accepted.plan.guarantees.kept, []);
	assert.ok(accepted.kind === "chosen" && accepted.plan.guarantees.notKept.length > 10);
});

test("on a machine with nothing each driver says what is missing and how to get it", async () => {
	const choice = await chooseDriver(drivers, requestFor({}), null, measureOnce(fakeHost(), CONTEXT));
	const sentences = choice.kind === "unmet" ? choice.reasons.map(({ sentence }) => sentence) : [];
	assert.ok(
		sentences.some((sentence) => sentence.includes("apt-get install -y bubblewrap")),
		sentences.join("\n"),
	);
	assert.ok(sentences.some((sentence) => sentence.includes("apt-get install -y podman")));
});

test("a limit that can't be enforced is refused", async () => {
	const limits = { ...requestFor({}).workload.limits, memoryMiB: 64 };
	const choice = await chooseDriver(drivers, requestFor({ limits }), "bwrap", measureOnce(fakeHost(), CONTEXT));
	assert.ok(choice.kind === "unmet" && choice.reasons.some(({ code }) => code === "limit-not-enforceable"));
});

test("a driver that isn't there is named", async () => {
	const choice = await chooseDriver(drivers, requestFor({}), "cartesi", measureOnce(fakeHost(), CONTEXT));
	assert.match(choice.kind === "unmet" ? choice.reasons[0].sentence : "", /cartesi.*bwrap, container, host/);
});

test("folders of the machine and of the run can't be the workspace", async () => {
	for (const source of ["/", "/proc", "/dev/shm", "/tmp", "/tmp/run", "/tmp/run/x"]) {
		const workspace = { source, access: "read-only" as const, protected: [] };
		const choice = await chooseDriver(drivers, requestFor({ workspace }), "bwrap", measureOnce(fakeHost(), CONTEXT));
		assert.ok(choice.kind === "unmet" && choice.reasons.some(({ code }) => code === "workspace-not-possible"), source);
	}
});

test("an image is not for the host itself", async () => {
	const root = { kind: "image", reference: "x", digest: digestOf("") } as const;
	const choice = await chooseDriver(
		drivers,
		requestFor({ root }, "accepted"),
		"host",
		measureOnce(fakeHost(), CONTEXT),
	);
	assert.equal(choice.kind === "unmet" && choice.reasons[0].code, "image-needs-isolation");
});

test("a driver is not asked for what it can't take as a root, and says what it takes", async () => {
	const machine: Driver = { ...named("machine", 9, []), roots: ["image"] };
	const folders: Driver = { ...named("folders", 5, []), roots: ["host", "folder"] };
	const choice = await chooseDriver([machine, folders], requestFor({}), null, measureOnce(fakeHost(), CONTEXT));
	assert.equal(choice.kind === "chosen" && choice.driver.summary, "folders");
	const alone = await chooseDriver([machine], requestFor({}), null, measureOnce(fakeHost(), CONTEXT));
	assert.equal(alone.kind === "unmet" && alone.reasons[0].code, "image-needed");
	const root = { kind: "folder", directory: "/root", digest: digestOf("root"), entries: [] } as const;
	const folder = await chooseDriver([machine], { ...requestFor({}), root }, null, measureOnce(fakeHost(), CONTEXT));
	assert.equal(folder.kind === "unmet" && folder.reasons[0].code, "root-not-taken");
});
