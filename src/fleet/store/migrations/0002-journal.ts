import type { Migration } from "../migration.ts";

/** The journal of a fleet: one, in the store, whoever appends. Until now each control plane had one of its own beside it. */
export const journal: Migration = {
	version: 2,
	name: "journal",
	statements: ({ bytes }) => [
		// One row; whoever appends locks it.
		"create table journal_heads (id integer primary key, size bigint not null, checkpoint text)",
		"insert into journal_heads (id, size) values (1, 0)",
		"create table journal_entries (leaf_index bigint primary key, entry text not null)",
		`create table journal_hashes (level integer not null, position bigint not null, hash ${bytes} not null,
			primary key (level, position))`,
		// What they named was a place in another journal.
		"update audit_events set journal_index = null",
		"create index directives_ready_facility on directives (facility_id) where ready = 1",
		`create index directives_unreceipted on directives (finished_at)
			where receipt_digest is null and attempts > 0 and state in ('succeeded', 'failed', 'canceled', 'timed_out')`,
	],
};
