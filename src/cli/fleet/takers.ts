import type { Client } from "../../api/index.ts";
import { printable } from "../screen.ts";

/** Why a queued directive goes to nobody; undefined when some machine that is online takes it, or does not say what it takes. */
export async function whyItWaits(client: Client, profile: string): Promise<string | undefined> {
	const { territories } = await client.territories.list({ status: "online", limit: 500 });
	const machines = territories.filter(({ kind }) => kind === "server" || kind === "desktop");
	if (machines.length === 0) return "no machine is online that runs directives";
	const takes = ({ supported_profiles: told }: Readonly<Record<string, unknown>>) =>
		!Array.isArray(told) || told.includes(profile);
	if (machines.some(({ capacity }) => takes(capacity))) return undefined;
	return `no machine that is online takes the profile ${printable(profile)}`;
}
