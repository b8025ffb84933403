import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { connect } from "../../src/api/index.ts";
import { signInRequestSchema } from "../../src/api/people/schema.ts";
import { type FleetDoor, openFleetDoor } from "./fleet-door.ts";

/** People of the provider; what it vouches for. */
const PEOPLE: Record<string, { readonly email: string; readonly email_verified: boolean }> = {
	ada: { email: "Ada@example.com", email_verified: true },
	mallory: { email: "ada@example.com", email_verified: false },
	kelvin: { email: "\u212aim@example.com", email_verified: true },
	stranger: { email: "stranger@example.com", email_verified: true },
};
const CLIENT = { client_id: "vouch", client_secret: "a secret of thirty-two characters!" };

let fleet: FleetDoor;
let provider: Server;
let issuer = "";

/** The part of oidc-provider that is used: the package has no types. */
type ProviderClass = new (issuer: string, settings: object) => { callback(): Parameters<typeof createServer>[1] };

before(async () => {
	provider = createServer();
	await new Promise<void>((resolve) => provider.listen(0, "127.0.0.1", resolve));
	issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
	const name = "oidc-provider";
	const { default: Provider }: { default: ProviderClass } = await import(name);
	const oidc = new Provider(issuer, {
		clients: [{ ...CLIENT, application_type: "native", redirect_uris: ["http://127.0.0.1/signed-in"] }],
		claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
		findAccount: (_context: unknown, sub: string) => ({
			accountId: sub,
			claims: async () => ({ sub, ...PEOPLE[sub] }),
		}),
		cookies: { keys: ["a key"] },
	});
	provider.on("request", oidc.callback() as (...args: unknown[]) => void);
	fleet = await openFleetDoor({
		VOUCH_SERVER_OIDC_ISSUER: issuer,
		VOUCH_SERVER_OIDC_CLIENT_ID: CLIENT.client_id,
		VOUCH_SERVER_OIDC_CLIENT_SECRET: CLIENT.client_secret,
	});
	await fleet.owner.users.create({ body: { name: "Ada", email: "ada@example.com", role: "approver" } });
	await fleet.owner.users.create({ body: { name: "Kim", email: "kim@example.com", role: "owner" } });
});
after(async () => {
	provider?.closeAllConnections();
	provider?.close();
	await fleet?.close();
});

/** A browser that follows redirects, keeps cookies, signs in by the provider's forms, and says where it comes back to. */
async function browse(start: string, login: string): Promise<string> {
	const cookies = new Map<string, string>();
	let url = start;
	let form: URLSearchParams | undefined;
	for (let step = 0; step < 20; step++) {
		if (!url.startsWith(issuer)) return url;
		const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
		const response = await fetch(url, {
			redirect: "manual",
			headers: { cookie },
			...(form === undefined ? {} : { method: "POST", body: form }),
		});
		for (const line of response.headers.getSetCookie()) {
			const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
			cookies.set(name, value);
		}
		const location = response.headers.get("location");
		form = undefined;
		if (location !== null) {
			url = new URL(location, url).href;
			continue;
		}
		const page = await response.text();
		const action = /action="([^"]+)"/.exec(page)?.[1];
		const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1];
		assert.ok(action !== undefined && prompt !== undefined, page.slice(0, 300));
		url = new URL(action, url).href;
		form = new URLSearchParams({ prompt, ...(prompt === "login" ? { login, password: "anything" } : {}) });
	}
	assert.fail("the provider went round in circles");
}

async function begun(): Promise<{ readonly authorization_url: string; readonly sign_in: string }> {
	return connect({ server: fleet.url }).signIn.begin({ body: { redirect_uri: "http://127.0.0.1:9999/signed-in" } });
}

