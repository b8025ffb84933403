import Fastify, {
	type FastifyBaseLogger,
	type FastifyInstance,
	type FastifyReply,
	type FastifyRequest,
	LogController,
} from "fastify";
import { docsPage, type Operation, type OperationName, openApiDocument, operations } from "../../api/index.ts";
import { newId, VouchError } from "../../core/index.ts";
import type { Request } from "./admission.ts";
import { clientCertificateOf } from "./client-certificate.ts";
import type { Identity } from "./identity.ts";
import { bodyOf, isRefusal, refusal } from "./refusal.ts";
import type { Requests } from "./requests.ts";

export interface ApiParts {
	readonly requests: Requests;
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

interface Admitted {
	readonly shown: Request;
	readonly identity: Identity;
}

/** The HTTP server of all operations. Checks come in this order: route, method, credential, rate, role, type, size, form. */
export function createApi(parts: ApiParts): FastifyInstance {
	const { requests } = parts;
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
	const admitted = new WeakMap<FastifyRequest, Admitted>();
	for (const [name, row] of Object.entries<Operation>(operations)) {
		app.route({
			method: row.method,
			url: row.route.replace(/\{(\w+)\}/g, ":$1"),
			bodyLimit: row.bodyBytes,
			onRequest: async (request) => {
				const shown = shownBy(request);
				admitted.set(request, { shown, identity: await requests.admit(row, shown) });
			},
			handler: (request, reply) =>
				answer(requests, name as OperationName, admitted.get(request) as Admitted, request, reply),
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
	app.setErrorHandler(async (error, request, reply) => {
		await requests.refused(error, shownBy(request));
		return fail(error, request, reply);
	});
	return app;
}

/** Before its body is read. */
function shownBy(request: FastifyRequest): Request {
	return {
		method: request.method,
		path: pathOf(request),
		params: request.params as Request["params"],
		headers: request.headers,
		address: request.ip,
		peer: request.raw.socket.remoteAddress ?? "",
		clientCertificate: clientCertificateOf(request.raw.socket),
	};
}

async function answer(
	requests: Requests,
	name: OperationName,
	{ identity, shown }: Admitted,
	request: FastifyRequest,
	reply: FastifyReply,
): Promise<unknown> {
	const gone = new AbortController();
	reply.raw.once("close", () => gone.abort(GONE));
	const { query, body } = request;
	const answered = await requests.perform(name, identity, shown, { query, body, signal: gone.signal });
	if (!("stream" in answered)) return reply.code(answered.status).send(answered.body);
	const { contentType, headers, stream } = answered;
	return reply
		.code(200)
		.headers({ ...headers, "content-type": contentType })
		.send(stream);
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
