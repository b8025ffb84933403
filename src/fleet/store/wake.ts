import { EventEmitter } from "node:events";
import type pg from "pg";

/** Something that another part, or another control plane, should look at now rather than at its next round. */
export type Wake =
	/** A directive of the account may be leased. */
	| {
			readonly kind: "directive-ready";
			readonly accountId: string;
			readonly directiveId: string;
			readonly profile: string;
	  }
	| { readonly kind: "directive-cancel"; readonly territoryId: string; readonly directiveId: string }
	/** Its output grew or its state changed. */
	| { readonly kind: "directive-changed"; readonly directiveId: string }
	| { readonly kind: "command-dispatched"; readonly territoryId: string; readonly commandId: string }
	/** It was taken out of service, or its certificates back. */
	| { readonly kind: "territory-shut-out"; readonly territoryId: string };

export type WakeListener = (wake: Wake) => void;

/** A wake-up is a hint: losing one costs a poll interval, never a directive. */
export interface Wakes {
	listen(listener: WakeListener): () => void;
	/** After the transaction that it is about is committed. */
	tell(wake: Wake): void;
	close(): Promise<void>;
}

const WAKE_CHANNEL = "vouch_wake";

export class LocalWakes implements Wakes {
	readonly #emitter = new EventEmitter().setMaxListeners(0);

	listen(listener: WakeListener): () => void {
		this.#emitter.on("wake", listener);
		return () => this.#emitter.off("wake", listener);
	}

	tell(wake: Wake): void {
		this.#emitter.emit("wake", wake);
	}

	async close(): Promise<void> {
		this.#emitter.removeAllListeners();
	}
}

const RECONNECT_MS = 1000;
/** PostgreSQL takes less than 8,000 bytes in a notification. */
const MOST_PAYLOAD_BYTES = 7_900;

/**
 * PostgreSQL's LISTEN and NOTIFY on a connection of its own, opened again whenever it is lost. Transactions don't notify: those that
 * do are committed one after the other, in the whole database.
 */
export class PostgresWakes implements Wakes {
	readonly #local = new LocalWakes();
	readonly #connect: () => pg.Client;
	#client: pg.Client | undefined;
	#closed = false;
	#retry: NodeJS.Timeout | undefined;
	/** Told, and not sent yet. */
	#waiting: string[] = [];
	#isSending = false;

	constructor(connect: () => pg.Client) {
		this.#connect = connect;
	}

	async open(): Promise<void> {
		const client = this.#connect();
		this.#client = client;
		client.on("error", () => this.#lost(client));
		client.on("end", () => this.#lost(client));
		client.on("notification", ({ payload }) => {
			for (const wake of wakesOf(payload)) this.#local.tell(wake);
		});
		await client.connect();
		await client.query(`LISTEN ${WAKE_CHANNEL}`);
	}

	listen(listener: WakeListener): () => void {
		return this.#local.listen(listener);
	}

	tell(wake: Wake): void {
		this.#waiting.push(JSON.stringify(wake));
		if (!this.#isSending) void this.#send();
	}

	/** All that came while the ones before were sent go together. What can't be sent is lost: it was a hint. */
	async #send(): Promise<void> {
		this.#isSending = true;
		while (this.#waiting.length > 0 && this.#client !== undefined) {
			const notify = "select pg_notify($1, wakes) from unnest($2::text[]) as wakes";
			await this.#client.query(notify, [WAKE_CHANNEL, packed(this.#waiting.splice(0))]).catch(() => undefined);
		}
		this.#waiting = [];
		this.#isSending = false;
	}

	async close(): Promise<void> {
		this.#closed = true;
		clearTimeout(this.#retry);
		await this.#local.close();
		await this.#client?.end().catch(() => undefined);
	}

	#lost(client: pg.Client): void {
		if (this.#closed || this.#client !== client) return;
		this.#client = undefined;
		client.end().catch(() => undefined);
		this.#retry = setTimeout(() => {
			this.open().catch(() => this.#client !== undefined && this.#lost(this.#client));
		}, RECONNECT_MS);
	}
}

/** As few notifications as they fit into. One alone is no list: a control plane of an older version knows that alone. */
function packed(wakes: readonly string[]): readonly string[] {
	const packs: string[][] = [];
	let left = 0;
	for (const wake of wakes) {
		left -= Buffer.byteLength(wake) + 1;
		if (left < 0) {
			packs.push([]);
			left = MOST_PAYLOAD_BYTES - Buffer.byteLength(wake);
		}
		packs.at(-1)?.push(wake);
	}
	return packs.map((pack) => (pack.length === 1 ? String(pack[0]) : `[${pack.join()}]`));
}

/** Whoever may write to the database may notify: what isn't one of ours is nothing. */
function wakesOf(payload: string | undefined): readonly Wake[] {
	try {
		const told: unknown = JSON.parse(payload ?? "");
		return [told].flat().filter((wake): wake is Wake => typeof wake === "object" && wake !== null && "kind" in wake);
	} catch {
		return [];
	}
}
