import assert from "node:assert/strict";
import { type connect, followLogs } from "../../src/api/index.ts";
import { type Going, until } from "../system/front-door.ts";

export type Fleet = ReturnType<typeof connect>;

/** What a fleet's first lines say: where it is, and its owner's token. */
export async function ownerOf(going: Going): Promise<{ readonly server: string; readonly token: string }> {
	let text = "";
	going.process.stdout.on("data", (chunk: Buffer) => {
		text += chunk.toString();
	});
	await going.shows("token of the owner");
	await until("the token is there", () => /vouch_\S+\s/.test(text));
	const server = /https?:\/\/\S+/.exec(text)?.[0] ?? assert.fail(text);
	const token = /vouch_\S+/.exec(text)?.[0] ?? assert.fail(text);
	return { server, token };
}

export interface Seen {
	readonly id: string;
	readonly stdout: string;
	readonly stderr: string;
	readonly directive: Awaited<ReturnType<Fleet["directives"]["show"]>>;
}

type Asked = NonNullable<Parameters<Fleet["directives"]["create"]>[0]["body"]>;

export async function submitted(fleet: Fleet, facility_id: string, body: Asked): Promise<string> {
	return (await fleet.directives.create({ facility_id, body })).directive_id;
}

/** Its whole output and how it ended. */
export async function seen(fleet: Fleet, id: string): Promise<Seen> {
	const text = { stdout: "", stderr: "" };
	for await (const event of followLogs(fleet, id)) {
		if (event.event === "chunk") text[event.stream] += Buffer.from(event.bytes_base64, "base64").toString();
	}
	return { id, ...text, directive: await fleet.directives.show({ directive_id: id }) };
}

export async function newFacility(fleet: Fleet, repo_url: string | null = null): Promise<string> {
	const body = repo_url === null ? { kind: "empty" as const } : { kind: "repo" as const, init: { repo_url } };
	return (await fleet.facilities.create({ body })).id;
}
