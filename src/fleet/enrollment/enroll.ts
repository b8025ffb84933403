import { randomBytes } from "node:crypto";
import { newId } from "../../core/index.ts";
import { publicKeyFromRaw } from "../../evidence/index.ts";
import { territoryOf } from "../directives/poll.ts";
import { noteEvent } from "../domain-events.ts";
import { tokenDigestOf } from "../http/authenticate.ts";
import type { Handlers } from "../http/handlers.ts";
import { refusal } from "../http/refusal.ts";
import { jsonOf, jsonText, textOf, timeOf } from "../rows.ts";
import { HEARTBEAT_SECONDS, HEARTBEAT_WITH_CHANNEL_SECONDS, POLL_SECONDS, type Services } from "../services.ts";
import type { Session, Store } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";
import type { ClientCertificate } from "./authority.ts";

type Enroll = Handlers["nodes.enroll"];
type Request = Parameters<Enroll>[1]["body"];

/** Conduits section 2.3.1: row, token and certificate in one transaction; whatever fails leaves the token usable. */
export function enroll(services: Services): Enroll {
	return async ({ store, note }, { body }) => {
		const certificate = await certificateFor(services, store, body.csr_pem);
		mustBeKey(body.receipt_public_key);
		const territory = await store.transaction(async (session) => {
			const token = await useToken(session, body.enroll_token ?? "");
			if (token === undefined) throw refusal("invalid-token");
			const row = newTerritory(session, token, body);
			await session.db.insertInto("territories").values(row).execute();
			if (certificate !== null) await addCertificate(session, row.id, certificate);
			await noteEvent(session, {
				accountId: row.account_id,
				type: "territory.enrolled",
				territoryId: row.id,
				payload: { name: row.name, kind: row.kind, certificate: certificate !== null },
			});
			return row;
		});
		note({ territoryId: territory.id });
		const pems = certificate && {
			mtls_client_cert_pem: certificate.certificatePem,
			ca_bundle_pem: services.authority.certificatePem,
		};
		return {
			status: 201,
			body: {
				territory_id: territory.id,
				kind: territory.kind as "server",
				...pems,
				config: {
					poll_interval_seconds: POLL_SECONDS,
					heartbeat_interval_seconds: HEARTBEAT_SECONDS,
					heartbeat_interval_ws_seconds: HEARTBEAT_WITH_CHANNEL_SECONDS,
					lease_ttl_seconds: services.settings.leaseMs / 1000,
					cable_url: services.settings.cableUrl,
				},
				control_plane_public_key: Buffer.from(services.keys.signer().publicKey.raw).toString("base64"),
			},
		};
	};
}

/** A new certificate for a territory that still has a good one; the old one stays good until it expires. */
export function renewCertificate(services: Services): Handlers["nodes.renewCertificate"] {
	return async ({ identity, store }, { body }) => {
		const territory = territoryOf(identity);
		const certificate = await certificateFor(services, store, body.csr_pem);
		if (certificate === null) throw refusal("invalid-param", { what: "Renewing", problem: "csr_pem is needed" });
		await store.transaction(async (session) => {
			await addCertificate(session, territory.id, certificate);
			const about = { accountId: territory.account_id, territoryId: territory.id };
			await noteEvent(session, { ...about, type: "territory.certificate_renewed" });
		});
		return {
			status: 201,
			body: {
				mtls_client_cert_pem: certificate.certificatePem,
				ca_bundle_pem: services.authority.certificatePem,
				expires_at: timeOf(certificate.expiresAt),
			},
		};
	};
}

async function certificateFor(
	services: Services,
	store: Store,
	csr: string | null | undefined,
): Promise<ClientCertificate | null> {
	if (csr === null || csr === undefined) return null;
	const certificate = await services.authority.sign(csr, await store.read(async ({ nowMs }) => nowMs));
	if (certificate !== undefined) return certificate;
	const problem = "csr_pem is not a certificate request that its own key signed";
	throw refusal("invalid-param", { what: "Enrolling", problem });
}

function mustBeKey(key: string | null | undefined): void {
	if (key === null || key === undefined || publicKeyFromRaw(Buffer.from(key, "base64")) !== undefined) return;
	throw refusal("invalid-param", { what: "Enrolling", problem: "receipt_public_key is not an Ed25519 key" });
}

interface UsedToken {
	readonly account_id: string;
	readonly labels: string;
}

/** Once: whoever marks it used first has it. */
async function useToken({ db, nowMs }: Session, token: string): Promise<UsedToken | undefined> {
	return db
		.updateTable("enrollment_tokens")
		.set({ used_at: nowMs })
		.where("token_digest", "=", tokenDigestOf(token))
		.where("used_at", "is", null)
		.where("revoked_at", "is", null)
		.where("expires_at", ">", nowMs)
		.returning(["account_id", "labels"])
		.executeTakeFirst();
}

function newTerritory({ nowMs }: Session, token: UsedToken, body: Request): TerritoryRow {
	return {
		id: newId(nowMs),
		account_id: token.account_id,
		name: textOf(body.name) ?? `nexus-${randomBytes(4).toString("hex")}`,
		kind: body.kind ?? "server",
		platform: textOf(body.platform),
		display_name: textOf(body.display_name),
		labels: jsonText({ ...jsonOf<object>(token.labels), ...body.labels }),
		capacity: jsonText(body.metadata?.capacity ?? {}),
		capabilities: "[]",
		runtime_status: "{}",
		location: null,
		tags: "[]",
		max_concurrent: null,
		nexus_version: null,
		receipt_public_key: body.receipt_public_key ?? null,
		push_token: null,
		push_platform: null,
		status: "online",
		last_heartbeat_at: nowMs,
		created_at: nowMs,
		updated_at: nowMs,
	};
}

async function addCertificate(
	{ db, nowMs }: Session,
	territoryId: string,
	{ fingerprint, serial, expiresAt }: ClientCertificate,
): Promise<void> {
	const row = { fingerprint, territory_id: territoryId, serial, expires_at: expiresAt };
	await db
		.insertInto("certificates")
		.values({ ...row, revoked_at: null, created_at: nowMs })
		.execute();
}
