import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { sql } from "kysely";
import pino from "pino";
import { signerOf } from "../../src/evidence/index.ts";
import {
	type CertificateAuthority,
	type ControlPlane,
	type ControlPlaneParts,
	checkJournal,
	createControlPlane,
	DirectiveTokens,
	LEASE_MS,
	openStore,
	STANDARD_SETTINGS,
	type Store,
} from "../../src/fleet/index.ts";
import { Crash, type Faults, FaultyStore } from "./faulty-store.ts";
import { Random } from "./random.ts";

export interface Reply {
	readonly status: number;
	readonly body: Readonly<Record<string, unknown>>;
}

/** Rules that can be broken on purpose: a simulation that doesn't notice proves nothing. */
export const BREAKS = ["lease-fence", "facility-lock", "commit-before-answer"] as const;
export type Break = (typeof BREAKS)[number] | null;

const CONTROL_PLANES = 2;
const CRASH_PERCENT = 3;
const FORGET_PERCENT = 0.5;

/** Two control planes and their store in this process, with a clock that moves when it is looked at, and when it is moved. */
export interface World {
	readonly store: Store;
	nowMs: number;
	/** Where chance comes from: every schedule brings its own. */
	chance(random: Random, crashes: "crashes" | "whole"): void;
	/** Undefined: the control plane died, and nobody knows what of it happened. */
	call(
		method: "GET" | "POST",
		path: string,
		body: unknown,
		headers: Readonly<Record<string, string>>,
	): Promise<Reply | undefined>;
	/** The jobs of one control plane. */
	runJobs(): Promise<void>;
	/** How many entries the journal has; fails when they don't give its root. */
	checkJournal(): Promise<number>;
	blob(digest: string): Uint8Array | undefined;
	close(): Promise<void>;
}

export async function openWorld(
	authority: CertificateAuthority,
	broken: Break,
	told: (line: string) => void,
): Promise<World> {
	const clock = { nowMs: Date.UTC(2026, 0, 1) };
	// Each look is a millisecond later: what is made earlier has the smaller id, and a seed gives one history.
	const nowMs = () => clock.nowMs++;
	const store = await openStore("sqlite::memory:", nowMs);
	if (broken === "facility-lock") await dropFacilityLock(store);
	const faults: Faults = { random: new Random(0), crashPercent: 0, forgetPercent: 0, crashes: 0 };
	const signer = signerOf(generateKeyPairSync("ed25519").privateKey);
	const keys = { signer: () => signer, trusted: () => [] };
	const blobs = new MemoryBlobs();
	const secret = randomBytes(32);
	const services = {
		tokens: broken === "lease-fence" ? new UnfencedTokens(secret, LEASE_MS) : new DirectiveTokens(secret, LEASE_MS),
		blobs,
		authority,
		keys,
		identityProvider: null,
		settings: STANDARD_SETTINGS,
	};
	const planes = Array.from({ length: CONTROL_PLANES }, () =>
		newControlPlane(new FaultyStore(store, faults), services, nowMs),
	);
	const somePlane = () => faults.random.pick(planes) as ControlPlane;
	return {
		store,
		get nowMs() {
			return clock.nowMs;
		},
		set nowMs(value) {
			clock.nowMs = value;
		},
		chance(random, crashes) {
			faults.random = random;
			faults.crashPercent = crashes === "crashes" ? CRASH_PERCENT : 0;
			faults.forgetPercent = broken === "commit-before-answer" && crashes === "crashes" ? FORGET_PERCENT : 0;
		},
		call: async (method, url, body, headers) => {
			const type = { "content-type": "application/json" };
			const sent =
				method === "POST" ? { payload: JSON.stringify(body ?? {}), headers: { ...headers, ...type } } : { headers };
			const { crashes } = faults;
			const answer = await somePlane().app.inject({ method, url, ...sent });
			told(`${method} ${url.replace(/[0-9a-f-]{36}/g, "ID")} ${answer.statusCode}\n`);
			if (answer.statusCode === 500 && faults.crashes > crashes) return undefined;
			return { status: answer.statusCode, body: answer.json() };
		},
		runJobs: () =>
			somePlane()
				.runJobs()
				.catch((error: unknown) => {
					if (!(error instanceof Crash)) throw error;
				}),
		checkJournal: () => store.read((session) => checkJournal(session, keys)),
		blob: (digest) => blobs.kept.get(digest),
		close: async () => {
			for (const plane of planes) await plane.close();
			await store.close();
		},
	};
}

function newControlPlane(store: Store, services: ControlPlaneParts["services"], nowMs: () => number): ControlPlane {
	return createControlPlane({
		store,
		services,
		auth: { territoryMode: "either", fingerprintHeader: null, peopleHeaders: "accepted" },
		tls: null,
		version: "0.0.0",
		log: pino({ level: "silent" }),
		nowMs,
		jobs: "by-hand",
	});
}

class MemoryBlobs {
	readonly kept = new Map<string, Uint8Array>();

	async put(bytes: Uint8Array): Promise<string> {
		const digest = createHash("sha256").update(bytes).digest("hex");
		this.kept.set(digest, bytes);
		return digest;
	}

	async read(digest: string): Promise<Buffer | undefined> {
		const bytes = this.kept.get(digest);
		return bytes === undefined ? undefined : Buffer.from(bytes);
	}

	async open(digest: string) {
		const bytes = await this.read(digest);
		return bytes === undefined ? undefined : { stream: Readable.from([bytes]), sizeBytes: bytes.length };
	}

	async remove(digest: string): Promise<void> {
		this.kept.delete(digest);
	}

	below(): MemoryBlobs {
		return this;
	}
}

/** Broken: a token is good for any lease of its directive. */
class UnfencedTokens extends DirectiveTokens {
	override issue(claims: Parameters<DirectiveTokens["issue"]>[0], nowMs: number): string {
		return super.issue({ ...claims, leaseId: null }, nowMs);
	}
}

/** Broken: who leases a directive does not have its facility to itself. */
async function dropFacilityLock(store: Store): Promise<void> {
	const next = "select id from directives where facility_id = new.facility_id and state = 'queued' order by id limit 1";
	const trigger = `create trigger no_lock after update of state on directives when new.state = 'leased' begin
		update facilities set locked_by_directive_id = null where id = new.facility_id;
		update directives set ready = 1 where id = (${next});
	end`;
	await store.transaction(({ db }) => sql.raw(trigger).execute(db));
}
