import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Enrolling, enroll } from "../../agent/index.ts";
import { formatPublicKey } from "../../evidence/index.ts";
import { openKeyStore } from "../../journal/index.ts";
import { fail } from "../failures.ts";
import { privateDirectory } from "../node-keys.ts";
import { agentSettings } from "../settings/agent-settings.ts";

/** What a node is started with, by the keys of `agent-settings.ts`. */
export function settingsFile(directory: string): string {
	return join(directory, "agent.yaml");
}

export interface EnrollingHere extends Omit<Enrolling, "receiptKey" | "ca"> {
	/** Made when it is not there; becomes the node's data folder. */
	readonly directory: string;
	/** Who may have signed the server's certificate, and the file that says so; null trusts what the system trusts. */
	readonly ca: { readonly path: string; readonly pem: string } | null;
}

/**
 * Makes a folder a territory's: its key for receipts, its certificate, its settings. The settings come last: with them there, all
 * of it is. Answers the territory's id.
 */
export async function enrollHere({ directory, ca, ...enrolling }: EnrollingHere): Promise<string> {
	privateDirectory(directory);
	const path = settingsFile(directory);
	if (existsSync(path)) throw fail("cli.agent-enrolled", { path });
	const { stringify } = await import("yaml");
	const receiptKey = openKeyStore(privateDirectory(join(directory, "keys"))).signer().publicKey;
	const enrolled = await enroll({ ...enrolling, ca: ca?.pem ?? null, receiptKey });
	const credentials = join(directory, "client.pem");
	if (enrolled.credentials !== null) writeWhole(credentials, enrolled.credentials);
	const certificate =
		enrolled.credentials === null ? {} : { client_cert_file: credentials, client_key_file: credentials };
	const settings = {
		server_url: enrolling.serverUrl,
		territory_id: enrolled.territoryId,
		...(agentSettings.cableUrl.schema.safeParse(enrolled.cableUrl).success ? { cable_url: enrolled.cableUrl } : {}),
		name: enrolling.name,
		labels: enrolling.labels,
		data_directory: directory,
		tls: { ...(ca === null ? {} : { ca_file: ca.path }), ...certificate },
		...(enrolled.controlPlaneKey === null ? {} : { control_plane_key: formatPublicKey(enrolled.controlPlaneKey) }),
	};
	writeWhole(path, stringify(settings));
	return enrolled.territoryId;
}

function writeWhole(path: string, text: string): void {
	writeFileSync(`${path}.new`, text, { mode: 0o600 });
	renameSync(`${path}.new`, path);
}
