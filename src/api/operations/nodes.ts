import { z } from "zod";
import * as wire from "../conduits/schema.ts";
import { operation } from "../operation.ts";

/** What nodes call (conduits sections 2.3 and 2.4). */
const directive = z.object({ directive_id: wire.wireIdSchema });
const command = z.object({ command_id: wire.wireIdSchema });
/** Base64 of 10 MiB and what goes around it. */
const ATTACHMENT_BODY_BYTES = 16 * 1024 * 1024;
/** Base64 of a piece and what goes around it. */
const PIECE_BODY_BYTES = 6 * 1024 * 1024;
const CHUNK_BODY_BYTES = 512 * 1024;
/** Diffs may be as large as a directive's limit allows; receipts hold every connection of a run. */
const REPORT_BODY_BYTES = 64 * 1024 * 1024;

const report = {
	method: "POST",
	effect: "change",
	idempotency: "natural",
	callers: ["directive"],
	path: directive,
	rate: "directive-report",
} as const;

export const nodeOperations = {
	"nodes.enroll": operation({
		summary: "Registers a territory with an enrollment token",
		method: "POST",
		route: "/conduits/v1/territories/enroll",
		effect: "change",
		callers: ["anyone"],
		body: wire.enrollRequestSchema,
		answers: { 201: wire.enrollResponseSchema },
		failures: ["invalid-token", "invalid-param", "validation-failed"],
		rate: "enroll",
	}),
	"nodes.renewCertificate": operation({
		summary: "Gives a territory a new client certificate",
		method: "POST",
		route: "/conduits/v1/territories/certificate",
		effect: "change",
		callers: ["territory"],
		body: wire.renewRequestSchema,
		answers: { 201: wire.renewResponseSchema },
		failures: ["invalid-param"],
		rate: "territory-heartbeat",
	}),
	"nodes.heartbeat": operation({
		summary: "Tells that a territory is there, and what it can do",
		method: "POST",
		route: "/conduits/v1/territories/heartbeat",
		effect: "change",
		idempotency: "natural",
		callers: ["territory"],
		body: wire.territoryHeartbeatRequestSchema,
		answers: { 200: wire.territoryHeartbeatResponseSchema },
		failures: ["validation-failed"],
		rate: "territory-heartbeat",
	}),
	"nodes.poll": operation({
		summary: "Leases directives to a territory",
		method: "POST",
		route: "/conduits/v1/polls",
		effect: "change",
		callers: ["territory"],
		body: wire.pollRequestSchema,
		answers: { 200: wire.pollResponseSchema },
		rate: "poll",
	}),
	"nodes.started": operation({
		...report,
		summary: "Tells that a directive was started",
		route: "/conduits/v1/directives/{directive_id}/started",
		body: wire.startedRequestSchema,
		answers: { 200: wire.startedResponseSchema },
		failures: ["invalid-state"],
	}),
	"nodes.directiveHeartbeat": operation({
		...report,
		summary: "Renews the lease of a running directive",
		route: "/conduits/v1/directives/{directive_id}/heartbeat",
		body: wire.directiveHeartbeatRequestSchema,
		answers: { 200: wire.directiveHeartbeatResponseSchema },
		failures: ["invalid-state"],
	}),
	"nodes.logChunk": operation({
		...report,
		summary: "Stores one chunk of a directive's output",
		route: "/conduits/v1/directives/{directive_id}/log_chunks",
		body: wire.logChunkRequestSchema,
		bodyBytes: CHUNK_BODY_BYTES,
		answers: { 200: wire.logChunkResponseSchema },
		failures: ["invalid-state", "invalid-param"],
		rate: "log-chunk",
	}),
	"nodes.artifact": operation({
		...report,
		summary: "Stores one piece of a file that a directive hands over",
		route: "/conduits/v1/directives/{directive_id}/artifacts",
		body: wire.artifactPieceRequestSchema,
		bodyBytes: PIECE_BODY_BYTES,
		answers: { 200: wire.artifactPieceResponseSchema },
		failures: ["invalid-state", "invalid-param"],
		rate: "log-chunk",
	}),
	"nodes.receipt": operation({
		...report,
		summary: "Stores the receipt of a directive, signed by its territory",
		route: "/conduits/v1/directives/{directive_id}/receipt",
		body: wire.receiptRequestSchema,
		bodyBytes: REPORT_BODY_BYTES,
		answers: { 200: wire.receiptResponseSchema },
		failures: ["invalid-state", "invalid-param"],
	}),
	"nodes.finished": operation({
		...report,
		summary: "Tells how a directive ended",
		route: "/conduits/v1/directives/{directive_id}/finished",
		body: wire.finishedRequestSchema,
		bodyBytes: REPORT_BODY_BYTES,
		answers: { 200: wire.finishedResponseSchema },
		failures: ["invalid-state", "invalid-param"],
	}),
	"nodes.pendingCommands": operation({
		summary: "Hands a territory the commands that wait for it",
		method: "GET",
		route: "/conduits/v1/commands/pending",
		effect: "change",
		callers: ["territory"],
		/** Clamped to 1..20. */
		query: z.object({ max: z.coerce.number().default(5) }),
		answers: { 200: wire.pendingCommandsResponseSchema },
		rate: "poll",
	}),
	"nodes.commandResult": operation({
		summary: "Tells what became of a command",
		method: "POST",
		route: "/conduits/v1/commands/{command_id}/result",
		effect: "change",
		idempotency: "natural",
		callers: ["territory"],
		path: command,
		body: wire.commandResultRequestSchema,
		bodyBytes: ATTACHMENT_BODY_BYTES,
		answers: { 200: wire.commandResultResponseSchema },
		failures: ["not-found", "invalid-state", "invalid-param"],
		rate: "directive-report",
	}),
	"nodes.cancelCommand": operation({
		summary: "Gives back a command that a territory will not run",
		method: "POST",
		route: "/conduits/v1/commands/{command_id}/cancel",
		effect: "change",
		idempotency: "natural",
		callers: ["territory"],
		path: command,
		answers: { 200: wire.commandResultResponseSchema },
		failures: ["not-found", "forbidden"],
		rate: "directive-report",
	}),
};
