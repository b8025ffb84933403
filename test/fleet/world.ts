import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { ROLES, type Role } from "../../src/api/people/schema.ts";
import { newId } from "../../src/core/index.ts";
import type { Store, TerritoryAuthMode } from "../../src/fleet/index.ts";
import {
	addFacility,
	addOwner,
	CertificateAuthority,
	type ControlPlane,
	createControlPlane,
	DirectiveTokens,
	DirectoryBlobs,
	LEASE_MS,
	type Owner,
	openStore,
	STANDARD_SETTINGS,
} from "../../src/fleet/index.ts";
import { openKeyStore } from "../../src/journal/index.ts";
import { writeServerCertificate } from "../agent/server-certificate.ts";
import { fetchByTls } from "./fetch-by-tls.ts";

/** JSON of every shape, that tests look into. */
export type Parsed = ReturnType<typeof JSON.parse>;

/** What a request was answered. */
export interface Answered {
	readonly status: number;
	readonly headers: Headers;
	/** Of JSON, its value; else the text. */
	readonly body: Parsed;
}

export interface Asking {
	readonly headers?: Readonly<Record<string, string>>;
	readonly json?: unknown;
	/** In place of `json`. */
	readonly raw?: string | Uint8Array<ArrayBuffer>;
	/** What a client shows of itself to a control plane with TLS. */
	readonly certificate?: ClientCertificate;
}

export interface ClientCertificate {
	readonly cert: string;
	readonly key: string;
}

export interface WorldOptions {
	readonly mode?: TerritoryAuthMode;
	readonly trustedProxies?: readonly string[];
	/** `own`: it ends TLS itself and asks for client certificates. Default `none`. */
	readonly tls?: "own" | "none";
	readonly nodeVersions?: { readonly latest: string; readonly minimum: string };
}

/** A control plane of a test on its own port, with two accounts, and a clock that can be moved. */
export interface World {
	readonly base: string;
	/** By which clients know a control plane with TLS. */
	readonly serverCertificate: string | null;
	readonly control: ControlPlane;
	readonly store: Store;
	readonly tokens: DirectiveTokens;
	readonly home: string;
	readonly account: Account;
	/** Another tenant. */
	readonly stranger: Account;
	/** Lets time pass, in milliseconds, for everything that reads the clock. */
	pass(durationMs: number): void;
	nowMs(): number;
	ask(method: string, path: string, asking?: Asking): Promise<Answered>;
	as(role: Role, method: string, path: string, json?: unknown): Promise<Answered>;
	runJobs(): Promise<void>;
	close(): Promise<void>;
}

export interface Account {
	readonly owner: Owner;
	/** A person of each role. */
	readonly people: Readonly<Record<Role, string>>;
	/** Headers by which a person of that role is known. */
	headersOf(role: Role): Record<string, string>;
}

export const API = "/mothership/api/v1";

export async function openWorld(
	url: string,
	{ mode = "either", trustedProxies = [], tls = "none", nodeVersions }: WorldOptions = {},
): Promise<World> {
	const home = mkdtempSync(join(tmpdir(), "vouch-test-world-"));
	let passedMs = 0;
	const nowMs = () => Date.now() + passedMs;
	const store = await openStore(url, nowMs);
	const keys = openKeyStore(join(home, "keys"));
	const tokens = new DirectiveTokens(randomBytes(32), LEASE_MS);
	const authority = await testAuthority();
	const server = tls === "own" ? await ownCertificate(home) : null;
	const plane = createControlPlane({
		store,
		services: {
			tokens,
			blobs: new DirectoryBlobs(join(home, "blobs")),
			authority,
			keys,
			identityProvider: null,
			settings: { ...STANDARD_SETTINGS, nodeVersions: nodeVersions ?? null },
		},
		auth: { territoryMode: mode, fingerprintHeader: "X-Nexus-Client-Cert-Fingerprint", peopleHeaders: "accepted" },
		tls: server && { ...server, ca: authority.certificatePem },
		trustedProxies,
		version: "0.1.0",
		log: pino({ level: "silent" }),
		nowMs,
	});
	const port = await plane.listen({ host: "127.0.0.1", port: 0 });
	const base = `${server === null ? "http" : "https"}://127.0.0.1:${port}`;
	const ca = server?.cert ?? null;
	const account = await addAccount(store);
	const world: World = {
		base,
		serverCertificate: ca,
		control: plane,
		store,
		tokens,
		home,
		account,
		stranger: await addAccount(store),
		pass: (durationMs) => {
			passedMs += durationMs;
		},
		nowMs,
		ask: (method, path, asking) => ask({ base, ca }, method, path, asking),
		as: (role, method, path, json) =>
			ask({ base, ca }, method, path, { headers: account.headersOf(role), ...(json === undefined ? {} : { json }) }),
		runJobs: () => plane.runJobs(),
		async close() {
			await plane.close();
			await store.close();
			rmSync(home, { recursive: true, force: true });
		},
	};
	return world;
}

/** Making an RSA key takes a second; one authority serves all worlds of a test file. */
let authority: Promise<CertificateAuthority> | undefined;
function testAuthority(): Promise<CertificateAuthority> {
	if (authority === undefined) {
		const directory = mkdtempSync(join(tmpdir(), "vouch-test-ca-"));
		process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
		authority = CertificateAuthority.open(directory, Date.now());
	}
	return authority;
}

async function ownCertificate(directory: string): Promise<ClientCertificate> {
	const { certificate, key } = await writeServerCertificate(directory);
	return { cert: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") };
}

async function addAccount(store: Store): Promise<Account> {
	const { owner, people } = await store.transaction(async (session) => {
		const made = await addOwner(session);
		const found: Record<string, string> = { owner: made.userId };
		for (const role of ROLES.filter((each) => each !== "owner")) {
			const id = newId<string>(session.nowMs);
			found[role] = id;
			const stamps = { created_at: session.nowMs, updated_at: session.nowMs };
			const person = { name: role, email: null, oidc_subject: null, role, disabled: 0 as const };
			await session.db
				.insertInto("users")
				.values({ id, account_id: made.accountId, ...person, ...stamps })
				.execute();
		}
		return { owner: made, people: found as Record<Role, string> };
	});
	return {
		owner,
		people,
		headersOf: (role) => ({ "x-account-id": owner.accountId, "x-user-id": people[role] }),
	};
}

async function ask(
	{ base, ca }: { readonly base: string; readonly ca: string | null },
	method: string,
	path: string,
	asking: Asking = {},
): Promise<Answered> {
	const body = asking.raw ?? (asking.json === undefined ? undefined : JSON.stringify(asking.json));
	const headers = { ...(asking.json === undefined ? {} : { "content-type": "application/json" }), ...asking.headers };
	const response =
		ca === null
			? await fetch(base + path, {
					method,
					headers,
					...(body === undefined ? {} : { body }),
					redirect: "manual",
					signal: AbortSignal.timeout(20_000),
				})
			: await fetchByTls(base + path, { method, headers, body, ca, ...asking.certificate });
	const text = await response.text();
	const isJson = response.headers.get("content-type")?.startsWith("application/json;") === true;
	return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** A facility of an account, as reference tests make them: a row. */
export function newFacility(world: World, account: Account = world.account): Promise<string> {
	return world.store.transaction((session) => addFacility(session, account.owner));
}

/** Creates a directive as the owner and answers its id. */
export async function submit(world: World, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
	const facility = await newFacility(world);
	const request = { command: "echo hello", ...more };
	const { status, body } = await world.as("owner", "POST", `${API}/facilities/${facility}/directives`, request);
	if (status !== 201 && status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
	return body.directive_id;
}
