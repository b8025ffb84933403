import { defineFailures } from "../core/index.ts";

/** Refusals of the API. On the wire `error` is the code with `_` for `-`, as existing nodes know it (conduits section 2.1). */
export const apiFailures = defineFailures({
	unauthorized: {
		audience: "caller",
		retry: "never",
		status: 401,
		sentence: "{what}: the credential is missing, wrong, expired or revoked. {fix}",
	},
	forbidden: { audience: "caller", retry: "never", status: 403, sentence: "{what}: {reason}." },
	"not-found": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "There is no {kind} {id} in this account.",
	},
	"no-such-route": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence: "{method} {path}: there is no such endpoint. GET /openapi.json lists them.",
	},
	"method-not-allowed": {
		audience: "caller",
		retry: "never",
		status: 405,
		sentence: "{method} {path}: this endpoint takes {allowed}.",
	},
	"invalid-state": { audience: "caller", retry: "never", status: 409, sentence: "{what}: {reason}." },
	"state-conflict": { audience: "caller", retry: "never", status: 409, sentence: "{what}: {reason}." },
	"idempotency-conflict": {
		audience: "caller",
		retry: "never",
		status: 409,
		sentence: "The Idempotency-Key {key} was used for another request. Use a new key for a new request.",
	},
	"body-too-large": {
		audience: "caller",
		retry: "never",
		status: 413,
		sentence: "{method} {path}: the body may have {limit} bytes.",
	},
	"unsupported-media-type": {
		audience: "caller",
		retry: "never",
		status: 415,
		sentence: "{method} {path}: the body must be {expected}, not {given}.",
	},
	"malformed-body": {
		audience: "caller",
		retry: "never",
		status: 400,
		sentence: "{method} {path}: the body is not JSON: {problem}.",
	},
	"missing-parameter": { audience: "caller", retry: "never", status: 400, sentence: "{what} needs `{parameter}`." },
	"validation-failed": { audience: "caller", retry: "never", status: 422, sentence: "{what}: {problems}." },
	"invalid-param": { audience: "caller", retry: "never", status: 422, sentence: "{what}: {problem}." },
	"invalid-token": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "The enrollment token is unknown, expired, revoked or used. Ask an operator for a new one.",
	},
	"no-sign-in": {
		audience: "caller",
		retry: "never",
		status: 404,
		sentence:
			"Signing in: this control plane has no identity provider. Use a token of `vouch tokens create`; `oidc` in its settings sets one up.",
	},
	"sign-in-refused": {
		audience: "caller",
		retry: "never",
		status: 403,
		sentence: "Signing in: {reason}. Nobody was let in; begin again, or ask an owner.",
	},
	"invalid-stream": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "Reading output: `stream` is neither stdout nor stderr. Name one of them.",
	},
	"invalid-after-seq": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence:
			"Reading output: `after_seq` is not a whole number of at least -1. Send the `next_after_seq` of the last answer.",
	},
	"invalid-limit": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "Reading output: `limit` is not a whole number above 0. Leave it out for 200.",
	},
	"command-forbidden": {
		audience: "caller",
		retry: "never",
		status: 422,
		sentence: "The command was refused: {violations}.",
	},
	"policy-forbidden": {
		audience: "caller",
		retry: "never",
		status: 403,
		sentence: "The policies forbid it: {reasons}.",
	},
	"policy-denied": { audience: "caller", retry: "never", status: 403, sentence: "The policies deny it: {reason}." },
	"no-target": {
		audience: "caller",
		retry: "unknown",
		status: 404,
		sentence: "No territory or device offers {capability} where the target says.",
	},
	"rate-limited": {
		audience: "caller",
		retry: "safe",
		status: 429,
		sentence: "Too many requests: at most {requests} in {window}. Ask again after Retry-After seconds.",
	},
	"internal-error": {
		audience: "bug",
		retry: "unknown",
		status: 500,
		sentence: "The server failed at {what}. It is logged as {id}; the operator can look it up.",
	},
	"not-ready": {
		audience: "operator",
		retry: "safe",
		status: 503,
		sentence: "The server can't answer yet: {reason}. Ask again soon.",
	},
});
export type ApiFailure = keyof typeof apiFailures.table;

/** How a code is written in a response. */
export function wireCode(code: ApiFailure): string {
	return code.replaceAll("-", "_");
}
