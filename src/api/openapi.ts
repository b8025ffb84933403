import { z } from "zod";
import { type ApiFailure, apiFailures, wireCode } from "./failures.ts";
import type { Operation } from "./operation.ts";
import { operations } from "./operations.ts";

type JsonSchema = Readonly<Record<string, unknown>>;

const MEDIA_TYPES = {
	json: "application/json",
	"event-stream": "text/event-stream",
	bytes: "application/octet-stream",
	"byte-stream": "application/octet-stream",
	jsonl: "application/jsonl",
} as const;

/** Failures that every operation can answer with, beside those of its row. */
const ALWAYS: readonly ApiFailure[] = ["internal-error"];
const NEEDS_CREDENTIAL: readonly ApiFailure[] = ["unauthorized", "forbidden"];
const TAKES_BODY: readonly ApiFailure[] = [
	"malformed-body",
	"body-too-large",
	"unsupported-media-type",
	"validation-failed",
];

/** OpenAPI 3.1 of every operation, made from the rows alone. */
export function openApiDocument(version: string): JsonSchema {
	const paths: Record<string, Record<string, JsonSchema>> = {};
	for (const [name, row] of Object.entries<Operation>(operations)) {
		paths[row.route] = { ...paths[row.route], [row.method.toLowerCase()]: describe(name, row) };
	}
	return {
		openapi: "3.1.0",
		info: { title: "Vouch control plane", version, license: { name: "MIT", identifier: "MIT" } },
		paths,
		components: {
			schemas: { Error: ERROR_SCHEMA, Json: ANY_JSON },
			securitySchemes: {
				token: { type: "http", scheme: "bearer", description: "A token of `vouch tokens create`." },
				territory: { type: "mutualTLS", description: "The client certificate of an enrolled territory." },
				directive: {
					type: "http",
					scheme: "bearer",
					bearerFormat: "JWT",
					description: "The token of a lease, beside the territory's own credential.",
				},
			},
		},
	};
}

/** The one shape of ours that refers to itself. Without a type, a schema takes every value. */
const ANY_JSON: JsonSchema = { description: "Any JSON value." };

const ERROR_SCHEMA: JsonSchema = {
	type: "object",
	required: ["error"],
	properties: {
		error: { type: "string", description: "A stable code." },
		detail: { type: "string", description: "A sentence for people; no part of the contract." },
		details: { type: "array", items: { type: "string" } },
	},
};

function describe(name: string, row: Operation): JsonSchema {
	const [tag = name] = name.split(".");
	return {
		operationId: name,
		summary: row.summary,
		tags: [tag],
		security: securityOf(row),
		"x-effect": row.effect,
		"x-callers": row.callers,
		"x-idempotency": row.idempotency,
		parameters: [
			...parametersOf(row.path, "path"),
			...parametersOf(row.query, "query"),
			...(row.idempotency === "key" ? [IDEMPOTENCY_KEY] : []),
			...(row.answersAs === "event-stream" ? [LAST_EVENT_ID] : []),
		],
		...(row.body === null
			? {}
			: { requestBody: { required: true, content: { "application/json": { schema: schemaOf(row.body, "input") } } } }),
		responses: responsesOf(row),
	};
}

const IDEMPOTENCY_KEY: JsonSchema = {
	name: "Idempotency-Key",
	in: "header",
	required: false,
	description: "The same key again gives the first answer again.",
	schema: { type: "string", minLength: 1, maxLength: 255 },
};

const LAST_EVENT_ID: JsonSchema = {
	name: "Last-Event-ID",
	in: "header",
	required: false,
	description: "The id of the last event that was seen: the stream goes on after it.",
	schema: { type: "string" },
};

function securityOf({ callers }: Operation): readonly JsonSchema[] {
	if (callers.includes("anyone")) return [];
	if (callers.includes("directive")) return [{ territory: [], directive: [] }];
	return [callers.includes("territory") ? { territory: [] } : { token: [] }];
}

function parametersOf(schema: z.ZodObject, place: "path" | "query"): readonly JsonSchema[] {
	return Object.entries<z.ZodType>(schema.shape).map(([name, member]) => ({
		name,
		in: place,
		required: place === "path" || !member.safeParse(undefined).success,
		schema: schemaOf(member, "input"),
	}));
}

function responsesOf(row: Operation): JsonSchema {
	const good = Object.entries(row.answers).map(([status, schema]) => [
		status,
		{ description: row.summary, content: { [MEDIA_TYPES[row.answersAs]]: { schema: schemaOf(schema, "output") } } },
	]);
	const byStatus = Map.groupBy(failuresOf(row), (code) => apiFailures.table[code].status);
	const bad = [...byStatus].map(([status, failures]) => [
		String(status),
		{
			description: failures.map((code) => `\`${wireCode(code)}\`: ${apiFailures.table[code].sentence}`).join("\n"),
			content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
		},
	]);
	return Object.fromEntries([...good, ...bad]);
}

/** What an operation may be refused with: its own failures, and those that its kind has. */
export function failuresOf(row: Operation): readonly ApiFailure[] {
	const hasParameters = [row.path, row.query].some(({ shape }) => Object.keys(shape).length > 0);
	const codes = [
		...row.failures,
		...ALWAYS,
		...(row.callers.includes("anyone") ? [] : NEEDS_CREDENTIAL),
		...(row.body === null ? [] : TAKES_BODY),
		...(hasParameters ? (["validation-failed"] as const) : []),
		...(row.rate === null ? [] : (["rate-limited"] as const)),
	];
	return [...new Set(codes)];
}

export function schemaOf(schema: z.ZodType, io: "input" | "output"): JsonSchema {
	const {
		$schema: _,
		$defs: recursive,
		...rest
	} = z.toJSONSchema(schema, { io, unrepresentable: "any", target: "draft-2020-12" });
	// A reference counts from the document's root, where only `components` has schemas; nothing but JSON itself is recursive.
	return recursive === undefined
		? rest
		: JSON.parse(JSON.stringify(rest).replace(/"#\/\$defs\/\w+"/g, '"#/components/schemas/Json"'));
}
