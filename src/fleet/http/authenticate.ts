import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIPv6 } from "node:net";
import type { Operation } from "../../api/index.ts";
import type { Role } from "../../api/people/schema.ts";
import type { Store } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";
import { apiToken, holderOf, territoryByCertificate, territoryById, userById } from "./credentials.ts";
import type { DirectiveTokens } from "./directive-token.ts";
import { type Identity, lesserRole } from "./identity.ts";
import { refusal, refusedTo } from "./refusal.ts";

/** How territories prove who they are (conduits section 3.1). `header` and `either` are for development: anyone can claim any id. */
export type TerritoryAuthMode = "mtls" | "header" | "either";

export interface AuthSettings {
	readonly territoryMode: TerritoryAuthMode;
	/** Header in which a trusted TLS-terminating proxy gives the fingerprint; null when no proxy is trusted. */
	readonly fingerprintHeader: string | null;
	/** Development: `X-Account-Id` and `X-User-Id` without a secret (conduits section 3.6). */
	readonly peopleHeaders: "refused" | "accepted";
}

/** What a request shows of itself before its body is read. */
export interface Shown {
	readonly headers: IncomingHttpHeaders;
	/** SHA-256 of the client certificate that our own TLS server checked, lower-case hex; null without one. */
	readonly clientCertificate: string | null;
	/** Address of whoever connected to us, be it a proxy. */
	readonly peer: string;
	/** The path's `directive_id`, or null. */
	readonly directiveId: string | null;
	readonly what: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const FINGERPRINT = /^[0-9a-f]{64}$/;
/** What a node that was cut off may still say of its own lease, hours later (conduits section 12.1, 9). */
const LATE_REPORTS = ["/finished", "/receipt", "/artifacts"] as const;
const MINUTE_MS = 60_000;
const NODE_CALLERS = ["territory", "directive"] as const;

/** Who is asking. Throws refusals; what is missing, wrong, expired and revoked look the same from outside. */
export class Authentication {
	readonly #store: Store;
	readonly #tokens: DirectiveTokens;
	readonly #settings: AuthSettings;
	/** Who may say whose certificate it checked; undefined where no proxy is named: then whoever reaches the port may. */
	readonly #proxies: BlockList | undefined;
	readonly #nowMs: () => number;

	constructor(
		store: Store,
		tokens: DirectiveTokens,
		settings: AuthSettings & { readonly trustedProxies: readonly string[] },
		nowMs: () => number,
	) {
		this.#store = store;
		this.#tokens = tokens;
		this.#settings = settings;
		this.#proxies = settings.trustedProxies.length === 0 ? undefined : listOf(settings.trustedProxies);
		this.#nowMs = nowMs;
	}

	async identify(row: Operation, shown: Shown): Promise<Identity> {
		if (row.callers.includes("anyone")) return { kind: "anyone" };
		if (!NODE_CALLERS.some((caller) => row.callers.includes(caller))) return this.person(shown);
		if (row.callers.includes("directive")) return this.#directive(row, shown);
		return { kind: "territory", territory: await this.territory(shown) };
	}

