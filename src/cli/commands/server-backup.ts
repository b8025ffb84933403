import { join } from "node:path";
import { formatPublicKey } from "../../evidence/index.ts";
import type { Action, FlagValues } from "../command.ts";
import { backupServer, restoreServer, rotateServerKey } from "../fleet/backup.ts";
import { ownDirectories } from "../node-keys.ts";
import { printJson } from "../screen.ts";
import { serverSettings } from "../settings/server-settings.ts";
import { readSettings } from "../settings/settings.ts";

export const serverBackupAction: Action = async ({ operands, flags }) => {
	const contents = await backupServer(placeOf(flags), operands[0] ?? "");
	if (flags.has("--json")) printJson(contents);
	else
		process.stdout.write(
			`Backed up to ${contents.path}: ${contents.directives} directives, ${contents.auditEvents} audit events, ${contents.journalEntries} entries of the journal.\n`,
		);
	return 0;
};

export const serverRestoreAction: Action = async ({ operands, flags }) => {
	const contents = await restoreServer(operands[0] ?? "", placeOf(flags));
	if (flags.has("--json")) printJson(contents);
	else
		process.stdout.write(
			`Restored: ${contents.directives} directives, ${contents.auditEvents} audit events; all ${contents.journalEntries} entries of the journal fit.\n`,
		);
	return 0;
};

export const serverRotateKeyAction: Action = async ({ flags }) => {
	const { before, after } = await rotateServerKey(placeOf(flags));
	if (flags.has("--json")) printJson({ before: before.keyId, after: after.keyId, publicKey: formatPublicKey(after) });
	else
		process.stdout.write(
			`${formatPublicKey(after)}\nsigns from its next start on; ${before.keyId} named it, and stays trusted for what it signed.\n`,
		);
	return 0;
};

/** Where a server keeps things, as `vouch server` itself would find it. */
function placeOf(flags: FlagValues) {
	const file = flags.text("--config") ?? null;
	const { values } = readSettings(serverSettings, { file, flags, environment: process.env });
	const directory = values.dataDirectory || join(ownDirectories().data, "server");
	return { directory, store: values.store || `sqlite:${join(directory, "store.sqlite")}` };
}
