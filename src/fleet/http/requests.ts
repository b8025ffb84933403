import type { FastifyBaseLogger } from "fastify";
import type { z } from "zod";
import { type Operation, type OperationName, operations } from "../../api/index.ts";
import type { Store } from "../store/store.ts";
import type { Admission, Request } from "./admission.ts";
import { auditedCall } from "./audited.ts";
import type { Context, Handlers, StreamAnswer } from "./handlers.ts";
import type { Identity } from "./identity.ts";
import { isRefusal, refusal, refusedTo, territoryRefused } from "./refusal.ts";
import { RefusedNodes } from "./refused-nodes.ts";
import { storable } from "./storable.ts";

/** What it says when it is let in. */
export interface Said {
	readonly query: unknown;
	readonly body: unknown;
	/** Aborted when the client is gone. */
	readonly signal: AbortSignal;
}

/** What is asked within this process. */
export interface OwnRequest {
	readonly params?: Readonly<Record<string, string>>;
	readonly headers: Readonly<Record<string, string>>;
	readonly query?: unknown;
	readonly body?: unknown;
}

export type Answered = StreamAnswer | { readonly status: number; readonly body: unknown };

export interface RequestsParts {
	readonly store: Store;
	readonly handlers: Handlers;
	readonly admission: Admission;
	readonly nowMs: () => number;
	readonly log: FastifyBaseLogger;
}

const LOOPBACK = "127.0.0.1";
const NEVER = new AbortController().signal;

/** The way of every request once its row is known: credential, rate, role, form, and its handler between two audit entries. */
export class Requests {
	readonly #parts: RequestsParts;
	readonly #refusedNodes: RefusedNodes;

	constructor(parts: RequestsParts) {
		this.#parts = parts;
		this.#refusedNodes = new RefusedNodes(parts.store);
	}

	/** Who is asking. Throws refusals. */
	admit(row: Operation, request: Request): Promise<Identity> {
		return this.#parts.admission.admit(row, request);
	}

	/** Throws refusals, and whatever broke. */
	async perform(name: OperationName, identity: Identity, request: Request, said: Said): Promise<Answered> {
		const row: Operation = operations[name];
		const input = {
			path: parsed(row.path, request.params),
			query: parsed(row.query, said.query),
			body: bodyOf(row, said),
		};
		const { "idempotency-key": key, "last-event-id": eventId } = request.headers;
		const context: Omit<Context, "note"> = {
			identity,
			store: this.#parts.store,
			idempotencyKey: typeof key === "string" ? key : null,
			lastEventId: typeof eventId === "string" ? eventId : null,
			address: request.address,
			signal: said.signal,
		};
		// Each handler takes its own row's input: the table says so, and the parsing above made it so.
		const handler = this.#parts.handlers[name] as (context: Context, given: typeof input) => Promise<Answered>;
		try {
			return await auditedCall(name, row, context, (audited) => handler(audited, input));
		} catch (error) {
			const isNode = identity.kind === "territory" || identity.kind === "directive";
			throw isNode && isRefusal(error) ? refusedTo(identity.territory, error) : error;
		}
	}

	/** What a known territory was refused is audited. A refusal stays one when it can't be; that is logged. */
	async refused(error: unknown, request: Request): Promise<void> {
		const territory = territoryRefused(error);
		if (territory === undefined) return;
		const what = `${request.method} ${request.path}`;
		const report = { territory, directiveId: request.params.directive_id ?? null, what, address: request.address };
		const { nowMs, log } = this.#parts;
		await this.#refusedNodes
			.note(report, error, nowMs())
			.catch((problem) => log.error({ err: problem }, "not audited"));
	}

	/** All of it, for whoever is in this process: as from loopback, and what is thrown is thrown. */
	async ask(name: OperationName, { params = {}, headers, query = {}, body }: OwnRequest): Promise<Answered> {
		const row: Operation = operations[name];
		const from = { address: LOOPBACK, peer: LOOPBACK, clientCertificate: null };
		const request = { method: row.method, path: row.route, params, headers, ...from };
		try {
			return await this.perform(name, await this.admit(row, request), request, { query, body, signal: NEVER });
		} catch (error) {
			await this.refused(error, request);
			throw error;
		}
	}
}

function bodyOf(row: Operation, { body }: Said): unknown {
	if (row.body === null) return null;
	const isReport = row.callers.includes("territory") || row.callers.includes("directive");
	return parsed(row.body, body ?? {}, isReport ? "replaced" : "refused");
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
