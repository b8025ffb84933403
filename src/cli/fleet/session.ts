import { readFileSync } from "node:fs";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { type Client, connect } from "../../api/index.ts";
import { reasonOf } from "../../core/index.ts";
import type { FlagValues } from "../command.ts";
import { fail } from "../failures.ts";
import { ownDirectories } from "../node-keys.ts";
import { clientSettings } from "../settings/client-settings.ts";
import { readSettings } from "../settings/settings.ts";
import { Logins, normalServer, readPrivately } from "./logins.ts";

export interface Session {
	readonly client: Client;
	readonly server: string;
}

export function ownLogins(): Logins {
	return new Logins(join(ownDirectories().data, "logins"));
}

/** The URL that is meant: `--server`, then `VOUCH_SERVER`, then the latest `vouch login`; undefined when nobody says. */
export function serverMeant(flags: FlagValues): string | undefined {
	const { values } = readSettings(clientSettings, { file: null, flags, environment: process.env });
	const named = values.server || ownLogins().current();
	return named === undefined ? undefined : normalServer(named);
}

/** A client of the control plane that is meant, with the token that is kept for it. Throws when there is none. */
export function openSession(flags: FlagValues): Session {
	const server = serverMeant(flags);
	if (server === undefined) throw fail("cli.no-server");
	const { token, ca } = credentialFor(server, flags);
	trust(ca);
	return { server, client: connect({ server, token }) };
}

/** A token is only ever sent to the server it was kept for, unless a variable says which to send. */
function credentialFor(server: string, flags: FlagValues): { readonly token: string; readonly ca: string | null } {
	const { values } = readSettings(clientSettings, { file: null, flags, environment: process.env });
	const login = ownLogins().find(server);
	const ca = values.ca === "" ? (login?.ca ?? null) : readText(values.ca);
	if (values.token !== "") return { token: values.token, ca };
	if (values.tokenFile !== "") return { token: readPrivately(values.tokenFile).trim(), ca };
	if (login === undefined) throw fail("cli.no-token", { server });
	return { token: login.token, ca };
}

export function readText(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch (error) {
		throw fail("cli.file-unreadable", { path, problem: reasonOf(error) }, error);
	}
}

/** For this process, beside the authorities of the system. */
export function trust(ca: string | null): void {
	if (ca !== null) setDefaultCACertificates([...getCACertificates("default"), ca]);
}
