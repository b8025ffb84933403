import { type Operation, type OperationName, operations } from "../../src/api/index.ts";
import { digestOf, newId } from "../../src/core/index.ts";
import { addTerritory } from "../../src/fleet/index.ts";
import { StockNode } from "./stock-node.ts";
import { type Account, API, newFacility, type World } from "./world.ts";

/** A request for every row of the table: what tests of all of them are made from. */
export const ROWS = Object.entries(operations) as unknown as ReadonlyArray<readonly [OperationName, Operation]>;

/** Members without which a row's body is not of its form. */
const BODIES: Partial<Record<OperationName, unknown>> = {
	"directives.create": { command: "true" },
	"commands.create": { capability: "camera.snap" },
	"policies.create": { name: "policy" },
	"users.create": { name: "somebody", role: "member" },
	"tokens.create": { name: "token" },
	"signIn.begin": { redirect_uri: "http://127.0.0.1:1/" },
	"signIn.finish": { sign_in: "none", came_back_to: "http://127.0.0.1:1/" },
	"nodes.enroll": { enroll_token: "none" },
	"nodes.renewCertificate": { csr_pem: "none" },
	"nodes.artifact": { name: "a", digest: digestOf(""), size_bytes: 0, offset: 0, bytes: "" },
};

export function bodyOf(name: OperationName): unknown {
	return BODIES[name] ?? {};
}

/** Identifiers for the members of paths. */
export type Ids = Readonly<Record<string, string>>;

/** Well-formed identifiers of nothing. */
export function idsOfNothing(): Ids {
	const names = [
		"facility",
		"directive",
		"artifact",
		"territory",
		"entity",
		"enrollment_token",
		"policy",
		"command",
		"token",
		"user",
	];
	return { ...Object.fromEntries(names.map((name) => [`${name}_id`, newId<string>(Date.now())])), index: "999999999" };
}

export function pathOf({ route }: Operation, ids: Ids): string {
	return route.replace(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? `no-${name}`);
}

/** One of everything that belongs to an account. */
export async function makeOneOfEach(world: World, account: Account): Promise<Ids> {
	const as = async (path: string, json: unknown) => {
		const { status, body } = await world.ask("POST", API + path, { headers: account.headersOf("owner"), json });
		if (status !== 201 && status !== 202) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
		return body;
	};
	const facility_id = await newFacility(world, account);
	const territory_id = await world.store.transaction((session) => addTerritory(session, account.owner));
	await world.store.transaction(({ db }) =>
		db.updateTable("territories").set({ capabilities: '["camera.snap"]' }).where("id", "=", territory_id).execute(),
	);
	const command = { capability: "camera.snap", target: { territory_id } };
	const { directive_id } = await as(`/facilities/${facility_id}/directives`, { command: "true" });
	return {
		facility_id,
		territory_id,
		entity_id: await addEntity(world, account),
		directive_id,
		artifact_id: await addArtifact(world, directive_id),
		enrollment_token_id: (await as("/enrollment_tokens", {})).id,
		policy_id: (await as("/policies", { name: "theirs", active: false })).id,
		command_id: (await as("/commands", command)).command_id,
		token_id: (await as("/tokens", { name: "theirs" })).id,
		user_id: account.people.member,
		index: "999999999",
	};
}

async function addEntity(world: World, account: Account): Promise<string> {
	const bridge = await StockNode.join(world, account, "bridge");
	const told = await bridge.heartbeat({ bridge_entities: [{ entity_ref: "lamp", entity_type: "light" }] });
	if (told.status !== 200) throw new Error(JSON.stringify(told.body));
	const { body } = await world.ask("GET", `${API}/bridge_entities?territory_id=${bridge.territoryId}`, {
		headers: account.headersOf("owner"),
	});
	return body.bridge_entities[0].id;
}

/** An empty one: it is whole as it is. */
function addArtifact(world: World, directive_id: string): Promise<string> {
	return world.store.transaction(async ({ db, nowMs }) => {
		const id = newId<string>(nowMs);
		const file = { name: "a", digest: digestOf(""), size_bytes: 0, received_bytes: 0 };
		const row = { id, directive_id, lease_id: null, ...file, created_at: nowMs };
		await db.insertInto("artifacts").values(row).execute();
		return id;
	});
}

/** Headers that make a request JSON. */
export const JSON_TYPE = { "content-type": "application/json" };

export const isNodeRow = ({ callers }: Operation): boolean =>
	callers.includes("territory") || callers.includes("directive");
export const isPeopleRow = (row: Operation): boolean => !isNodeRow(row) && !row.callers.includes("anyone");
