import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { newId } from "../../src/core/index.ts";
import { signerOf } from "../../src/evidence/index.ts";
import {
	CertificateAuthority,
	type ControlPlane,
	createControlPlane,
	DirectiveTokens,
	DirectoryBlobs,
	openStore,
	type Store,
} from "../../src/fleet/index.ts";

export interface Reply {
	readonly status: number;
	readonly body: Readonly<Record<string, unknown>>;
}

/** A control plane in this process, with a clock that stands still until it is moved. */
export interface World {
	readonly store: Store;
	readonly control: ControlPlane;
	nowMs: number;
	call(method: "GET" | "POST", path: string, body: unknown, headers: Readonly<Record<string, string>>): Promise<Reply>;
	close(): Promise<void>;
}

export async function openWorld(storeUrl: string): Promise<World> {
	const directory = mkdtempSync(join(tmpdir(), "vouch-fleet-"));
	const clock = { nowMs: Date.UTC(2026, 0, 1) };
	const store = await openStore(storeUrl, () => clock.nowMs);
	const signer = signerOf(generateKeyPairSync("ed25519").privateKey);
	const control = createControlPlane({
		store,
		services: {
			tokens: new DirectiveTokens(randomBytes(32)),
			blobs: new DirectoryBlobs(join(directory, "blobs")),
			authority: await CertificateAuthority.open(join(directory, "ca"), clock.nowMs),
			keys: { signer: () => signer, trusted: () => [] },
			settings: { cableUrl: "/cable", nodeVersions: null, maxLogChunkBytes: 262_144 },
		},
		auth: { territoryMode: "either", fingerprintHeader: null, peopleHeaders: "accepted" },
		tls: null,
		version: "0.0.0",
		log: pino({ level: "silent" }),
		nowMs: () => clock.nowMs,
		jobs: "by-hand",
	});
	return {
		store,
		control,
		get nowMs() {
			return clock.nowMs;
		},
		set nowMs(value) {
			clock.nowMs = value;
		},
		call: async (method, url, body, headers) => {
			const payload = method === "POST" ? { payload: JSON.stringify(body ?? {}) } : {};
			const type = method === "POST" ? { "content-type": "application/json" } : {};
			const answer = await control.app.inject({ method, url, headers: { ...headers, ...type }, ...payload });
			return { status: answer.statusCode, body: answer.json() as Record<string, unknown> };
		},
		close: async () => {
			await control.close();
			await store.close();
			rmSync(directory, { recursive: true, force: true });
		},
	};
}

export interface Tenant {
	readonly accountId: string;
	/** Headers of a person of each role. */
	readonly as: Readonly<Record<"owner" | "approver" | "member", Readonly<Record<string, string>>>>;
}

/** An account of its own with an owner, an approver and a member. */
export async function newTenant({ store }: World): Promise<Tenant> {
	return store.transaction(async ({ db, nowMs }) => {
		const accountId = newId<string>(nowMs);
		const stamps = { created_at: nowMs, updated_at: nowMs };
		await db
			.insertInto("accounts")
			.values({ id: accountId, name: "test", ...stamps })
			.execute();
		const add = async (role: string) => {
			const id = newId<string>(nowMs);
			const person = { id, account_id: accountId, name: role, email: null, oidc_subject: null, role };
			await db
				.insertInto("users")
				.values({ ...person, disabled: 0, ...stamps })
				.execute();
			return { "x-account-id": accountId, "x-user-id": id };
		};
		const as = { owner: await add("owner"), approver: await add("approver"), member: await add("member") };
		return { accountId, as };
	});
}
