import type { Operation } from "./operation.ts";
import { accountOperations } from "./operations/account.ts";
import { auditOperations } from "./operations/audit.ts";
import { commandOperations } from "./operations/commands.ts";
import { directiveOperations } from "./operations/directives.ts";
import { facilityOperations } from "./operations/facilities.ts";
import { nodeOperations } from "./operations/nodes.ts";
import { policyOperations } from "./operations/policies.ts";
import { territoryOperations } from "./operations/territories.ts";

/** Every endpoint. What isn't here can't be called. */
export const operations = {
	...nodeOperations,
	...directiveOperations,
	...facilityOperations,
	...territoryOperations,
	...policyOperations,
	...commandOperations,
	...auditOperations,
	...accountOperations,
} as const satisfies Readonly<Record<string, Operation>>;

export type Operations = typeof operations;
export type OperationName = keyof Operations;
