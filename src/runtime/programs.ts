import type { Host } from "../host/index.ts";
import type { Check } from "./driver.ts";

/** Absolute paths of the programs that a driver needs; null for one that isn't there. */
export type Programs<Name extends string> = Readonly<Record<Name, string | null>>;

export async function findPrograms<Name extends string>(host: Host, names: readonly Name[]): Promise<Programs<Name>> {
	const found = await Promise.all(names.map(async (name) => [name, (await host.findProgram(name)) ?? null] as const));
	return Object.fromEntries(found) as Record<Name, string | null>;
}

/** Debian's package for each program that has another name. */
const PACKAGES: Readonly<Record<string, string>> = {
	bwrap: "bubblewrap",
	ip: "iproute2",
	nft: "nftables",
	"mkfs.ext4": "e2fsprogs",
	setpriv: "util-linux",
	unshare: "util-linux",
	"qemu-system-aarch64": "qemu-system-arm",
	"qemu-system-riscv64": "qemu-system-misc",
	"qemu-system-x86_64": "qemu-system-x86",
};

export function installCommand(program: string): string {
	return `apt-get install -y ${PACKAGES[program] ?? program}`;
}

export function programChecks(programs: Programs<string>): readonly Check[] {
	return Object.entries(programs).map(([name, path]) => ({
		name,
		status: path === null ? "missing" : "ok",
		found: path ?? "not on PATH",
		fix: path === null ? installCommand(name) : null,
	}));
}
