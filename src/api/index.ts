/**
 * api: the contract between nodes, people, programs and the control plane: one table of operations.
 *
 * Hides     nothing: it is data, but for the OpenAPI document, the page for people and the client that are made from it.
 * Promises  each endpoint is one row of `operations`; server, client, command line, OpenAPI and tests derive from it. Wire
 *           names and shapes of existing nodes never change (conduits specification).
 * Never     decides, stores or touches anything.
 * Start at  `operation.ts`, the row; `operations.ts`, the table; `conduits/schema.ts` and `people/schema.ts`, the shapes.
 */
export {
	type CallOptions,
	type Client,
	type ClientSettings,
	connect,
	everyPage,
	followLogs,
	type LogEvent,
} from "./client/index.ts";
export { isOlder } from "./conduits/version.ts";
export {
	type DescribedDirective,
	DIRECTIVE_VARIABLES,
	facilitySource,
	imageProblem,
	needsWorkload,
	WORKLOAD_SCHEMA,
	workingDirectoryOf,
	workloadOf,
} from "./conduits/workload.ts";
export { docsPage } from "./docs-page.ts";
export { type ApiFailure, apiFailures, wireCode } from "./failures.ts";
export { openApiDocument } from "./openapi.ts";
export { type Answer, type Caller, type Input, type Operation, ORDINARY_BODY_BYTES } from "./operation.ts";
export { type OperationName, type Operations, operations } from "./operations.ts";
export { auditDigest } from "./people/audit-digest.ts";
export { RATES, type Rate, type RateName } from "./rates.ts";
