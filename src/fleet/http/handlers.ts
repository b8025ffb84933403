import type { Readable } from "node:stream";
import type { Answer, Input, OperationName, Operations } from "../../api/index.ts";
import type { Json } from "../../core/index.ts";
import type { Store } from "../store/store.ts";
import type { Identity } from "./identity.ts";

/** What a handler knows of the request beside its input. */
export interface Context<Caller extends Identity = Identity> {
	readonly identity: Caller;
	readonly store: Store;
	/** Header `Idempotency-Key`, or null. */
	readonly idempotencyKey: string | null;
	/** Header `Last-Event-ID`, or null: where a stream of events is to go on. */
	readonly lastEventId: string | null;
	/** Network address of the client. */
	readonly address: string;
	/** Settles the audit entry's details: what it was about. Nothing secret. */
	note(details: AuditNote): void;
	/** Aborted when the client is gone. */
	readonly signal: AbortSignal;
}

export interface AuditNote {
	readonly directiveId?: string;
	readonly commandId?: string;
	readonly territoryId?: string;
	/** Where it isn't the caller's. */
	readonly accountId?: string;
	readonly severity?: "info" | "warn" | "critical";
	readonly payload?: Readonly<Record<string, Json>>;
}

/** An answer that isn't JSON. */
export interface StreamAnswer {
	readonly status: 200;
	readonly contentType: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly stream: Readable;
}

type AnswerOf<Name extends OperationName> = Operations[Name]["answersAs"] extends "json"
	? Answer<Operations[Name]>
	: StreamAnswer;

/** One for every row: a missing one does not compile. */
export type Handlers = {
	readonly [Name in OperationName]: (context: Context, input: Input<Operations[Name]>) => Promise<AnswerOf<Name>>;
};
