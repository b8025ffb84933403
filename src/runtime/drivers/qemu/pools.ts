import { readdir, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { digestOfJson, hexOfDigest, type Json } from "../../../core/index.ts";
import type { outerLimits } from "./size.ts";
import { type TemplateTies, templateKey } from "./templates.ts";

/** A process that keeps machines booted for runs. */
export interface PoolPlace {
	/** What its machines are: short, since it stands in the path of a socket. */
	readonly key: string;
	readonly socket: string;
}

/** bwrap and the shell are gone or asleep once the machine runs. */
export const MACHINE_OVERHEAD = { processes: 8, userNamespace: "shared" } as const;

/** Everything that must be equal for a run to take a pool's machine: the machine, and the walls around it. */
export function poolKey(ties: TemplateTies, outer: ReturnType<typeof outerLimits>): string {
	return hexOfDigest(digestOfJson({ template: templateKey(ties), outer } as Json)).slice(0, 16);
}

export function poolSocket(cacheDirectory: string, key: string): string {
	return join(cacheDirectory, "pools", key);
}

/** Those that answer. What a killed one left is removed. */
export async function listPools(cacheDirectory: string): Promise<readonly PoolPlace[]> {
	const names = await readdir(join(cacheDirectory, "pools")).catch(() => []);
	const keys = names.filter((name) => /^[0-9a-f]{16}$/.test(name)).sort();
	const places = keys.map((key): PoolPlace => ({ key, socket: poolSocket(cacheDirectory, key) }));
	const live = await Promise.all(places.map(({ socket }) => isListening(socket)));
	return places.filter((_, index) => live[index]);
}

async function isListening(socket: string): Promise<boolean> {
	const answered = await new Promise<boolean>((resolve) => {
		const connection = createConnection(socket);
		connection.once("connect", () => resolve(true));
		connection.once("error", () => resolve(false));
		connection.once("connect", () => connection.destroy());
	});
	if (!answered) await rm(socket, { force: true });
	return answered;
}
