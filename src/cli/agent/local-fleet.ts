import { randomBytes, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { join } from "node:path";
import { connect } from "../../api/index.ts";
import { newSecret, privateFile } from "../../fleet/index.ts";
import { openKeyStore } from "../../journal/index.ts";
import { FlagValues } from "../command.ts";
import type { Directories } from "../directories.ts";
import { firstOwner, startServer } from "../fleet/server.ts";
import { ownLogins } from "../fleet/session.ts";
import { nodeKeys, privateDirectory } from "../node-keys.ts";
import { agentSettings } from "../settings/agent-settings.ts";
import { serverSettings } from "../settings/server-settings.ts";
import { readSettings } from "../settings/settings.ts";
import { enrollHere, settingsFile } from "./enrollment.ts";
import { type RunningAgent, startAgent } from "./running-agent.ts";

export interface LocalFleet {
	readonly url: string;
	/** Of the owner. */
	readonly token: string;
	/** Everything of it lies here. */
	readonly directory: string;
	/** Directives that run now. */
	runningCount(): number;
	/** See `RunningAgent`; the control plane ends after its agent, which has told it everything by then. */
	drain(): Promise<void>;
	/** Makes a drain that takes too long a short one. */
	stop(): void;
}

/** One machine: a control plane with an embedded store on loopback, and an agent of it. Everything of both is in one folder. */
export async function startLocalFleet(flags: FlagValues, directories: Directories): Promise<LocalFleet> {
	const directory = privateDirectory(flags.text("--data") ?? join(directories.data, "up"));
	// On loopback without TLS: the agent's certificate is told in a header whose name nobody else on this machine knows.
	const header = `x-vouch-up-${randomBytes(16).toString("hex")}`;
	const server = await startServer(ownServerSettings(flags, directory, header), directory);
	try {
		const token = await privateFile(join(directory, "keys"), "owner-token", async () => `vouch_${newSecret()}`);
		await firstOwner(server.store, token);
		const agent = await startOwnAgent(
			{ url: server.url, token, directory: join(directory, "agent"), header, flags },
			directories,
		);
		keepLogin(server.url, token);
		trustBoth(directory);
		return {
			url: server.url,
			token,
			directory,
			runningCount: () => agent.runningCount(),
			drain: async () => {
				await agent.drain();
				await server.close();
			},
			stop: () => void agent.stop(),
		};
	} catch (error) {
		await server.close();
		throw error;
	}
}

/** This machine alone: what the environment says of other servers is not meant for it. */
function ownServerSettings(flags: FlagValues, directory: string, header: string) {
	const { values } = readSettings(serverSettings, { file: null, flags, environment: {} });
	const logLevel = flags.has("--log-level") ? values.logLevel : "warn";
	return { ...values, logLevel, dataDirectory: directory, host: "127.0.0.1", fingerprintHeader: header } as const;
}

interface OwnAgent {
	readonly url: string;
	readonly token: string;
	readonly directory: string;
	readonly header: string;
	readonly flags: FlagValues;
}

async function startOwnAgent(own: OwnAgent, directories: Directories): Promise<RunningAgent> {
	const { url, token, directory, header, flags } = own;
	const path = settingsFile(directory);
	if (!existsSync(path)) {
		const made = await connect({ server: url, token }).enrollmentTokens.create({
			body: { labels: {}, expires_in_seconds: 60 },
		});
		await enrollHere({ serverUrl: url, token: made.token, name: hostname(), labels: {}, directory, ca: null });
	}
	const said = (["--max-concurrent", "--log-level"] as const).flatMap((name): [string, string[]][] =>
		flags.has(name) ? [[name, [...flags.all(name)]]] : [],
	);
	// Its port may be another each time.
	const values = new FlagValues(new Map([["--log-level", ["warn"]], ...said, ["--server", [url]]]));
	const settings = readSettings(agentSettings, { file: path, flags: values, environment: {} }).values;
	const fingerprint = () => new X509Certificate(readFileSync(settings.certificate)).fingerprint256;
	const importable = settings.importable.length > 0 ? settings.importable : [homedir()];
	// Its facilities are nowhere else: none is removed for being idle.
	const kept = { ...settings, importable, pruneIdleMs: 0, pruneOldMs: 0 };
	return startAgent(kept, directories, { headers: () => ({ [header]: fingerprint() }) });
}

/** Its receipts verify for this user: the territory signs them, the control plane journals them. */
function trustBoth(directory: string): void {
	const keys = nodeKeys();
	keys.trust(openKeyStore(join(directory, "keys")).signer().publicKey, "control plane of vouch up");
	keys.trust(openKeyStore(join(directory, "agent", "keys")).signer().publicKey, "territory of vouch up");
}

/** `vouch submit` finds it, unless this user has logged in elsewhere. */
function keepLogin(server: string, token: string): void {
	const logins = ownLogins();
	const current = logins.current();
	const isOurs = current === undefined || new URL(current).hostname === "127.0.0.1";
	if (isOurs) logins.keep({ server, token, ca: null });
}
