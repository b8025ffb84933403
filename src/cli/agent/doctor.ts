import { X509Certificate } from "node:crypto";
import { readFileSync, statfsSync } from "node:fs";
import { ConduitsClient, driverStates, FreshMeasurements, profilesOf, Transport } from "../../agent/index.ts";
import { formatBytes, systemClock } from "../../core/index.ts";
import { askPrivileged, realHost } from "../../host/index.ts";
import type { Check } from "../../runtime/index.ts";
import { type Directories, imageDirectory } from "../directories.ts";
import type { AgentSettings } from "../settings/agent-settings.ts";
import { agentDirectory, credentialsOf } from "./running-agent.ts";

const DAY_MS = 86_400_000;

/** Everything that this node needs to run directives, tried. */
export async function agentChecks(settings: AgentSettings, directories: Directories): Promise<readonly Check[]> {
	return [
		certificateCheck(settings),
		await controlPlaneCheck(settings),
		decisionCheck(settings),
		...(await driverChecks(settings, directories)),
		await gitCheck(),
		diskCheck(settings, directories),
		memoryCheck(directories),
		...(settings.helperSocket === "" ? [] : [await helperCheck(settings.helperSocket)]),
	];
}

function certificateCheck({ certificate }: AgentSettings): Check {
	const name = "client certificate";
	if (certificate === "")
		return {
			name,
			status: "warning",
			found: "none: only a control plane in development takes that",
			fix: "vouch agent enroll",
		};
	try {
		const { validToDate } = new X509Certificate(readFileSync(certificate));
		const leftMs = validToDate.getTime() - Date.now();
		const status = leftMs <= 0 ? "missing" : leftMs < DAY_MS ? "warning" : "ok";
		return {
			name,
			status,
			found: `good until ${validToDate.toISOString()}`,
			fix: status === "ok" ? null : "vouch agent enroll",
		};
	} catch (error) {
		return { name, status: "missing", found: (error as Error).message, fix: "vouch agent enroll" };
	}
}

/** A heartbeat that says nothing changes nothing, and only a territory may send it. */
async function controlPlaneCheck(settings: AgentSettings): Promise<Check> {
	const name = "control plane";
	const access = { serverUrl: settings.serverUrl, territoryId: settings.territoryId || null };
	const transport = new Transport({ ...access, tls: credentialsOf(settings).tls });
	try {
		await new ConduitsClient(transport).heartbeat({});
		return { name, status: "ok", found: `${settings.serverUrl} knows this territory`, fix: null };
	} catch (error) {
		return { name, status: "missing", found: (error as Error).message, fix: null };
	} finally {
		transport.close();
	}
}

function decisionCheck({ controlPlaneKey }: AgentSettings): Check {
	const name = "signed decisions";
	return controlPlaneKey === ""
		? { name, status: "warning", found: "not asked for: whatever the control plane leases is run", fix: null }
		: { name, status: "ok", found: "only what the control plane signed is run", fix: null };
}

async function driverChecks(settings: AgentSettings, directories: Directories): Promise<readonly Check[]> {
	const measured = new FreshMeasurements(
		{ host: realHost(), clock: systemClock, directories },
		imageDirectory(directories),
	);
	const states = await driverStates({ measured, hostProfile: settings.hostProfile });
	const isolates = profilesOf(states).includes("untrusted");
	return states.map(({ driver, healthy, details }) => ({
		name: `driver ${driver}`,
		status: healthy === "healthy" ? "ok" : isolates ? "warning" : "missing",
		found: healthy === "healthy" ? "works" : Object.values(details).join("; "),
		fix: healthy === "healthy" ? null : "vouch doctor",
	}));
}

async function gitCheck(): Promise<Check> {
	const path = await realHost().findProgram("git");
	const isThere = path !== undefined;
	return {
		name: "git",
		status: isThere ? "ok" : "warning",
		found: path ?? "not on PATH: facilities of a repository can't be prepared",
		fix: isThere ? null : "apt-get install -y git",
	};
}

function diskCheck(settings: AgentSettings, directories: Directories): Check {
	const name = "free disk space";
	try {
		const { bavail, bsize } = statfsSync(settings.workDirectory || agentDirectory(settings, directories));
		const free = bavail * bsize;
		const isEnough = free >= settings.minimumFreeBytes;
		const found = `${formatBytes(free)} free, ${formatBytes(settings.minimumFreeBytes)} needed`;
		return { name, status: isEnough ? "ok" : "missing", found, fix: isEnough ? null : "df -h" };
	} catch (error) {
		return { name, status: "missing", found: (error as Error).message, fix: null };
	}
}

/** tmpfs(5), as statfs(2) names it. */
const TMPFS = 0x01021994;

function memoryCheck({ runtime }: Directories): Check {
	const name = "folder in memory for secrets";
	const isInMemory = [runtime, "/run"].some((path) => typeOf(path) === TMPFS && runtime.startsWith(path));
	return {
		name,
		status: isInMemory ? "ok" : "warning",
		found: isInMemory ? runtime : `${runtime} is on a disk: directives with secrets are refused`,
		fix: isInMemory ? null : "let XDG_RUNTIME_DIR name a folder on a tmpfs",
	};
}

function typeOf(path: string): number | undefined {
	try {
		return statfsSync(path).type;
	} catch {
		return undefined;
	}
}

async function helperCheck(socket: string): Promise<Check> {
	return askPrivileged(socket, "status").then(
		(found): Check => ({ name: "helper", status: "ok", found, fix: null }),
		(error: Error): Check => ({
			name: "helper",
			status: "missing",
			found: error.message,
			fix: "systemctl start vouch-helper.socket",
		}),
	);
}
