import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { z } from "zod";

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

/** The one header that we write, and the only one that we read: no token chooses its own algorithm. */
const HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");
const FORM = /^([\w-]{1,200})\.([\w-]{1,2000})\.([\w-]{43})$/;

const payloadSchema = z.object({
	tid: z.string(),
	sub: z.string(),
	lid: z.string().optional(),
	exp: z.number(),
});

/** Issues and reads the tokens by which a node speaks for one directive: JWT (RFC 7519), HS256, opaque to the node. */
export class DirectiveTokens {
	readonly #secret: KeyObject;
	readonly #validSeconds: number;

	/**
	 * `secret`: at least 32 random bytes, the same on every control plane of a fleet. A token is valid as long as its lease
	 * (conduits section 3.2).
	 */
	constructor(secret: Uint8Array, leaseMs: number) {
		if (secret.length < 32) throw new TypeError("the secret for directive tokens is too short");
		this.#secret = createSecretKey(secret);
		this.#validSeconds = Math.ceil(leaseMs / 1000);
	}

	issue({ directiveId, territoryId, leaseId }: DirectiveClaims, nowMs: number): string {
		const now = Math.floor(nowMs / 1000);
		const lease = leaseId === null ? {} : { lid: leaseId };
		const claims = { tid: territoryId, ...lease, sub: directiveId, iat: now, exp: now + this.#validSeconds };
		const signed = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
		return `${signed}.${this.#signature(signed).toString("base64url")}`;
	}

	/** The signature first, in constant time; nothing of what was not signed is read. */
	read(token: string, nowMs: number): TokenVerdict {
		const [, header, payload = "", signature = ""] = FORM.exec(token) ?? [];
		const given = Buffer.from(signature, "base64url");
		if (header !== HEADER || given.length !== 32) return { kind: "invalid" };
		if (!timingSafeEqual(given, this.#signature(`${header}.${payload}`))) return { kind: "invalid" };
		const read = payloadSchema.safeParse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
		if (!read.success) return { kind: "invalid" };
		const { sub, tid, lid, exp } = read.data;
		const claims = { directiveId: sub, territoryId: tid, leaseId: lid ?? null };
		return { kind: Math.floor(nowMs / 1000) < exp ? "valid" : "expired", claims };
	}

	#signature(signed: string): Buffer {
		return createHmac("sha256", this.#secret).update(signed).digest();
	}
}
