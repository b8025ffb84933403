import type { Invocation } from "../command.ts";
import { directoriesFrom } from "../directories.ts";
import { firstOwner, startServer } from "../fleet/server.ts";
import { serverSettings } from "../settings/server-settings.ts";
import { readSettings } from "../settings/settings.ts";

/** Runs until SIGINT or SIGTERM; a second one ends at once. */
export async function serverAction({ flags }: Invocation): Promise<number> {
	const file = flags.text("--config") ?? null;
	const { values } = readSettings(serverSettings, { file, flags, environment: process.env });
	const { data } = directoriesFrom(process.env, process.getuid?.() ?? 0);
	const server = await startServer(values, data);
	const owner = await firstOwner(server.store);
	const started = { url: server.url, token: owner?.token ?? null };
	process.stdout.write(`${flags.has("--json") ? JSON.stringify(started) : greeting(started)}\n`);
	await untilAsked();
	process.stderr.write("vouch server: ending\n");
	await server.close();
	return 0;
}

function greeting({ url, token }: { readonly url: string; readonly token: string | null }): string {
	const listening = `vouch server: listening on ${url}`;
	return token === null ? listening : `${listening}\nvouch server: token of the owner, shown this once: ${token}`;
}

function untilAsked(): Promise<void> {
	return new Promise((resolve) => {
		for (const name of ["SIGINT", "SIGTERM"] as const) {
			process.once(name, () => {
				process.once(name, () => process.exit(130));
				resolve();
			});
		}
	});
}
