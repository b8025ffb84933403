import Fastify, {
	type FastifyBaseLogger,
	type FastifyInstance,
	type FastifyReply,
	type FastifyRequest,
	LogController,
} from "fastify";
import type { z } from "zod";
import { docsPage, type Operation, type OperationName, openApiDocument, operations } from "../../api/index.ts";
import { newId, VouchError } from "../../core/index.ts";
import type { Store } from "../store/store.ts";
import type { TerritoryRow } from "../store/tables.ts";
import type { Admission } from "./admission.ts";
import { auditedCall } from "./audited.ts";
import type { Context, Handlers, StreamAnswer } from "./handlers.ts";
import type { Identity } from "./identity.ts";
import { bodyOf, isRefusal, refusal, refusedTo, territoryRefused } from "./refusal.ts";
import { RefusedNodes } from "./refused-nodes.ts";
import { storable } from "./storable.ts";

export interface ApiParts {
	readonly store: Store;
	readonly handlers: Handlers;
	readonly admission: Admission;
	readonly nowMs: () => number;
	readonly log: FastifyBaseLogger;
	/** Of Vouch, as the OpenAPI document says it. */
	readonly version: string;
	/** Addresses and CIDR ranges whose `X-Forwarded-For` is believed: limits by address and audit then see who is behind them. */
	readonly trustedProxies: readonly string[];
	/** Own TLS, with client certificates asked for and judged by `authentication`; null behind a proxy or on loopback. */
	readonly tls: { readonly key: string; readonly cert: string; readonly ca: string } | null;
}

/** Made once: an error of its own for each request would cost more than reading the request. */
const GONE = new Error("the client is gone");
/** The page holds its style and nothing else: whatever else a browser might find in it is neither loaded nor run. */
const DOCS_HEADERS = {
	"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
	"x-content-type-options": "nosniff",
	"referrer-policy": "no-referrer",
};
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;

/** The HTTP server of all operations. Checks come in this order: route, method, credential, rate, role, type, size, form. */
export function createApi(parts: ApiParts): FastifyInstance {
	const app = Fastify({
		loggerInstance: parts.log,
		logController: new LogController({ disableRequestLogging: true }),
		genReqId: () => newId(parts.nowMs()),
		requestTimeout: REQUEST_TIMEOUT_MS,
		connectionTimeout: 0,
		bodyLimit: 1,
		trustProxy: parts.trustedProxies.length === 0 ? false : [...parts.trustedProxies],
		routerOptions: { maxParamLength: 128 },
		...(parts.tls === null ? {} : { https: { ...parts.tls, requestCert: true, rejectUnauthorized: false } }),
	}) as FastifyInstance;
	app.server.headersTimeout = HEADERS_TIMEOUT_MS;
	// JSON is all that any of them takes; Fastify would take text too.
	app.removeContentTypeParser("text/plain");
	const identities = new WeakMap<FastifyRequest, Identity>();
	for (const [name, row] of Object.entries<Operation>(operations)) {
		app.route({
			method: row.method,
			url: row.route.replace(/\{(\w+)\}/g, ":$1"),
			bodyLimit: row.bodyBytes,
			onRequest: async (request) => {
				identities.set(request, await parts.admission.admit(row, request));
			},
			handler: (request, reply) =>
				answer(parts, name as OperationName, row, identities.get(request) ?? { kind: "anyone" }, request, reply),
		});
	}
	refuseOtherMethods(app);
	const document = JSON.stringify(openApiDocument(parts.version));
	app.get("/openapi.json", (_request, reply) => reply.type("application/json; charset=utf-8").send(document));
	const page = docsPage(parts.version);
	app.get("/docs", (_request, reply) => reply.headers(DOCS_HEADERS).type("text/html; charset=utf-8").send(page));
	app.get("/up", async () => ({ ok: true }));
	app.setNotFoundHandler((request) => {
		throw refusal("no-such-route", { method: request.method, path: pathOf(request) });
	});
	const refusedNodes = new RefusedNodes(parts.store);
	app.setErrorHandler(async (error, request, reply) => {
		const territory = territoryRefused(error);
		if (territory !== undefined) await noteRefusal(refusedNodes, territory, error, request, parts.nowMs());
		return fail(error, request, reply);
	});
	return app;
}

/** A refusal stays one when it can't be audited; that is logged. */
async function noteRefusal(
	refused: RefusedNodes,
	territory: TerritoryRow,
	error: unknown,
	request: FastifyRequest,
	nowMs: number,
): Promise<void> {
	const { directive_id: directiveId } = request.params as Record<string, string | undefined>;
	const what = `${request.method} ${pathOf(request)}`;
	const report = { territory, directiveId: directiveId ?? null, what, address: request.ip };
	await refused.note(report, error, nowMs).catch((problem) => request.log.error({ err: problem }, "not audited"));
}

