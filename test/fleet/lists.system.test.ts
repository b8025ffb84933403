import assert from "node:assert/strict";
import { test } from "node:test";
import { inWorlds } from "./in-worlds.ts";
import { makeOneOfEach, pathOf, ROWS } from "./row-requests.ts";
import { API, type Parsed } from "./world.ts";

/** Lists are the rows that answer with where the next items begin. */
const LISTS = ROWS.filter(([, { query }]) => "cursor" in query.shape && "limit" in query.shape);

inWorlds("every list", (world) => {
	test("comes page by page, each item once and in one order, and refuses a cursor that is none", async () => {
		let ids = {};
		for (let count = 0; count < 3; count++) ids = await makeOneOfEach(world(), world().account);
		assert.ok(LISTS.length >= 10, `${LISTS.length} lists`);
		for (const [name, row] of LISTS) {
			const ask = (query: string) => world().as("owner", "GET", `${pathOf(row, ids)}?${query}`);
			const all = itemsOf((await ask("limit=500")).body);
			const walked: string[] = [];
			for (let cursor: string | null = ""; cursor !== null; ) {
				const { body }: Parsed = await ask(`limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
				assert.ok(itemsOf(body).length <= 2, name);
				walked.push(...itemsOf(body));
				cursor = body.next_cursor;
			}
			assert.deepEqual(walked, all, name);
			assert.equal(new Set(walked).size, walked.length, name);
			const refused = await ask("cursor=bm8gc3VjaCDwn5Kp");
			assert.equal(refused.status, 422, `${name}: ${refused.status}`);
			assert.match(JSON.stringify(refused.body.details), /cursor/);
		}
	});

	test("is narrowed by its filters", async () => {
		await world().as("owner", "POST", `${API}/facilities`, { name: "app", kind: "empty" });
		await world().as("owner", "POST", `${API}/users`, { name: "Ada", email: "Ada@Example.com", role: "approver" });
		const made = await world().as("owner", "POST", `${API}/tokens`, { name: "gone" });
		await world().as("owner", "DELETE", `${API}/tokens/${made.body.id}`);
		const enrollment = await world().as("owner", "POST", `${API}/enrollment_tokens`, {});
		await world().as("owner", "DELETE", `${API}/enrollment_tokens/${enrollment.body.id}`);
		const found = async (path: string) => itemsOf((await world().as("owner", "GET", `${API}/${path}`)).body);
		assert.equal((await found("facilities?name=app")).length, 1);
		assert.equal((await found("facilities?name=none")).length, 0);
		assert.ok((await found("facilities?kind=empty")).length > 0);
		assert.equal((await found("facilities?locked=true")).length, 0);
		assert.equal((await found("users?email=ada@example.com")).length, 1, "an address has no case");
		assert.equal((await found("users?role=auditor")).length, 1);
		assert.equal((await found("users?disabled=true")).length, 0);
		assert.deepEqual(await found("tokens?usable=false"), [made.body.id]);
		assert.ok(!(await found("tokens?usable=true")).includes(made.body.id));
		assert.deepEqual(await found(`tokens?user_id=${world().account.people.auditor}`), []);
		assert.ok((await found("enrollment_tokens?usable=false")).includes(enrollment.body.id));
		assert.ok(!(await found("enrollment_tokens?usable=true")).includes(enrollment.body.id));
	});
});

/** What tells items apart: ids, and of a policy's versions their number. */
function itemsOf(body: Parsed): string[] {
	const items = Object.values<Parsed>(body).find((value) => Array.isArray(value));
	return (items ?? []).map(({ id, version }: Parsed) => (version === undefined ? id : `${id} ${version}`));
}
