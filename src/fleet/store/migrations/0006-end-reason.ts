import type { Migration } from "../migration.ts";

/** Why a directive ended that no node ended, and what finds those that nobody answers. */
export const endReason: Migration = {
	version: 6,
	name: "end-reason",
	statements: () => [
		"alter table directives add column end_reason text",
		"create index directives_unanswered on directives (created_at) where state = 'awaiting_approval'",
	],
};
