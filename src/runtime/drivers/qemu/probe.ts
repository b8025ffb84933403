import { stat } from "node:fs/promises";
import type { Host } from "../../../host/index.ts";
import type { Platform } from "../../../image/schema.ts";
import type { ProbeContext } from "../../driver.ts";
import { probeLimits } from "../../limits/index.ts";
import { findPrograms } from "../../programs.ts";
import { type Architecture, probeArchitecture } from "../../seccomp/index.ts";
import { tryOnce } from "../../trials.ts";
import { type Confinement, confinedArguments, type SystemEntry } from "./confinement.ts";
import { findEmulators } from "./emulators.ts";
import { type Emulator, NOBODY, type QemuFacts } from "./facts.ts";
import { findHardware } from "./hardware.ts";
import { listPools } from "./pools.ts";
import { listTemplates } from "./templates.ts";

export async function probeQemu(host: Host, context: ProbeContext): Promise<QemuFacts> {
	const [programs, system, architecture, cpuInfo, userMap, scaling, deviceGroup, limits, templates, pools, emulators] =
		await Promise.all([
			findPrograms(host, ["bwrap", "setpriv", "sh", "mkfs.ext4"]),
			systemEntries(host),
			probeArchitecture(host),
			host.readText("/proc/cpuinfo"),
			host.readText("/proc/self/uid_map"),
			host.exists("/sys/devices/system/cpu/cpu0/cpufreq"),
			groupOf("/dev/kvm"),
			probeLimits(host),
			listTemplates(context.cacheDirectory),
			listPools(context.cacheDirectory),
			findEmulators(host, context.cacheDirectory),
		]);
	const platform = await platformOf(host, architecture);
	const { bwrap, sh, setpriv } = programs;
	const user: Confinement["user"] = host.userId === 0 ? "root" : "ordinary";
	const confinement = bwrap === null || sh === null || setpriv === null ? null : { bwrap, sh, setpriv, system, user };
	const own = platform === null ? undefined : emulators[platform];
	const trialError = confinement === null || own === undefined ? null : await trial(host, context, confinement, own);
	const facts: Omit<QemuFacts, "hardware"> = {
		programs,
		platform,
		emulators,
		confinement,
		trialError,
		processors: (cpuInfo?.match(/^processor\s*:/gm) ?? []).length || 1,
		tscKHz: scaling ? null : tscOf(cpuInfo ?? ""),
		userIds: /^\s*0\s+0\s+4294967295$/m.test(userMap ?? "") ? "all" : "few",
		deviceGroup,
		architecture,
		limits,
		templates,
		pools,
	};
	return { ...facts, hardware: await findHardware(host, context, facts) };
}

async function systemEntries(host: Host): Promise<readonly SystemEntry[]> {
	const entries = await host.listFolder("/");
	return entries
		.filter(({ name }) => /^(?:usr|bin|sbin|lib|lib32|lib64|libx32)$/.test(name))
		.flatMap(({ name, kind, target }): readonly SystemEntry[] =>
			kind === "directory" || kind === "link" ? [{ path: `/${name}`, kind, target }] : [],
		);
}

async function platformOf(host: Host, architecture: Architecture | null): Promise<Platform | null> {
	if (architecture !== null) return architecture === "x86_64" ? "linux/amd64" : "linux/arm64";
	return (await host.run(["uname", "-m"])).stdout.trim() === "riscv64" ? "linux/riscv64" : null;
}

/** What may keep this user from namespaces, which the walls are made of. */
const SETTINGS = [
	"kernel/apparmor_restrict_unprivileged_userns",
	"kernel/unprivileged_userns_clone",
	"user/max_user_namespaces",
].map((name) => `/proc/sys/${name}`);

/** Exactly the walls of a run, around a QEMU that only says its version. */
function trial(
	host: Host,
	{ cacheDirectory }: ProbeContext,
	confinement: Confinement,
	emulator: Emulator,
): Promise<string | null> {
	const argv = confinedArguments(confinement, {
		files: [],
		devices: [],
		userId: NOBODY,
		deviceGroup: null,
		stateFile: null,
		argv: [emulator.path, "-no-user-config", "--version"],
	});
	const subject = { program: emulator.path, settings: SETTINGS };
	return tryOnce(host, cacheDirectory, subject, async () => {
		const tried = await host.run(argv);
		return tried.exitCode === 0 ? null : tried.stderr.trim().split("\n")[0] || `exit code ${tried.exitCode}`;
	});
}

/**
 * Where the processors' frequency does not change, the kernel shows the counter's own. Elsewhere it shows what a core runs at
 * just now, and a guest told that would have a wrong clock.
 */
export function tscOf(cpuInfo: string): number | null {
	const found = /^cpu MHz\s*:\s*(\d+)\.(\d{3})/m.exec(cpuInfo);
	const constant = /^flags\s*:.*\bconstant_tsc\b/m.test(cpuInfo) || /^flags\s*:.*\bhypervisor\b/m.test(cpuInfo);
	return found === null || !constant ? null : Number(`${found[1]}${found[2]}`);
}

/** The group that may use the device; null when its group may not. */
async function groupOf(path: string): Promise<number | null> {
	const found = await stat(path).catch(() => null);
	return found === null || (found.mode & 0o060) !== 0o060 ? null : found.gid;
}
