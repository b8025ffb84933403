import type { CommandRow, Flag } from "../command.ts";
import { jsonFlag } from "../command.ts";

const whereFlags: readonly Flag[] = [
	{ name: "--config", value: "FILE", completes: "file", summary: "the server's settings" },
	{ name: "--store", value: "URL", summary: "sqlite:PATH or postgres://…; default a file in the data folder" },
	{ name: "--data", value: "FOLDER", completes: "directory", summary: "the server's keys, CA and blobs" },
	jsonFlag,
];

export const serverBackupRow: CommandRow = {
	path: ["server", "backup"],
	summary: "copy a control plane while it runs",
	description:
		"Makes a folder that holds one moment of the store, as SQLite whatever the store is, and then the blobs, keys and CA beside it. " +
		"The folder holds secrets: it is readable by this user alone. Blobs on S3 are not copied.",
	operands: [{ name: "FOLDER", summary: "a folder that isn't there yet", presence: "required", completes: "nothing" }],
	flags: whereFlags,
	examples: [
		{ command: "vouch server backup --config server.yaml /backup/monday", says: "Of a server that goes on running:" },
	],
	load: async () => (await import("./server-backup.ts")).serverBackupAction,
};

export const serverRotateKeyRow: CommandRow = {
	path: ["server", "rotate-key"],
	summary: "make a control plane sign with a new key",
	description:
		"The old key signs for the new one, in the journal and for the nodes, which then take decisions of both; receipts and journal stay as " +
		"they are. Restart the control plane afterwards. Where several share a store, copy the folder `keys` to each before. The old private key " +
		"is gone; to make nodes take nothing of it any more, name the new one in their settings.",
	operands: [],
	flags: whereFlags,
	examples: [{ command: "vouch server rotate-key --config server.yaml", says: "Then restart it:" }],
	load: async () => (await import("./server-backup.ts")).serverRotateKeyAction,
};

export const serverRestoreRow: CommandRow = {
	path: ["server", "restore"],
	summary: "put a backup in the place of a control plane that has nothing",
	description:
		"Reads a backup through, checks its journal, and puts it where the settings say: into another kind of store too. Nothing is " +
		"overwritten, and no server must run there.",
	operands: [{ name: "FOLDER", summary: "what `vouch server backup` made", presence: "required", completes: "file" }],
	flags: whereFlags,
	examples: [
		{
			command: "vouch server restore --store postgres://vouch@db/vouch /backup/monday",
			says: "From SQLite to PostgreSQL:",
		},
	],
	load: async () => (await import("./server-backup.ts")).serverRestoreAction,
};
