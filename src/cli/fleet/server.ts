import { join } from "node:path";
import pino, { type Logger } from "pino";
import { newId } from "../../core/index.ts";
import {
	CertificateAuthority,
	type ControlPlane,
	createControlPlane,
	DirectiveTokens,
	IdentityProvider,
	issueApiToken,
	newApiToken,
	newSecret,
	openStore,
	privateFile,
	type Store,
} from "../../fleet/index.ts";
import { openKeyStore } from "../../journal/index.ts";
import { fail } from "../failures.ts";
import { privateDirectory } from "../node-keys.ts";
import type { ServerSettings } from "../settings/server-settings.ts";
import { programVersion } from "../version.ts";
import { blobsOf } from "./blobs.ts";
import { readText } from "./session.ts";

export interface RunningServer {
	readonly url: string;
	readonly store: Store;
	readonly control: ControlPlane;
	readonly log: Logger;
	/** Drains and closes everything. */
	close(): Promise<void>;
}

/** Starts a control plane from its settings. Its secrets are files of its own, made on first use and readable by this user alone. */
export async function startServer(settings: ServerSettings, ownDataDirectory: string): Promise<RunningServer> {
	const directory = privateDirectory(settings.dataDirectory || join(ownDataDirectory, "server"));
	const store = await openStore(settings.store || `sqlite:${join(directory, "store.sqlite")}`);
	try {
		const log = pino({ level: settings.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
		const keys = openKeyStore(privateDirectory(join(directory, "keys")));
		const authority = await CertificateAuthority.open(join(directory, "ca"), Date.now());
		const secret = await privateFile(join(directory, "keys"), "directive-tokens", async () => newSecret());
		const { latestNodeVersion: latest, minimumNodeVersion: minimum } = settings;
		const control = createControlPlane({
			store,
			services: {
				tokens: new DirectiveTokens(Buffer.from(secret, "base64url"), settings.leaseSeconds * 1000),
				blobs: blobsOf(settings, directory),
				authority,
				keys,
				identityProvider: identityProviderOf(settings, Buffer.from(secret, "base64url")),
				settings: {
					cableUrl: settings.cableUrl,
					nodeVersions: latest === "" ? null : { latest, minimum },
					maxLogChunkBytes: settings.maxLogChunkBytes,
					leaseMs: settings.leaseSeconds * 1000,
					approvalWaitMs: settings.approvalWaitHours * 3_600_000,
				},
			},
			auth: {
				territoryMode: settings.territoryAuth,
				fingerprintHeader: settings.fingerprintHeader || null,
				peopleHeaders: settings.peopleAuth === "headers" ? "accepted" : "refused",
			},
			tls: tlsOf(settings, authority.certificatePem),
			trustedProxies: settings.trustedProxies,
			version: programVersion(),
			log,
			nowMs: Date.now,
		});
		warnOfDevelopment(settings, log);
		const port = await listening(control, settings);
		const scheme = settings.tlsCertificate === "" ? "http" : "https";
		const host = settings.host.includes(":") ? `[${settings.host}]` : settings.host;
		return {
			url: `${scheme}://${host}:${port}`,
			store,
			control,
			log,
			close: async () => {
				await control.close();
				await store.close();
			},
		};
	} catch (error) {
		await store.close();
		throw error;
	}
}

async function listening(control: ControlPlane, { host, port }: ServerSettings): Promise<number> {
	try {
		return await control.listen({ host, port });
	} catch (error) {
		await control.close();
		const { code, message } = error as NodeJS.ErrnoException;
		const problem = code === "EADDRINUSE" ? "another program has that port" : message;
		throw fail("cli.cannot-listen", { address: `${host}:${port}`, problem }, error);
	}
}

function identityProviderOf(settings: ServerSettings, secret: Uint8Array): IdentityProvider | null {
	const { oidcIssuer: issuer, oidcClientId: clientId, oidcClientSecret: clientSecret, oidcScope: scope } = settings;
	if (issuer === "") return null;
	if (clientId === "") throw fail("cli.settings-invalid", { problems: "oidc.issuer needs oidc.client_id" });
	return new IdentityProvider({ issuer, clientId, clientSecret, scope }, secret);
}

/** Said loudly, every time: it is easily forgotten on the way to production. */
function warnOfDevelopment(settings: ServerSettings, log: Logger): void {
	const { territoryAuth, peopleAuth, fingerprintHeader, trustedProxies, host } = settings;
	if (territoryAuth !== "mtls")
		log.warn(
			`DEVELOPMENT MODE: territory_auth.mode is ${territoryAuth}: anybody who reaches this port may be any territory`,
		);
	if (peopleAuth === "headers")
		log.warn("DEVELOPMENT MODE: people_auth is headers: anybody who reaches this port may be any person");
	const isHere = host === "127.0.0.1" || host === "::1";
	if (fingerprintHeader !== "" && trustedProxies.length === 0 && !isHere)
		log.warn(
			`territory_auth.fingerprint_header ${fingerprintHeader} is believed from anybody who reaches this port: name the proxy that sets it in listen.trusted_proxies`,
		);
}

function tlsOf({ tlsCertificate, tlsKey }: ServerSettings, ca: string) {
	if (tlsCertificate === "" && tlsKey === "") return null;
	if (tlsCertificate === "" || tlsKey === "")
		throw fail("cli.settings-invalid", { problems: "tls.certificate and tls.key belong together: give both or none" });
	return { cert: readText(tlsCertificate), key: readText(tlsKey), ca };
}

/** The first account, its owner and a token for them; undefined when there is an account already. The token is shown this once. */
export async function firstOwner(
	store: Store,
	token = newApiToken(),
): Promise<{ readonly accountId: string; readonly token: string } | undefined> {
	return store.transaction(async ({ db, nowMs }) => {
		const known = await db.selectFrom("accounts").select("id").limit(1).executeTakeFirst();
		if (known !== undefined) return undefined;
		const stamps = { created_at: nowMs, updated_at: nowMs };
		const accountId = newId<string>(nowMs);
		const userId = newId<string>(nowMs);
		await db
			.insertInto("accounts")
			.values({ id: accountId, name: "default", ...stamps })
			.execute();
		const person = { id: userId, account_id: accountId, name: "owner", email: null, oidc_subject: null, role: "owner" };
		await db
			.insertInto("users")
			.values({ ...person, disabled: 0, ...stamps })
			.execute();
		const grant = { accountId, userId, name: "first token", role: "owner", lifeSeconds: null, token } as const;
		await issueApiToken({ db, nowMs }, grant);
		return { accountId, token };
	});
}