	async territory({ headers, clientCertificate, peer, what }: Omit<Shown, "directiveId">): Promise<TerritoryRow> {
		const { territoryMode, fingerprintHeader } = this.#settings;
		const isHeard = fingerprintHeader !== null && (this.#proxies === undefined || isIn(this.#proxies, peer));
		const told = isHeard ? headers[fingerprintHeader.toLowerCase()] : undefined;
		const fingerprint = clientCertificate ?? normalFingerprint(told);
		const found =
			territoryMode === "header" || fingerprint === undefined
				? undefined
				: await territoryByCertificate(this.#store, fingerprint);
		const byHeader = territoryMode === "mtls" ? undefined : await this.#byId(headers["x-nexus-territory-id"]);
		const territory = found ?? byHeader;
		const fix = "Show the client certificate of an enrolled territory, or enroll again.";
		if (territory === undefined) throw refusal("unauthorized", { what, fix });
		if (territory.status !== "decommissioned") return territory;
		throw refusedTo(territory, refusal("forbidden", { what, reason: "this territory was taken out of service" }));
	}

	async person({ headers, what }: Omit<Shown, "directiveId">): Promise<Identity> {
		const token = bearerOf(headers);
		const identity =
			token !== undefined
				? await this.#byApiToken(token)
				: this.#settings.peopleHeaders === "accepted"
					? await this.#byHeaders(headers)
					: undefined;
		const fix = "Send `Authorization: Bearer TOKEN` with a token of `vouch tokens create`.";
		if (identity === undefined) throw refusal("unauthorized", { what, fix });
		return identity;
	}

	async #directive(row: Operation, shown: Shown): Promise<Identity> {
		const { headers, directiveId, what } = shown;
		const verdict = this.#tokens.read(bearerOf(headers) ?? "", this.#nowMs());
		const named = verdict.kind === "invalid" ? undefined : holderOf(this.#store, verdict.claims.directiveId);
		const [territory, held] = await Promise.all([this.territory(shown), named]);
		const late = verdict.kind === "expired" && LATE_REPORTS.some((report) => row.route.endsWith(report));
		const fix = "The lease is over, or it was never this one's. Stop the directive.";
		if (verdict.kind === "invalid" || (verdict.kind === "expired" && !late))
			throw refusedTo(territory, refusal("unauthorized", { what, fix }));
		const { claims } = verdict;
		const forbid = (reason: string) => refusedTo(territory, refusal("forbidden", { what, reason }));
		if (claims.territoryId !== territory.id) throw forbid("the token was given to another territory");
		if (claims.directiveId !== directiveId) throw forbid("the token is another directive's");
		if (held === undefined)
			throw refusedTo(territory, refusal("not-found", { kind: "directive", id: claims.directiveId }));
		if (held.territory_id !== territory.id) throw forbid("another territory holds the directive now");
		if (claims.leaseId !== null && claims.leaseId !== held.lease_id) throw forbid("the lease is over");
		return { kind: "directive", territory, directiveId: claims.directiveId, leaseId: claims.leaseId };
	}

	async #byId(id: string | string[] | undefined): Promise<TerritoryRow | undefined> {
		return typeof id === "string" && UUID.test(id) ? territoryById(this.#store, id.toLowerCase()) : undefined;
	}

	async #byApiToken(token: string): Promise<Identity | undefined> {
		const digest = tokenDigestOf(token);
		const found = await apiToken(this.#store, digest);
		if (found === undefined) return undefined;
		await this.#noteUse(found);
		const { id, account_id: accountId, user_id: userId } = found;
		const role = lesserRole(found.role as Role, found.user_role as Role);
		return role && { kind: "person", accountId, userId, role, tokenId: id };
	}

	/** So that people see which of their tokens nobody needs; a minute is exact enough. */
	async #noteUse({ id, last_used_at: before }: { id: string; last_used_at: number | null }): Promise<void> {
		const now = this.#nowMs();
		if (before !== null && now - before < MINUTE_MS) return;
		await this.#store.transaction(({ db }) =>
			db.updateTable("api_tokens").set({ last_used_at: now }).where("id", "=", id).execute(),
		);
	}

	async #byHeaders(headers: IncomingHttpHeaders): Promise<Identity | undefined> {
		const accountId = headers["x-account-id"];
		const userId = headers["x-user-id"];
		if (typeof accountId !== "string" || typeof userId !== "string") return undefined;
		const user = await userById(this.#store, userId);
		return user?.account_id === accountId
			? { kind: "person", accountId, userId, role: user.role as Role, tokenId: null }
			: undefined;
	}
}

/** Addresses and CIDR ranges. */
function listOf(proxies: readonly string[]): BlockList {
	const list = new BlockList();
	for (const proxy of proxies) {
		const [address = "", bits] = proxy.split("/");
		const family = isIPv6(address) ? "ipv6" : "ipv4";
		if (bits === undefined) list.addAddress(address, family);
		else list.addSubnet(address, Number(bits), family);
	}
	return list;
}

function isIn(list: BlockList, address: string): boolean {
	return list.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}

/** Case-sensitive, as the protocol has it. */
function bearerOf({ authorization }: IncomingHttpHeaders): string | undefined {
	return authorization?.startsWith("Bearer ") === true ? authorization.slice("Bearer ".length) : undefined;
}

/** Trimmed, lower case, without colons (conduits section 3.1). */
function normalFingerprint(header: string | string[] | undefined): string | undefined {
	const text = typeof header === "string" ? header.trim().toLowerCase().replaceAll(":", "") : "";
	return FINGERPRINT.test(text) ? text : undefined;
}

/** What is kept of a token that people or nodes show. */
export function tokenDigestOf(token: string): string {
	return createHash("sha256").update(token).digest("hex");
}
