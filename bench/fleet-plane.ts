import { generateKeyPairSync, randomBytes } from "node:crypto";
import { join } from "node:path";
import pino from "pino";
import { type OperationName, operations } from "../src/api/index.ts";
import { newId } from "../src/core/index.ts";
import { signerOf } from "../src/evidence/index.ts";
import {
	addFacility,
	addOwner,
	addTerritory,
	CertificateAuthority,
	type ControlPlane,
	createControlPlane,
	DirectiveTokens,
	DirectoryBlobs,
	directiveRow,
	LEASE_MS,
	type Owner,
	type OwnRequest,
	openStore,
	STANDARD_SETTINGS,
	type Store,
} from "../src/fleet/index.ts";

export interface Plane {
	readonly store: Store;
	readonly control: ControlPlane;
	readonly owner: Owner;
	/** Lets a minute pass for the rate limits, which are not what is measured. */
	pass(): void;
	/** An operation by an HTTP request, without a network between. */
	readonly call: Call;
	/** The operation itself, as a queue in the same process is asked. */
	readonly ask: Call;
	close(): Promise<void>;
}

export type Call = (name: OperationName, request: OwnRequest) => Promise<Answer>;

export type Answer = ReturnType<typeof JSON.parse>;

/** A control plane in this process. */
export async function openPlane(url: string, directory: string): Promise<Plane> {
	let passedMs = 0;
	const nowMs = () => Date.now() + passedMs;
	const store = await openStore(url, nowMs);
	const signer = signerOf(generateKeyPairSync("ed25519").privateKey);
	const control = createControlPlane({
		store,
		services: {
			tokens: new DirectiveTokens(randomBytes(32), LEASE_MS),
			blobs: new DirectoryBlobs(join(directory, "blobs")),
			authority: await CertificateAuthority.open(join(directory, "ca"), Date.now()),
			keys: { signer: () => signer, trusted: () => [] },
			identityProvider: null,
			settings: STANDARD_SETTINGS,
		},
		auth: { territoryMode: "either", fingerprintHeader: null, peopleHeaders: "accepted" },
		tls: null,
		version: "0.0.0",
		log: pino({ level: "silent" }),
		nowMs,
		jobs: "by-hand",
	});
	const owner = await store.transaction((session) => addOwner(session));
	return {
		store,
		control,
		owner,
		pass() {
			passedMs += 61_000;
		},
		async call(name, { params = {}, headers, body = {} }) {
			const url = operations[name].route.replace(/\{(\w+)\}/g, (_, param) => params[param] ?? "");
			const sent = { ...headers, "content-type": "application/json" };
			const answer = await control.app.inject({ method: "POST", url, headers: sent, payload: JSON.stringify(body) });
			if (answer.statusCode >= 300) throw new Error(`${url}: ${answer.statusCode} ${answer.body}`);
			return answer.json();
		},
		async ask(name, request) {
			const answer = await control.ask(name, request);
			if ("stream" in answer) throw new Error(`${name} answers with a stream`);
			return answer.body;
		},
		async close() {
			await control.close();
			await store.close();
		},
	};
}

/** Headers of the one who owns it. */
export function personOf({ owner: { accountId, userId } }: Plane): Readonly<Record<string, string>> {
	return { "x-account-id": accountId, "x-user-id": userId };
}

export function addTerritories(plane: Plane, count: number): Promise<readonly string[]> {
	return plane.store.transaction(async (session) => {
		const ids: string[] = [];
		for (let at = 0; at < count; at++) ids.push(await addTerritory(session, plane.owner));
		await session.db.updateTable("territories").set({ max_concurrent: 1_000 }).execute();
		return ids;
	});
}

export function addFacilities(plane: Plane, count: number): Promise<readonly string[]> {
	return plane.store.transaction(async (session) => {
		const ids: string[] = [];
		for (let at = 0; at < count; at++) ids.push(await addFacility(session, plane.owner));
		return ids;
	});
}

const ROWS_AT_ONCE = 200;

/** Directives that wait, evenly in the facilities; the first in each may be leased. */
export async function fillQueue(plane: Plane, facilities: readonly string[], count: number): Promise<void> {
	await plane.store.transaction(async (session) => {
		for (let first = 0; first < count; first += ROWS_AT_ONCE) {
			const rows = Array.from({ length: Math.min(ROWS_AT_ONCE, count - first) }, (_, at) => {
				const facility = facilities[(first + at) % facilities.length] ?? "";
				const ready = first + at < facilities.length ? 1 : 0;
				return directiveRow(session, plane.owner, facility, { id: newId(session.nowMs), ready });
			});
			await session.db.insertInto("directives").values(rows).execute();
		}
	});
}
