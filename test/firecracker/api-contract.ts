import { readFileSync } from "node:fs";
import { Ajv, type ValidateFunction } from "ajv";
import { parse } from "yaml";

/** Swagger 2.0, as far as Firecracker's definition uses it. */
interface Definition {
	readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
	readonly definitions: Readonly<Record<string, unknown>>;
}

interface Operation {
	readonly parameters?: readonly { readonly in: string; readonly name: string; readonly schema?: unknown }[];
	readonly responses: Readonly<Record<string, { readonly schema?: unknown }>>;
	readonly description?: string;
	readonly summary?: string;
}

export interface Request {
	readonly method: string;
	readonly path: string;
	readonly body: unknown;
}

const definition: Definition = parse(
	readFileSync(new URL("../fixtures/firecracker/api.yaml", import.meta.url), "utf8"),
);
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: "api", definitions: closed(definition.definitions) });
const validators = new Map<unknown, ValidateFunction>();

/** Nothing that the definition does not name: Firecracker refuses unknown members too, which JSON Schema does not by itself. */
function closed(schema: unknown): unknown {
	if (Array.isArray(schema)) return schema.map(closed);
	if (typeof schema !== "object" || schema === null) return schema;
	const copied = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
	const isObject = copied.type === "object" && "properties" in copied && !("additionalProperties" in copied);
	return isObject ? { ...copied, additionalProperties: false } : copied;
}

/** What is wrong with a request by the published definition; nothing when it is valid. */
export function violationsOf(request: Request): readonly string[] {
	const found = operationOf(request);
	if (found === undefined) return [`there is no ${request.method} ${request.path}`];
	const body = found.operation.parameters?.find((parameter) => parameter.in === "body");
	if (body?.schema === undefined) return request.body === undefined ? [] : ["it takes no body"];
	const validate = validatorOf(body.schema);
	const wrong = validate(request.body) ? [] : (validate.errors ?? []);
	return [
		...wrong.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`),
		...found.names.flatMap(([name, value]) => {
			const said = (request.body as Record<string, unknown> | undefined)?.[name];
			return said === undefined || said === value
				? []
				: [`${name} is ${String(said)} in the body and ${value} in the path`];
		}),
	];
}

/** Whether the definition says that a machine that runs refuses it, or one that does not. */
export function phaseOf(request: Request): "before-start" | "after-start" | "any" {
	const { description = "", summary = "" } = operationOf(request)?.operation ?? {};
	if (/Pre-boot only/i.test(summary)) return "before-start";
	return /Post-boot only/i.test(summary + description) ? "after-start" : "any";
}

/** Whether an answer of that status and body is one that the definition has. */
export function isAnswer(request: Request, status: number, body: unknown): boolean {
	const responses = operationOf(request)?.operation.responses ?? {};
	const response = responses[String(status)] ?? (status >= 400 ? responses.default : undefined);
	if (response === undefined) return false;
	return response.schema === undefined ? body === undefined : validatorOf(response.schema)(body) === true;
}

function validatorOf(schema: unknown): ValidateFunction {
	const known = validators.get(schema);
	if (known !== undefined) return known;
	const absolute = JSON.parse(JSON.stringify(closed(schema)).replaceAll('"#/definitions/', '"api#/definitions/'));
	const made = ajv.compile(absolute);
	validators.set(schema, made);
	return made;
}

function operationOf(
	request: Request,
): { operation: Operation; names: readonly (readonly [string, string])[] } | undefined {
	const parts = request.path.split("/");
	for (const [template, methods] of Object.entries(definition.paths)) {
		const wanted = template.split("/");
		const operation = methods[request.method.toLowerCase()];
		if (operation === undefined || wanted.length !== parts.length) continue;
		const pairs = wanted.map((part, index) => [part, parts[index] ?? ""] as const);
		const isVariable = (part: string) => /^\{\w+\}$/.test(part);
		if (!pairs.every(([part, value]) => (isVariable(part) ? value !== "" : part === value))) continue;
		const names = pairs
			.filter(([part]) => isVariable(part))
			.map(([part, value]) => [part.slice(1, -1), value] as const);
		return { operation, names };
	}
	return undefined;
}
