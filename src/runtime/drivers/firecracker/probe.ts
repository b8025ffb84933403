import { type Host, virtualisationWorks } from "../../../host/index.ts";
import type { Platform } from "../../../image/schema.ts";
import type { Check, ProbeContext } from "../../driver.ts";
import { type LimitFacts, limitChecks, probeLimits } from "../../limits/index.ts";
import { findPrograms, type Programs } from "../../programs.ts";
import { type Architecture, probeArchitecture } from "../../seccomp/index.ts";
import { probeQemu } from "../qemu/probe.ts";

/** Two of a release, from its archive: no distribution packages them. The rest belongs to every Debian. */
type FirecrackerProgram = "firecracker" | "jailer" | "unshare" | "mkfs.ext4";

export interface FirecrackerFacts {
	readonly programs: Programs<FirecrackerProgram>;
	/** As each says of itself, e.g. `1.12.0`; null when it says none. */
	readonly versions: { readonly firecracker: string | null; readonly jailer: string | null };
	/** Only root can make a jail. */
	readonly user: "root" | "ordinary";
	/** Whether guests run on this machine's processor itself. Firecracker has no emulation to fall back to. */
	readonly hardware: { readonly works: boolean; readonly found: string };
	readonly platform: Platform | null;
	readonly processors: number;
	readonly limits: LimitFacts;
}

export async function probeFirecracker(host: Host, context: ProbeContext): Promise<FirecrackerFacts> {
	const [programs, architecture, cpuInfo, limits] = await Promise.all([
		findPrograms(host, ["firecracker", "jailer", "unshare", "mkfs.ext4"]),
		probeArchitecture(host),
		host.readText("/proc/cpuinfo"),
		probeLimits(host),
	]);
	const { firecracker, jailer } = programs;
	const user = host.userId === 0 ? "root" : "ordinary";
	// Booting a kernel to see takes seconds: not for a machine that lacks the rest.
	const isWorthATrial = firecracker !== null && jailer !== null && user === "root";
	const [ownVersion, jailerVersion, hardware] = await Promise.all([
		versionOf(host, firecracker),
		versionOf(host, jailer),
		isWorthATrial ? findHardware(host, context) : { works: false, found: "not tried" },
	]);
	return {
		programs,
		versions: { firecracker: ownVersion, jailer: jailerVersion },
		user,
		hardware,
		platform: platformOf(architecture),
		processors: (cpuInfo?.match(/^processor\s*:/gm) ?? []).length || 1,
		limits,
	};
}

/** `Firecracker v1.12.0`, `Jailer v1.12.0`. */
async function versionOf(host: Host, path: string | null): Promise<string | null> {
	if (path === null) return null;
	const { stdout } = await host.run([path, "--version"]);
	return /^\w+ v(\d+\.\d+\.\d+[-\w.]*)\s*$/m.exec(stdout)?.[1] ?? null;
}

/** A whole kernel's boot under QEMU, remembered; where there is no QEMU, a few instructions are all that can be tried. */
async function findHardware(host: Host, context: ProbeContext): Promise<FirecrackerFacts["hardware"]> {
	const { hardware, platform, emulators } = await probeQemu(host, context);
	const wasTried = platform !== null && emulators[platform] !== undefined;
	return wasTried ? { works: hardware.works, found: hardware.found } : virtualisationWorks();
}

/** Firecracker runs on these two. */
function platformOf(architecture: Architecture | null): Platform | null {
	if (architecture === null) return null;
	return architecture === "x86_64" ? "linux/amd64" : "linux/arm64";
}

/** ACPI, by which a stock kernel finds virtio devices on x86-64, came with 1.8. */
export const OLDEST_VERSION = "1.8.0";

export function isRecent(version: string): boolean {
	const numbers = (text: string) => text.split(/[.-]/).slice(0, 3).map(Number);
	const [wanted, found] = [numbers(OLDEST_VERSION), numbers(version)];
	for (const [index, least] of wanted.entries()) {
		const part = found[index] ?? 0;
		if (part !== least) return part > least;
	}
	return true;
}

export const RELEASES = "Install a release of Firecracker: the programs `firecracker` and `jailer` on PATH.";

export function explainFirecracker(facts: FirecrackerFacts): readonly Check[] {
	const { programs, versions, hardware, user } = facts;
	const ofRelease = (["firecracker", "jailer"] as const).map((name): Check => {
		const version = versions[name];
		const found = programs[name] === null ? "not on PATH" : (version ?? "says no version");
		const isUsable = version !== null && isRecent(version);
		return { name, status: isUsable ? "ok" : "missing", found, fix: isUsable ? null : RELEASES };
	});
	return [
		...ofRelease,
		{
			name: "user",
			status: user === "root" ? "ok" : "missing",
			found: user === "root" ? "root" : "not root, who alone can make a jail",
			fix: null,
		},
		{ name: "speed", status: hardware.works ? "ok" : "missing", found: hardware.found, fix: null },
		...limitChecks(facts.limits),
	];
}
