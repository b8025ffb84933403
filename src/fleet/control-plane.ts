import type { Server, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import type { OperationName } from "../api/index.ts";
import { accountHandlers } from "./account/handlers.ts";
import { signInHandlers } from "./account/sign-in.ts";
import { artifactHandlers } from "./artifacts/people.ts";
import { receiveArtifact } from "./artifacts/receive.ts";
import { auditHandlers } from "./audit/handlers.ts";
import { Cable } from "./cable/cable.ts";
import { commandHandlers } from "./commands/handlers.ts";
import { nodeCommandHandlers } from "./commands/node-handlers.ts";
import { approve, cancel, reject } from "./directives/answers.ts";
import { createDirective } from "./directives/create.ts";
import { finished } from "./directives/finished.ts";
import { directivePeopleHandlers } from "./directives/people.ts";
import { poll } from "./directives/poll.ts";
import { directiveHeartbeat, started } from "./directives/started.ts";
import { enroll, renewCertificate } from "./enrollment/enroll.ts";
import { enrollmentTokenHandlers } from "./enrollment/tokens.ts";
import { facilityHandlers } from "./facilities.ts";
import { Admission } from "./http/admission.ts";
import { Authentication, type AuthSettings } from "./http/authenticate.ts";
import type { Handlers } from "./http/handlers.ts";
import { type Answered, type OwnRequest, Requests } from "./http/requests.ts";
import { type ApiParts, createApi } from "./http/server.ts";
import { oneRound, schedule } from "./jobs/schedule.ts";
import { journalHandlers } from "./journal/handlers.ts";
import { logChunk } from "./logs/log-chunk.ts";
import { tail } from "./logs/tail.ts";
import { policyHandlers } from "./policies/handlers.ts";
import { receiveReceipt } from "./receipts/receive.ts";
import type { Services } from "./services.ts";
import type { Store } from "./store/store.ts";
import { entityHandlers } from "./territories/entities.ts";
import { territoryHandlers } from "./territories/handlers.ts";
import { heartbeat } from "./territories/heartbeat.ts";

export interface ControlPlaneParts {
	readonly store: Store;
	readonly services: Services;
	readonly auth: AuthSettings;
	readonly tls: ApiParts["tls"];
	/** None when nobody says: what a client claims of its address is not believed. */
	readonly trustedProxies?: readonly string[];
	readonly version: string;
	readonly log: FastifyBaseLogger;
	readonly nowMs: () => number;
	/** `by-hand` leaves them to `runJobs`: for programs that have a clock of their own. Default `scheduled`. */
	readonly jobs?: "scheduled" | "by-hand";
}

export interface ControlPlane {
	readonly app: FastifyInstance;
	/** Does what an HTTP request would, for whoever is in this process; throws what that would be refused with. */
	ask(name: OperationName, request: OwnRequest): Promise<Answered>;
	/** Listens; answers the port. */
	listen(at: { readonly host: string; readonly port: number }): Promise<number>;
	runJobs(): Promise<void>;
	/** Ends what runs: territories are told to come again, requests are answered, jobs finish. The store stays open. */
	close(): Promise<void>;
}

/** Every operation and who handles it. */
function handlersOf(services: Services): Handlers {
	return {
		"nodes.enroll": enroll(services),
		"nodes.renewCertificate": renewCertificate(services),
		"nodes.heartbeat": heartbeat(services),
		"nodes.poll": poll(services),
		"nodes.started": started(services),
		"nodes.directiveHeartbeat": directiveHeartbeat(services),
		"nodes.logChunk": logChunk(services),
		"nodes.artifact": receiveArtifact(services),
		"nodes.receipt": receiveReceipt(services),
		"nodes.finished": finished(services),
		...nodeCommandHandlers(services),
		"directives.create": createDirective(services),
		"directives.approve": approve(services),
		"directives.approveInFacility": approve(services),
		"directives.reject": reject(),
		"directives.rejectInFacility": reject(),
		"directives.cancel": cancel(),
		"directives.tail": tail,
		...directivePeopleHandlers(services),
		...artifactHandlers(services),
		...facilityHandlers,
		...territoryHandlers,
		...entityHandlers,
		...enrollmentTokenHandlers,
		...policyHandlers,
		...commandHandlers(services),
		...auditHandlers,
		...journalHandlers(services),
		...accountHandlers,
		...signInHandlers(services),
	};
}

export function createControlPlane(parts: ControlPlaneParts): ControlPlane {
	const { store, services, auth, tls, version, log, nowMs } = parts;
	const { trustedProxies = [] } = parts;
	const authentication = new Authentication(store, services.tokens, { ...auth, trustedProxies }, nowMs);
	const handlers = handlersOf(services);
	const admission = new Admission(authentication, nowMs);
	const requests = new Requests({ store, handlers, admission, nowMs, log });
	const app = createApi({ requests, nowMs, log, tls, trustedProxies, version });
	const path = services.settings.cableUrl.startsWith("/") ? services.settings.cableUrl : "/cable";
	const cable = new Cable({ store, services, authentication, log, path });
	cable.attach(app.server);
	const answering = new Set<ServerResponse>();
	app.server.on("request", (_request, response) => {
		answering.add(response);
		response.once("close", () => answering.delete(response));
	});
	let stopJobs = async (): Promise<void> => {};
	return {
		app,
		ask: (name, request) => requests.ask(name, request),
		listen: async (at) => {
			await app.listen(at);
			// Not before: one that has no port does nothing.
			if (parts.jobs !== "by-hand") stopJobs = schedule(store, services, log);
			const address = app.server.address();
			return typeof address === "object" && address !== null ? address.port : at.port;
		},
		runJobs: () => oneRound(store, services),
		close: async () => {
			await cable.close();
			const quiet = setInterval(() => endConnections(app.server, answering), 50);
			await app.close().finally(() => clearInterval(quiet));
			await stopJobs();
		},
	};
}

/**
 * While a server closes. Who follows output would follow it to its end: they ask again, wherever they then find an answer. And a
 * connection on which nothing was asked yet counts as busy: it would be waited for until its time to ask is over.
 */
function endConnections(server: Server, answering: ReadonlySet<ServerResponse>): void {
	for (const response of answering)
		if (String(response.getHeader("content-type")).startsWith("text/event-stream")) response.destroy();
	if (answering.size === 0) server.closeAllConnections();
}
