import { createHash, hkdfSync } from "node:crypto";
import { EncryptJWT, jwtDecrypt } from "jose";
import * as oidc from "openid-client";
import { refusal } from "../http/refusal.ts";

export interface IdentityProviderSettings {
	/** As the provider's own discovery document names it. */
	readonly issuer: string;
	readonly clientId: string;
	/** Empty for a public client: PKCE protects both. */
	readonly clientSecret: string;
	readonly scope: string;
}

/** Who somebody is, as the provider says. */
export interface Person {
	/** Issuer and subject: never given to another person. */
	readonly subject: string;
	/** Only one that the provider verified. */
	readonly email: string | null;
	readonly name: string | null;
}

const MINUTES_TO_SIGN_IN = 10;

/**
 * OpenID Connect with one provider: authorization code with PKCE. What belongs to a sign-in under way travels with who signs in,
 * encrypted, so that any control plane of a fleet can finish it and nothing is kept of those that nobody finishes.
 */
export class IdentityProvider {
	readonly #settings: IdentityProviderSettings;
	readonly #key: Uint8Array;
	#known: Promise<oidc.Configuration> | undefined;

	/** `secret`: the same on every control plane of a fleet. */
	constructor(settings: IdentityProviderSettings, secret: Uint8Array) {
		this.#settings = settings;
		this.#key = new Uint8Array(hkdfSync("sha256", secret, "", "vouch sign-in", 32));
	}

	/** Where to send a browser, and what to bring back with the address that it then comes to. */
	async begin(redirectUri: string): Promise<{ readonly authorizationUrl: string; readonly signIn: string }> {
		const configuration = await this.#configuration();
		const verifier = oidc.randomPKCECodeVerifier();
		const state = oidc.randomState();
		const nonce = oidc.randomNonce();
		const url = oidc.buildAuthorizationUrl(configuration, {
			redirect_uri: redirectUri,
			scope: this.#settings.scope,
			code_challenge: createHash("sha256").update(verifier).digest("base64url"),
			code_challenge_method: "S256",
			state,
			nonce,
		});
		const signIn = await new EncryptJWT({ verifier, state, nonce, redirectUri })
			.setProtectedHeader({ alg: "dir", enc: "A256GCM" })
			.setExpirationTime(`${MINUTES_TO_SIGN_IN} minutes`)
			.encrypt(this.#key);
		return { authorizationUrl: url.href, signIn };
	}

	/** Who came back. Throws the refusal that says why it is nobody. */
	async finish(signIn: string, cameBackTo: string): Promise<Person> {
		const { verifier, state, nonce, redirectUri } = await this.#opened(signIn);
		const url = new URL(cameBackTo);
		if (`${url.origin}${url.pathname}` !== redirectUri) throw blame("the browser came back to another address");
		const configuration = await this.#configuration();
		const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
		const tokens = await oidc.authorizationCodeGrant(configuration, url, checks).catch((error: unknown) => {
			throw blame(wordsOf(error));
		});
		const claims = tokens.claims();
		if (claims === undefined) throw blame("the provider said nothing of who it is");
		const more = claims.email === undefined ? await this.#userInfo(configuration, tokens, claims.sub) : claims;
		const isVerified = more.email_verified === true && typeof more.email === "string";
		return {
			subject: `${claims.iss} ${claims.sub}`,
			email: isVerified ? String(more.email) : null,
			name: typeof more.name === "string" ? more.name : null,
		};
	}

	async #userInfo(
		configuration: oidc.Configuration,
		tokens: { readonly access_token: string },
		subject: string,
	): Promise<Readonly<Record<string, unknown>>> {
		if (configuration.serverMetadata().userinfo_endpoint === undefined) return {};
		return oidc.fetchUserInfo(configuration, tokens.access_token, subject).catch((error: unknown) => {
			throw blame(wordsOf(error));
		});
	}

	async #opened(signIn: string): Promise<Readonly<Record<"verifier" | "state" | "nonce" | "redirectUri", string>>> {
		try {
			const { payload } = await jwtDecrypt(signIn, this.#key, {
				keyManagementAlgorithms: ["dir"],
				contentEncryptionAlgorithms: ["A256GCM"],
				requiredClaims: ["exp"],
			});
			// Nobody else has the key: what it decrypts to is what `begin` wrote.
			return payload as Readonly<Record<"verifier" | "state" | "nonce" | "redirectUri", string>>;
		} catch {
			throw blame(`it was begun more than ${MINUTES_TO_SIGN_IN} minutes ago, or elsewhere`);
		}
	}

	/** Looked up when somebody signs in first, and again when that did not work. */
	#configuration(): Promise<oidc.Configuration> {
		const { issuer, clientId, clientSecret } = this.#settings;
		const url = new URL(issuer);
		// Without TLS anybody in between could say who somebody is: on this machine alone there is nobody in between.
		const isHere = url.protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname);
		const authentication = clientSecret === "" ? oidc.None() : undefined;
		this.#known ??= oidc
			.discovery(url, clientId, clientSecret || undefined, authentication, {
				execute: isHere ? [oidc.allowInsecureRequests] : [],
			})
			.catch((error: unknown) => {
				this.#known = undefined;
				throw refusal("not-ready", {
					reason: `the identity provider ${issuer} could not be asked: ${wordsOf(error)}`,
				});
			});
		return this.#known;
	}
}

/** Why nobody was let in. */
export function blame(reason: string): Error {
	return refusal("sign-in-refused", { reason });
}

/** Libraries say "unexpected response"; the cause and the provider's own words say more. */
function wordsOf(error: unknown): string {
	const { message, error_description, error: code, cause } = error as Record<string, unknown>;
	const inner = cause instanceof Error ? cause.message : undefined;
	return [error_description ?? code, message, inner].filter((part) => typeof part === "string").join(": ");
}
