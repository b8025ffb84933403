import type { z } from "zod";
import type { Operation } from "../operation.ts";
import type { OperationName, Operations } from "../operations.ts";

/** Of `"directives.create"`: `directives`, and `create`. */
type GroupOf<Name extends string> = Name extends `${infer Group}.${string}` ? Group : never;
type MethodIn<Group extends string> = OperationName extends infer Name
	? Name extends `${Group}.${infer Method}`
		? Method
		: never
	: never;

/** Every operation of the table: `client.directives.create({ facility_id, body: { command: "make test" } })`. */
export type Client = {
	readonly [Group in GroupOf<OperationName>]: {
		readonly [Method in MethodIn<Group>]: `${Group}.${Method}` extends infer Name extends OperationName
			? MethodOf<Operations[Name]>
			: never;
	};
};

interface CallOptions {
	readonly signal?: AbortSignal;
	/** For operations that take one. By default each call has a new one, so that repeating it by itself is harmless. */
	readonly idempotencyKey?: string;
}

export type { CallOptions };

/** The shape of a row that the types below read. */
interface Row {
	readonly path: z.ZodObject;
	readonly query: z.ZodObject;
	readonly body: z.ZodType | null;
	readonly answers: Readonly<Record<number, z.ZodType>>;
	readonly answersAs: Operation["answersAs"];
}

/** zod says of an object without members that it may have none; here that adds nothing. */
type MembersOf<Schema extends z.ZodObject> = keyof Schema["shape"] extends never ? unknown : z.input<Schema>;

/** Members of the path and the query by their names, and the body. */
export type Given<Of extends Row> = MembersOf<Of["path"]> &
	Omit<MembersOf<Of["query"]>, keyof MembersOf<Of["path"]>> &
	(Of["body"] extends z.ZodType
		? Record<never, never> extends z.input<Of["body"]>
			? { readonly body?: z.input<Of["body"]> }
			: { readonly body: z.input<Of["body"]> }
		: unknown);

type MethodOf<Of extends Row> =
	Record<never, never> extends Given<Of>
		? (given?: Given<Of>, options?: CallOptions) => Result<Of>
		: (given: Given<Of>, options?: CallOptions) => Result<Of>;

type Bodies<Of extends Row> = { [Status in keyof Of["answers"]]: z.output<Of["answers"][Status]> }[keyof Of["answers"]];

/** JSON and bytes come whole; streams come one element at a time. */
type Result<Of extends Row> = Of["answersAs"] extends "json"
	? Promise<Bodies<Of>>
	: Of["answersAs"] extends "bytes"
		? Promise<Uint8Array>
		: Of["answersAs"] extends "byte-stream"
			? AsyncIterable<Uint8Array>
			: AsyncIterable<Bodies<Of>>;

/** A list operation, as `everyOne` walks it. */
export type List<Query, Page extends { readonly next_cursor: string | null }> = (
	given: Query & { readonly cursor?: string },
	options?: CallOptions,
) => Promise<Page>;
