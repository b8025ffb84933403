import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Host } from "../../host/index.ts";

/** What a login left on this machine. */
export type Credentials =
	| { readonly kind: "password"; readonly user: string; readonly password: string }
	/** OAuth 2 refresh token, which the token server takes instead of a password. */
	| { readonly kind: "identity-token"; readonly token: string };

export interface CredentialSources {
	/** Files as `skopeo login` and `docker login` write them, best first; those that aren't there are passed over. */
	readonly authFiles: readonly string[];
	readonly host: Host;
}

const MAX_FILE_BYTES = 1 << 20;
const HELPER_TIMEOUT_MS = 30_000;

const entrySchema = z.object({ auth: z.string().optional(), identitytoken: z.string().optional() });
const fileSchema = z.object({
	auths: z.record(z.string(), entrySchema).optional(),
	credHelpers: z.record(z.string(), z.string()).optional(),
	credsStore: z.string().optional(),
});
const helperAnswerSchema = z.object({ Username: z.string(), Secret: z.string() });

/** The login for a repository, or undefined for none. Files that can't be read hold none. */
export async function findCredentials(
	{ registry, repository }: { readonly registry: string; readonly repository: string },
	sources: CredentialSources,
): Promise<Credentials | undefined> {
	for (const path of sources.authFiles) {
		const file = await readAuthFile(path);
		if (file === undefined) continue;
		const helper = file.credHelpers?.[registry] ?? file.credsStore;
		const found =
			(helper === undefined ? undefined : await askForLogin(helper, registry, sources.host)) ??
			entryOf(file.auths ?? {}, registry, repository);
		if (found !== undefined) return found;
	}
	return undefined;
}

async function readAuthFile(path: string): Promise<z.infer<typeof fileSchema> | undefined> {
	try {
		const bytes = await readFile(path);
		if (bytes.length > MAX_FILE_BYTES) return undefined;
		return fileSchema.parse(JSON.parse(bytes.toString("utf8")));
	} catch {
		return undefined;
	}
}

/**
 * containers-auth.json(5): `host/path` entries hold for what is below them, the longest wins. Docker's own files may spell a
 * key as a URL, `https://host/v1/`.
 */
function entryOf(
	auths: Readonly<Record<string, z.infer<typeof entrySchema>>>,
	registry: string,
	repository: string,
): Credentials | undefined {
	const parts = [registry, ...repository.split("/")];
	const wanted = parts.map((_, at) => parts.slice(0, parts.length - at).join("/"));
	const byKey = new Map(Object.entries(auths).map(([key, entry]) => [keyOf(key), entry]));
	for (const key of wanted) {
		const entry = byKey.get(key);
		const found = entry === undefined ? undefined : credentialsOf(entry);
		if (found !== undefined) return found;
	}
	return undefined;
}

function keyOf(text: string): string {
	const url = /^https?:\/\/([^/]+)(?:\/.*)?$/.exec(text);
	return url?.[1] ?? text.replace(/\/+$/, "");
}

function credentialsOf({ auth, identitytoken }: z.infer<typeof entrySchema>): Credentials | undefined {
	if (identitytoken !== undefined && identitytoken !== "") return { kind: "identity-token", token: identitytoken };
	const text = Buffer.from(auth ?? "", "base64")
		.toString("utf8")
		.replace(/\0+$/, "");
	const colon = text.indexOf(":");
	return colon < 1 ? undefined : { kind: "password", user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** docker-credential-helpers: the server's name on stdin, JSON on stdout. The user `<token>` means an identity token. */
async function askForLogin(name: string, registry: string, host: Host): Promise<Credentials | undefined> {
	if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]*$/.test(name)) return undefined;
	const program = await host.findProgram(`docker-credential-${name}`);
	if (program === undefined) return undefined;
	const { exitCode, stdout } = await host.run([program, "get"], { input: registry, timeoutMs: HELPER_TIMEOUT_MS });
	if (exitCode !== 0) return undefined;
	try {
		const { Username: user, Secret: secret } = helperAnswerSchema.parse(JSON.parse(stdout));
		return user === "<token>"
			? { kind: "identity-token", token: secret }
			: { kind: "password", user, password: secret };
	} catch {
		return undefined;
	}
}
