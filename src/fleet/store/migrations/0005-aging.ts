import type { Migration } from "../migration.ts";

/** What finds diffs and blobs that are old. */
export const aging: Migration = {
	version: 5,
	name: "aging",
	statements: () => [
		"create index blobs_age on blobs (created_at)",
		"create index directives_diff on directives (diff_digest) where diff_digest is not null",
		"create index directives_diff_age on directives (finished_at) where diff_digest is not null",
	],
};
