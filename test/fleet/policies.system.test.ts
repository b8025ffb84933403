import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { StockNode } from "./stock-node.ts";
import { API, newFacility, type Parsed, type World } from "./world.ts";

const NET = { requested_capabilities: { net: { mode: "unrestricted" } } };

async function make(world: World, policy: object): Promise<Parsed> {
	const { status, body } = await world.as("operator", "POST", `${API}/policies`, { name: "policy", ...policy });
	assert.equal(status, 201, JSON.stringify(body));
	return body;
}

async function change(world: World, id: string, json: object): Promise<Parsed> {
	const { status, body } = await world.as("operator", "PATCH", `${API}/policies/${id}`, json);
	assert.equal(status, 200, JSON.stringify(body));
	return body;
}

const ask = (world: World, facility: string, more: object = NET) =>
	world.as("member", "POST", `${API}/facilities/${facility}/directives`, { command: "true", ...more });
const stateOf = async (world: World, facility: string, more: object = NET) =>
	(await ask(world, facility, more)).body.state ?? "refused";

/** For one facility alone, so that tests of one world leave each other alone. */
async function scoped(world: World): Promise<{ readonly facility: string; readonly scope: object }> {
	const facility = await newFacility(world);
	return { facility, scope: { scope_type: "Conduits::Facility", scope_id: facility } };
}

inWorlds("policies (conduits 1.9, 2.5.7, 6.1, 6.2)", (world) => {
	test("a change changes what it names and nothing else, and holds from the next directive on", async () => {
		const { facility, scope } = await scoped(world());
		const device = { denied: ["camera.*"] };
		const rules = { approval: { net_unrestricted: "needs_approval" }, device, priority: 7 };
		const made = await make(world(), { ...scope, ...rules, active: false });
		assert.equal(await stateOf(world(), facility), "queued");
		const active = await change(world(), made.id, { active: true });
		const { version, updated_at, ...rest } = active;
		assert.deepEqual(rest, { ...Object.fromEntries(Object.entries(made).filter(([k]) => k in rest)), active: true });
		assert.deepEqual([made.version, version], [1, 2]);
		assert.ok(updated_at >= made.updated_at);
		assert.equal(await stateOf(world(), facility), "awaiting_approval");
		const renamed = await change(world(), made.id, { name: "another" });
		assert.deepEqual([renamed.approval, renamed.device, renamed.priority], [rules.approval, device, 7]);
		const stricter = await change(world(), made.id, { approval: { net_unrestricted: "forbidden" } });
		assert.deepEqual([stricter.name, stricter.device, stricter.version], ["another", device, 4]);
		assert.equal(await stateOf(world(), facility), "refused");
	});

	test("one that is deleted holds no more, is still shown, and can hold again", async () => {
		const { facility, scope } = await scoped(world());
		const { id } = await make(world(), { ...scope, approval: { net_unrestricted: "forbidden" } });
		const listed = async (query = "") =>
			(await world().as("member", "GET", `${API}/policies?scope_id=${facility}${query}`)).body.policies.length;
		assert.equal(await listed(), 1);
		const gone = await world().as("operator", "DELETE", `${API}/policies/${id}`);
		assert.deepEqual([gone.status, gone.body], [200, { id, active: false }]);
		assert.deepEqual([await listed(), await listed("&include_inactive=true")], [0, 1]);
		assert.equal(await stateOf(world(), facility), "queued");
		await change(world(), id, { active: true });
		assert.equal(await stateOf(world(), facility), "refused");
		assert.equal((await world().as("auditor", "GET", `${API}/policies/${id}`)).body.active, true);
	});

	test("every version stays as it was, newest first, with who made it", async () => {
		const { scope } = await scoped(world());
		const { id } = await make(world(), { ...scope, net: { mode: "none" } });
		await world().as("owner", "PUT", `${API}/policies/${id}`, { net: { mode: "allowlist", allow: ["a.example:443"] } });
		await world().as("operator", "DELETE", `${API}/policies/${id}`);
		const versions = async (query = "") =>
			(await world().as("auditor", "GET", `${API}/policies/${id}/versions${query}`)).body.versions;
		const told = (each: Parsed) => [each.version, each.net.mode, each.active];
		assert.deepEqual((await versions()).map(told), [
			[3, "allowlist", false],
			[2, "allowlist", true],
			[1, "none", true],
		]);
		const { owner } = world().account.people;
		assert.deepEqual((await versions(`?changed_by_user_id=${owner}`)).map(told), [[2, "allowlist", true]]);
	});

	test("of all that apply the strictest wins; of sandbox rules those of the highest priority", async () => {
		const { facility, scope } = await scoped(world());
		const tier = (verdict: string, required_approvals: number) => {
			return { ...scope, approval: { net_unrestricted: verdict }, sandbox_profile_rules: { required_approvals } };
		};
		await make(world(), { ...tier("needs_approval", 2), priority: 9 });
		const lax = await make(world(), { ...tier("skip", 3), priority: 1 });
		const missing = async () => {
			const { directive_id } = (await ask(world(), facility)).body;
			return (await world().as("owner", "POST", `${API}/directives/${directive_id}/approve`)).body.approvals_missing;
		};
		assert.equal(await missing(), 1);
		await change(world(), lax.id, { priority: 10 });
		assert.equal(await missing(), 2);
		await make(world(), { ...scope, priority: -1, net: { mode: "allowlist", allow: ["a.example:443"] } });
		await make(world(), { ...scope, priority: 20, net: { mode: "unrestricted" } });
		const narrowed = await ask(world(), facility, { ...NET, priority: 50 });
		assert.equal(narrowed.body.state, "queued", "what one narrows no other widens, so nobody need say yes");
		const [lease] = await (await StockNode.join(world())).poll();
		assert.equal(lease.directive_id, narrowed.body.directive_id);
		assert.deepEqual(lease.spec.capabilities.net, { mode: "allowlist", allow: ["a.example:443"] });
	});

	test("one for a person or a facility holds for nobody and nothing else", async () => {
		const [{ facility, scope }, elsewhere] = [await scoped(world()), await newFacility(world())];
		const forbids = { approval: { net_unrestricted: "forbidden" } };
		await make(world(), { ...scope, ...forbids });
		assert.deepEqual([await stateOf(world(), facility), await stateOf(world(), elsewhere)], ["refused", "queued"]);
		const { member } = world().account.people;
		const { id } = await make(world(), { scope_type: "User", scope_id: member, ...forbids });
		const ofApprover = await world().as("approver", "POST", `${API}/facilities/${elsewhere}/directives`, {
			command: "true",
			...NET,
		});
		assert.deepEqual([await stateOf(world(), elsewhere), ofApprover.body.state], ["refused", "queued"]);
		await world().as("operator", "DELETE", `${API}/policies/${id}`);
	});

	test("mistakes are told at once, each with its member, and nothing is stored", async () => {
		const { scope } = await scoped(world());
		const policy = {
			...scope,
			name: "wrong",
			net: { mode: "open", allow: "all" },
			fs: { execute: [] },
			approval: { host_profile: "maybe" },
			device: { allowed: "camera" },
		};
		const { status, body } = await world().as("operator", "POST", `${API}/policies`, policy);
		assert.deepEqual([status, body.error], [422, "validation_failed"]);
		for (const member of ["net.mode", "net.allow", "fs.execute", "approval.host_profile", "device.allowed"])
			assert.ok(
				body.details.some((detail: string) => detail.startsWith(member)),
				member,
			);
		for (const scope_type of ["Account", "User", "Conduits::Facility"]) {
			const nobody = await world().as("operator", "POST", `${API}/policies`, { name: "for nobody", scope_type });
			assert.deepEqual([nobody.status, /scope_id/.test(nobody.body.details[0])], [422, true], scope_type);
		}
		const { id } = await make(world(), scope);
		const refused = await world().as("operator", "PATCH", `${API}/policies/${id}`, { net: { mode: "open" } });
		assert.equal(refused.status, 422);
		assert.equal((await world().as("member", "GET", `${API}/policies/${id}`)).body.version, 1);
		assert.equal((await world().as("member", "POST", `${API}/policies`, policy)).status, 403);
	});
});

