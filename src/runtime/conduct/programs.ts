import { readFileSync } from "node:fs";
import { digestOf } from "../../core/index.ts";
import type { ReceiptPredicate } from "../../evidence/schema.ts";
import type { DriverName } from "../schema.ts";
import type { ConductParts } from "./parts.ts";

export type Programs = ReceiptPredicate["node"]["programs"];
type Program = Programs[number];

/** Programs that each driver trusts besides Vouch itself. */
const TRUSTED: Readonly<Partial<Record<DriverName, readonly string[]>>> = {
	bwrap: ["bwrap", "ip", "nft"],
	container: ["podman", "crun", "ip", "nft"],
	qemu: ["bwrap", "setpriv"],
	firecracker: ["firecracker", "jailer"],
};

/** Larger programs are named by version alone: digesting them would cost more than starting them. */
const MAX_DIGESTED_BYTES = 2 * 2 ** 20;

/** Versions and digests of the programs that a run's guarantees rest on. */
export async function programsOf(driver: DriverName, parts: ConductParts): Promise<Programs> {
	const own: Program[] = [
		{ name: "vouch", version: parts.version(), digest: null },
		{ name: "node", version: process.version, digest: null },
	];
	const others = (TRUSTED[driver] ?? []).map(async (name): Promise<Program> => {
		const path = await parts.host.findProgram(name);
		return { name, version: path ?? "not found", digest: path === undefined ? null : digestOfProgram(path) };
	});
	return [...own, ...(await Promise.all(others))];
}

function digestOfProgram(path: string): Program["digest"] {
	const bytes = readFileSync(path);
	return bytes.length > MAX_DIGESTED_BYTES ? null : digestOf(bytes);
}