test("vouch login --sso gives a person the token of their own role, which ends by itself", async () => {
	const going = fleet.door.start(["login", fleet.url, "--sso", "--json"], { input: null });
	const url = await new Promise<string>((resolve) => {
		let said = "";
		going.process.stderr.on("data", (chunk: Buffer) => {
			said += chunk.toString();
			const found = /^ {2}(http\S+)\n/m.exec(said)?.[1];
			if (found !== undefined) resolve(found);
		});
	});
	const back = await browse(url, "ada");
	assert.equal((await fetch(back)).status, 200);
	const { code, stdout, stderr } = await going.ended;
	assert.equal(code, 0, stderr);
	const { role, user }: { role: string; user: { name: string } } = JSON.parse(stdout.toString());
	assert.deepEqual([role, user.name], ["approver", "Ada"]);
	const { tokens } = await fleet.door.json<{ tokens: { expires_at: string | null; name: string }[] }>("tokens");
	const hours = (Date.parse(tokens[0]?.expires_at ?? "") - Date.now()) / 3_600_000;
	assert.ok(hours > 11 && hours <= 12, `${hours} hours`);
	const events = await fleet.owner.audit.list({ event_type: "person.signed_in" });
	assert.equal(events.audit_events.length, 1);
});

test("a person is known again by the provider's subject, whatever became of their email", async () => {
	PEOPLE.ada = { email: "lovelace@example.com", email_verified: true };
	const { authorization_url, sign_in } = await begun();
	const came_back_to = await browse(authorization_url, "ada");
	const { user } = await connect({ server: fleet.url }).signIn.finish({ body: { sign_in, came_back_to } });
	assert.equal(user.name, "Ada");
});

const REFUSED: readonly (readonly [who: string, why: RegExp])[] = [
	["stranger", /an owner must add stranger@example\.com first/],
	["mallory", /vouches for no email address/],
	["kelvin", /an owner must add/],
];
for (const [who, why] of REFUSED) {
	test(`${who} is refused`, async () => {
		const { authorization_url, sign_in } = await begun();
		const came_back_to = await browse(authorization_url, who);
		const finish = connect({ server: fleet.url }).signIn.finish({ body: { sign_in, came_back_to } });
		await assert.rejects(finish, { code: "sign-in-refused", message: why });
	});
}

test("an answer is good once, for the sign-in that it was asked for, and for nobody disabled", async () => {
	const { finish } = connect({ server: fleet.url }).signIn;
	const [first, second] = [await begun(), await begun()];
	const came_back_to = await browse(first.authorization_url, "ada");
	const refused = { code: "sign-in-refused" };
	await assert.rejects(finish({ body: { sign_in: second.sign_in, came_back_to } }), refused);
	await assert.rejects(finish({ body: { sign_in: `${first.sign_in}x`, came_back_to } }), refused);
	const elsewhere = came_back_to.replace("/signed-in", "/other");
	await assert.rejects(finish({ body: { sign_in: first.sign_in, came_back_to: elsewhere } }), refused);
	const { user } = await finish({ body: { sign_in: first.sign_in, came_back_to } });
	await assert.rejects(finish({ body: { sign_in: first.sign_in, came_back_to } }), refused);
	await fleet.owner.users.change({ user_id: user.id, body: { disabled: true } });
	const third = await begun();
	const again = await browse(third.authorization_url, "ada");
	await assert.rejects(finish({ body: { sign_in: third.sign_in, came_back_to: again } }), /disabled/);
});

test("a browser is never sent back to another machine", async () => {
	const elsewhere = ["https://evil.example/", "http://127.0.0.1.evil.example:80/", "http://127.0.0.1:1/?a=b"];
	for (const redirect_uri of elsewhere) assert.equal(signInRequestSchema.safeParse({ redirect_uri }).success, false);
	// One request alone: twenty of one address fit into a minute, and these tests make as many.
	const [redirect_uri = ""] = elsewhere;
	const begin = connect({ server: fleet.url }).signIn.begin({ body: { redirect_uri } });
	await assert.rejects(begin, { code: "validation-failed" });
});
