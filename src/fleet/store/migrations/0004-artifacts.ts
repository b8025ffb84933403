import type { Migration } from "../migration.ts";

/** Files that directives handed over, in pieces that are blobs. */
export const artifacts: Migration = {
	version: 4,
	name: "artifacts",
	statements: () => [
		`create table artifacts (id text primary key, directive_id text not null references directives(id), lease_id text,
			name text not null, digest text not null, size_bytes bigint not null, received_bytes bigint not null,
			created_at bigint not null, unique (directive_id, name))`,
		"create index artifacts_age on artifacts (created_at)",
		`create table artifact_pieces (artifact_id text not null references artifacts(id), position bigint not null,
			digest text not null, primary key (artifact_id, position))`,
		"create index artifact_pieces_digest on artifact_pieces (digest)",
	],
};
