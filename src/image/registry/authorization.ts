import { z } from "zod";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Answer, Connection } from "./connection.ts";
import { isAllowed } from "./connection.ts";
import type { Credentials } from "./credentials.ts";
import { MAX_TOKEN_BYTES } from "./limits.ts";
import { readBounded } from "./reading.ts";

export interface AuthorizationSettings {
	readonly connection: Connection;
	/** Asked for when a registry first wants to know who we are. */
	readonly credentials: () => Promise<Credentials | undefined>;
	/** `repository:NAME:pull,push`, as the token server is asked for it. */
	readonly scope: string;
	readonly signal?: AbortSignal | undefined;
}

const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/** The registry wants a login, and there is none, or none that it takes. */
export class LoginNeeded extends Error {}

/**
 * The `Authorization` header of one job: none until the registry asks, then Basic or a Bearer token (distribution's
 * token specification; with an identity token RFC 6749 section 6).
 */
export class Authorization {
	readonly #settings: AuthorizationSettings;
	#header: string | undefined;
	#renewing: Promise<void> | undefined;

	constructor(settings: AuthorizationSettings) {
		this.#settings = settings;
	}

	get header(): string | undefined {
		return this.#header;
	}

	/** After a 401 to a request that carried `tried`: gets what the registry wants, once for all who wait for it. */
	async renew(tried: string | undefined, challengeHeader: string | undefined): Promise<void> {
		if (this.#header !== tried) return;
		this.#renewing ??= this.#obtain(parseChallenges(challengeHeader)).finally(() => {
			this.#renewing = undefined;
		});
		await this.#renewing;
	}

	async #obtain(challenges: readonly Challenge[]): Promise<void> {
		const credentials = await this.#settings.credentials();
		const bearer = challenges.find(({ scheme }) => scheme === "bearer");
		if (bearer !== undefined) {
			this.#header = `Bearer ${await this.#token(bearer, credentials)}`;
			return;
		}
		if (!challenges.some(({ scheme }) => scheme === "basic")) {
			throw new LoginNeeded("it wants a login of a kind that Vouch does not know");
		}
		const basic = basicOf(credentials);
		if (basic === undefined) throw new LoginNeeded("it wants a login, and none is kept for it on this machine");
		// The same again would be refused again.
		if (basic === this.#header) throw new LoginNeeded("it does not take the login that is kept for it on this machine");
		this.#header = basic;
	}

	async #token({ parameters }: Challenge, credentials: Credentials | undefined): Promise<string> {
		const { connection, scope, signal } = this.#settings;
		const realm = URL.parse(parameters.get("realm") ?? "");
		if (realm === null || !isAllowed(realm))
			throw new LoginNeeded("its token server is not one to be spoken to (no HTTPS)");
		realm.username = "";
		realm.password = "";
		const fields = new URLSearchParams();
		if (parameters.has("service")) fields.set("service", parameters.get("service") ?? "");
		const scopes = [...new Set([scope, parameters.get("scope") ?? scope])];
		const answer =
			credentials?.kind === "identity-token"
				? await connection.call({ method: "POST", url: realm, ...grantOf(fields, scopes, credentials.token), signal })
				: await connection.call({
						method: "GET",
						url: withFields(realm, fields, scopes),
						...headersOf(credentials),
						signal,
					});
		return tokenOf(answer);
	}
}

function basicOf(credentials: Credentials | undefined): string | undefined {
	if (credentials?.kind !== "password") return undefined;
	return `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString("base64")}`;
}

function headersOf(credentials: Credentials | undefined): { readonly headers?: Readonly<Record<string, string>> } {
	const basic = basicOf(credentials);
	return basic === undefined ? {} : { headers: { authorization: basic } };
}

function withFields(realm: URL, fields: URLSearchParams, scopes: readonly string[]): URL {
	const url = new URL(realm);
	for (const [name, value] of fields) url.searchParams.append(name, value);
	for (const scope of scopes) url.searchParams.append("scope", scope);
	return url;
}

function grantOf(fields: URLSearchParams, scopes: readonly string[], token: string) {
	const form = new URLSearchParams(fields);
	form.set("grant_type", "refresh_token");
	form.set("client_id", "vouch");
	form.set("scope", scopes.join(" "));
	form.set("refresh_token", token);
	return {
		headers: { "content-type": "application/x-www-form-urlencoded" },
		body: Buffer.from(form.toString()),
	};
}

/** A redirect of a token server is not followed: it would carry the login along. */
async function tokenOf(answer: Answer): Promise<string> {
	const bytes = await readBounded(answer, MAX_TOKEN_BYTES);
	if (answer.status === 401 || answer.status === 403) {
		throw new LoginNeeded("its token server does not take the login that is kept for it on this machine");
	}
	if (answer.status !== 200) throw new LoginNeeded(`its token server answered ${answer.status}`);
	try {
		const { token, access_token } = tokenSchema.parse(JSON.parse(bytes.toString("utf8")));
		const text = token || access_token || "";
		// RFC 6750 section 2.1; anything else could end the header and begin another.
		if (!/^[A-Za-z0-9._~+/-]+=*$/.test(text)) throw new Error("no token");
		return text;
	} catch {
		throw new LoginNeeded("its token server gave no token");
	}
}
