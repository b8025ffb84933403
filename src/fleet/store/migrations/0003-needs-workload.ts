import type { Migration } from "../migration.ts";

/** Which directives only a node that runs the workload itself can run: the specification of existing nodes can't say all of them. */
export const needsWorkload: Migration = {
	version: 3,
	name: "needs-workload",
	statements: () => ["alter table directives add column needs_workload integer not null default 0"],
};