async function answer(
	parts: ApiParts,
	name: OperationName,
	row: Operation,
	identity: Identity,
	request: FastifyRequest,
	reply: FastifyReply,
): Promise<unknown> {
	const input = {
		path: parsed(row.path, request.params),
		query: parsed(row.query, request.query),
		body: bodyFor(row, request),
	};
	const gone = new AbortController();
	reply.raw.once("close", () => gone.abort(GONE));
	const { "idempotency-key": key, "last-event-id": eventId } = request.headers;
	const context: Omit<Context, "note"> = {
		identity,
		store: parts.store,
		idempotencyKey: typeof key === "string" ? key : null,
		lastEventId: typeof eventId === "string" ? eventId : null,
		address: request.ip,
		signal: gone.signal,
	};
	// Each handler takes its own row's input: the table says so, and the parsing above made it so.
	const handler = parts.handlers[name] as (context: Context, given: typeof input) => Promise<unknown>;
	const result = await auditedCall(name, row, context, (audited) => handler(audited, input)).catch((error: unknown) => {
		const isNode = identity.kind === "territory" || identity.kind === "directive";
		throw isNode && isRefusal(error) ? refusedTo(identity.territory, error) : error;
	});
	if (row.answersAs !== "json") {
		const { contentType, headers, stream } = result as StreamAnswer;
		return reply
			.code(200)
			.headers({ ...headers, "content-type": contentType })
			.send(stream);
	}
	const { status, body } = result as { status: number; body: unknown };
	return reply.code(status).send(body);
}

function bodyFor(row: Operation, request: FastifyRequest): unknown {
	if (row.body === null) return null;
	const isReport = row.callers.includes("territory") || row.callers.includes("directive");
	return parsed(row.body, request.body ?? {}, isReport ? "replaced" : "refused");
}

/** Members that don't fit, each named: 422. */
function parsed<Schema extends z.ZodType>(
	schema: Schema,
	given: unknown,
	odd: "refused" | "replaced" = "refused",
): z.output<Schema> {
	const kept = storable(given, odd);
	const result = "value" in kept ? schema.safeParse(kept.value) : undefined;
	if (result?.success) return result.data;
	const issues = result?.error?.issues ?? [];
	const problems =
		"value" in kept
			? issues.map(({ path, message }) => `${path.join(".") || "the body"}: ${message}`)
			: [`${kept.at || "the body"}: ${kept.problem}`];
	throw refusal("validation-failed", { what: "The request", problems: problems.join("; ") }, { details: problems });
}

function pathOf(request: FastifyRequest): string {
	return request.url.split("?", 1)[0] ?? "";
}

/** 405 with Allow for every route that is there with other methods. */
function refuseOtherMethods(app: FastifyInstance): void {
	const byRoute = Map.groupBy(Object.values<Operation>(operations), ({ route }) => route);
	const all = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"] as const;
	for (const [route, rows] of byRoute) {
		const methods = new Set<string>(rows.map(({ method }) => method));
		if (methods.has("GET")) methods.add("HEAD");
		const allowed = [...methods];
		const refused = all.filter((method) => !methods.has(method));
		app.route({
			method: refused,
			url: route.replace(/\{(\w+)\}/g, ":$1"),
			onRequest: async (request) => {
				const at = { method: request.method, path: pathOf(request) };
				const error = refusal("method-not-allowed", { ...at, allowed: allowed.join(", ") });
				throw Object.assign(error, { headers: { allow: allowed.join(", ") } });
			},
			handler: async () => undefined,
		});
	}
}

async function fail(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
	const refused = asRefusal(error, request);
	if (refused !== undefined) {
		const { headers } = refused as { headers?: Record<string, string> };
		return reply
			.code(refused.row.status)
			.headers(headers ?? {})
			.send(bodyOf(refused));
	}
	request.log.error({ err: error }, "request failed");
	// What is the operator's to mend, and may work soon: a node keeps its report and sends it again.
	if (error instanceof VouchError && error.row.status === 503)
		return reply.code(503).send(bodyOf(refusal("not-ready", { reason: "a part that it needs does not answer" })));
	const what = `${request.method} ${pathOf(request)}`;
	return reply.code(500).send(bodyOf(refusal("internal-error", { what, id: request.id })));
}

/** Fastify's own refusals of a body, in our words. */
function asRefusal(error: unknown, request: FastifyRequest): VouchError | undefined {
	if (isRefusal(error)) return error;
	const { code } = error as { code?: string };
	const at = { method: request.method, path: pathOf(request) };
	if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
		return refusal("body-too-large", { ...at, limit: String(request.routeOptions.bodyLimit ?? 0) });
	if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") {
		const given = request.headers["content-type"] ?? "nothing";
		return refusal("unsupported-media-type", { ...at, expected: "application/json", given });
	}
	const isJsonProblem = error instanceof SyntaxError || code?.startsWith("FST_ERR_CTP_") === true;
	if (isJsonProblem) return refusal("malformed-body", { ...at, problem: (error as Error).message });
	if (error instanceof VouchError && error.row.audience === "caller")
		return refusal("validation-failed", { what: "The request", problems: error.message });
	return undefined;
}
