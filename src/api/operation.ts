import { z } from "zod";
import type { ApiFailure } from "./failures.ts";
import type { Role } from "./people/schema.ts";
import type { RateName } from "./rates.ts";

/** Who may call: people by role; a territory by its certificate; a territory with the token of one directive; anyone. */
export type Caller = Role | "territory" | "directive" | "anyone";

/**
 * One endpoint. The server's route, the client's method, the command line's command, the OpenAPI document and the audit
 * entry all derive from this row: what people change is noted before it is done, and completed after.
 */
export interface Operation {
	/** One line for people, without a full stop. */
	readonly summary: string;
	readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
	/** OpenAPI path template: `{name}` is a member of `path`. */
	readonly route: `/${string}`;
	readonly effect: "read" | "change" | "destroy";
	/** `natural`: again changes nothing more. `key`: so does an `Idempotency-Key`. `none`: nobody may repeat it by themselves. */
	readonly idempotency: "natural" | "key" | "none";
	readonly callers: readonly [Caller, ...Caller[]];
	/** Every value is text. */
	readonly path: z.ZodObject;
	/** Every value is text, so coercion is the schema's. */
	readonly query: z.ZodObject;
	readonly body: z.ZodType | null;
	/** Bytes of a request's body; more is 413. */
	readonly bodyBytes: number;
	/** The bodies that answer by status code; every other status is an error body. */
	readonly answers: Readonly<Record<number, z.ZodType>>;
	/** All but `json` is written by the handler; of streams, the schema describes one element. `bytes` are few: a client holds them. */
	readonly answersAs: "json" | "event-stream" | "bytes" | "byte-stream" | "jsonl";
	readonly failures: readonly ApiFailure[];
	readonly rate: RateName | null;
	/** Words after `vouch`, and the path members that are its operands; null where people have no use for it. */
	readonly command: { readonly words: readonly [string, ...string[]]; readonly operands: readonly string[] } | null;
}

/** The most that an ordinary JSON request needs. */
export const ORDINARY_BODY_BYTES = 1024 * 1024;

const nothing = z.object({});

/** What goes without saying. */
const UNSAID = {
	idempotency: "none",
	path: nothing,
	query: nothing,
	body: null,
	bodyBytes: ORDINARY_BODY_BYTES,
	answersAs: "json",
	failures: [],
	rate: null,
	command: null,
} as const satisfies Partial<Operation>;
type Unsaid = typeof UNSAID;

type Said = Omit<Operation, keyof Unsaid> & Partial<Operation>;

/** A row with its literal types, which handlers and the client are typed by. */
export function operation<const Row extends Said>(row: Row): Row & Omit<Unsaid, keyof Row> {
	return { ...UNSAID, ...row };
}

/** What a handler is given. */
export type Input<Row extends Operation> = {
	readonly path: z.output<Row["path"]>;
	readonly query: z.output<Row["query"]>;
	readonly body: Row["body"] extends z.ZodType ? z.output<Row["body"]> : null;
};

/** What a handler answers. */
export type Answer<Row extends Operation> = {
	[Status in keyof Row["answers"]]: Row["answers"][Status] extends z.ZodType
		? { readonly status: Status; readonly body: z.input<Row["answers"][Status]> }
		: never;
}[keyof Row["answers"]];
