import { errors, jwtVerify, SignJWT } from "jose";

/** Seconds that a directive's token is valid: as long as its lease (conduits section 3.2). */
export const TOKEN_TTL_SECONDS = 300;

export interface DirectiveClaims {
	readonly directiveId: string;
	readonly territoryId: string;
	/** Which lease it was given with; null in tokens that say nothing of it. */
	readonly leaseId: string | null;
}

export type TokenVerdict =
	| { readonly kind: "valid"; readonly claims: DirectiveClaims }
	/** Ours and too old: `finished` of the same lease is still heard (conduits section 12.1, 9). */
	| { readonly kind: "expired"; readonly claims: DirectiveClaims }
	| { readonly kind: "invalid" };

/** Issues and reads the tokens by which a node speaks for one directive: JWT, HS256, opaque to the node. */
export class DirectiveTokens {
	readonly #secret: Uint8Array;

	/** `secret`: at least 32 random bytes, the same on every control plane of a fleet. */
	constructor(secret: Uint8Array) {
		if (secret.length < 32) throw new TypeError("the secret for directive tokens is too short");
		this.#secret = secret;
	}

	issue({ directiveId, territoryId, leaseId }: DirectiveClaims, nowMs: number): Promise<string> {
		const now = Math.floor(nowMs / 1000);
		return new SignJWT({ tid: territoryId, ...(leaseId === null ? {} : { lid: leaseId }) })
			.setProtectedHeader({ alg: "HS256", typ: "JWT" })
			.setSubject(directiveId)
			.setIssuedAt(now)
			.setExpirationTime(now + TOKEN_TTL_SECONDS)
			.sign(this.#secret);
	}

	async read(token: string, nowMs: number): Promise<TokenVerdict> {
		try {
			const { payload } = await jwtVerify(token, this.#secret, {
				algorithms: ["HS256"],
				currentDate: new Date(nowMs),
				requiredClaims: ["sub", "exp"],
			});
			return verdictOf("valid", payload);
		} catch (error) {
			// The signature was checked before the time was.
			return error instanceof errors.JWTExpired ? verdictOf("expired", error.payload) : { kind: "invalid" };
		}
	}
}

function verdictOf(kind: "valid" | "expired", payload: Readonly<Record<string, unknown>>): TokenVerdict {
	const { sub, tid, lid } = payload;
	if (typeof sub !== "string" || typeof tid !== "string") return { kind: "invalid" };
	return { kind, claims: { directiveId: sub, territoryId: tid, leaseId: typeof lid === "string" ? lid : null } };
}