inWorlds("a dry run of a policy", (world) => {
	const dryRun = async (policy: object | null, last = 10) => {
		const { status, body } = await world().as("member", "POST", `${API}/policies/dry_run`, { policy, last });
		assert.equal(status, 200, JSON.stringify(body));
		return body;
	};
	const changes = async (policy: object | null) =>
		(await dryRun(policy)).changed.map((one: Parsed) => [one.command, one.verdict_then, one.verdict_now]);

	test("says of the latest directives what a new, a changed and a missing policy would make of them, and changes nothing", async () => {
		const { facility, scope } = await scoped(world());
		const other = await newFacility(world());
		await ask(world(), facility, { command: "wide", ...NET });
		await ask(world(), facility, { command: "plain" });
		await ask(world(), other, { command: "elsewhere", ...NET });
		const needsYes = { approval: { net_unrestricted: "needs_approval" } };
		assert.deepEqual(await dryRun(null), { judged: 3, changed: [] });
		assert.equal((await dryRun(null, 2)).judged, 2);
		const wide = ["wide", "skip", "needs_approval"];
		assert.deepEqual(await changes({ ...scope, ...needsYes }), [wide]);
		assert.deepEqual(await changes(needsYes), [["elsewhere", "skip", "needs_approval"], wide], "for all");
		const { id, version } = await make(world(), { ...scope, ...needsYes, active: false });
		assert.deepEqual(await changes({ id, active: true }), [wide], "its rules and its scope as they are");
		assert.deepEqual(await changes({ id, name: "another" }), [], "it stays inactive");
		await change(world(), id, { active: true });
		assert.deepEqual(await changes({ id, active: false }), [["wide", "needs_approval", "skip"]]);
		assert.deepEqual(await changes({ id, scope_type: null, scope_id: null }), [
			["elsewhere", "skip", "needs_approval"],
		]);
		assert.deepEqual(await changes({ id, approval: { net_unrestricted: "forbidden" } }), [
			["wide", "needs_approval", "forbidden"],
		]);
		const [narrowed] = (await dryRun({ id, net: { mode: "none" } })).changed;
		assert.deepEqual([narrowed.command, narrowed.verdict_now, narrowed.capabilities_changed], ["wide", "skip", true]);
		assert.equal((await world().as("member", "GET", `${API}/policies/${id}`)).body.version, version + 1);
	});

	test("refuses a policy that is wrong or another tenant's", async () => {
		const post = (policy: object) => world().as("owner", "POST", `${API}/policies/dry_run`, { policy });
		assert.equal((await post({ net: { mode: "open" } })).status, 422);
		const headers = world().stranger.headersOf("owner");
		const theirs = await world().ask("POST", `${API}/policies`, { headers, json: { name: "theirs" } });
		assert.equal((await post({ id: theirs.body.id, active: false })).status, 404);
	});
});
