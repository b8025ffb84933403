import type { PlanRequest } from "../../driver.ts";
import type { PlannedLimits } from "../../limits/index.ts";
import type { Terminal } from "../../terminal.ts";
import { GUEST, type ViewEntry } from "../../view/index.ts";
import { FOLDER } from "./folder.ts";
import type { ContainerFacts } from "./probe.ts";

export interface ContainerParts {
	readonly view: readonly ViewEntry[];
	readonly resourceLimits: PlannedLimits["resourceLimits"];
	readonly environmentDescriptor: number;
	readonly terminal: Terminal;
}

/** podman's words: of the program, of `run`, and the command. */
export function containerArguments(
	request: PlanRequest,
	facts: ContainerFacts,
	{ view, resourceLimits, environmentDescriptor, terminal }: ContainerParts,
): readonly string[] {
	const { workload, runId } = request;
	const { userId, groupId, hostname } = GUEST;
	return [
		...["--root", FOLDER.storage, "--runroot", FOLDER.runRoot, "--tmpdir", FOLDER.temporary],
		// No image store is used: the plainest driver skips overlay's trial mounts.
		...["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--log-level", "error"],
		...["--runtime", "crun"],
		...["run", "--interactive", "--name", `vouch-${runId}`, "--label", `vouch.run=${runId}`],
		// Detach keys are looked for in every input, and a binary one may well hold them.
		...["--log-driver", "none", "--detach-keys", "", "--sdnotify", "ignore", "--systemd", "false"],
		// "host" is podman's own network namespace, which is the run's private one.
		...["--network", "host", "--dns", "none", "--no-hosts", "--http-proxy=false"],
		...["--cgroups", "disabled", "--cap-drop", "ALL"],
		...["--security-opt", "no-new-privileges", "--security-opt", `seccomp=${FOLDER.seccomp}`],
		// Not this network namespace's but the machine's: podman can't mount a new one in a user namespace.
		...["--security-opt", "mask=/sys"],
		...["--uidmap", `${userId}:0:1`, "--gidmap", `${groupId}:0:1`, "--user", `${userId}:${groupId}`],
		...["--passwd=false", "--hostname", hostname, "--umask", "0022", "--unsetenv-all"],
		...["--env-file", `/dev/fd/${environmentDescriptor}`, "--workdir", workload.workingDirectory],
		...["--read-only", "--read-only-tmpfs=false", "--shm-size", `${shmBytes(view)}b`],
		...limitArguments(facts, resourceLimits),
		...(facts.init === null ? [] : ["--init", "--init-path", facts.init]),
		...view.flatMap(mountArguments),
		// Not podman's own terminal, which it sizes too late and reads for keys.
		...(terminal.supervision.terminal === undefined ? [] : ["--preserve-fds", "2"]),
		...["--rootfs", FOLDER.root, ...terminal.prefix, ...workload.argv],
	];
}

/** podman's own defaults are higher than what may be set without CAP_SYS_RESOURCE: each is named, within the hard limit. */
function limitArguments(facts: ContainerFacts, resourceLimits: PlannedLimits["resourceLimits"]): readonly string[] {
	const { hardLimits } = facts.limits;
	const planned = new Map(resourceLimits.map(({ name, value }) => [name, value]));
	const processes = Math.min(hardLimits.NPROC ?? facts.highestProcessId, facts.highestProcessId);
	const openFiles = planned.get("NOFILE") ?? Math.min(hardLimits.NOFILE ?? 1_048_576, 1_048_576);
	const fileSize = planned.get("FSIZE");
	const rows: readonly (readonly [string, number])[] = [
		["core", 0],
		["nproc", Math.min(planned.get("NPROC") ?? processes, processes)],
		["nofile", openFiles],
		...(fileSize === undefined ? [] : [["fsize", fileSize] as const]),
	];
	return rows.flatMap(([name, value]) => ["--ulimit", `${name}=${value}:${value}`]);
}

function shmBytes(view: readonly ViewEntry[]): number {
	return Math.max(...view.map((entry) => (entry.kind === "scratch" ? entry.sizeBytes : 0)));
}

function mountArguments(entry: ViewEntry): readonly string[] {
	switch (entry.kind) {
		case "bind": {
			const readOnly = entry.access === "read-only" ? ["ro=true"] : [];
			return ["--mount", mountFields(["type=bind", `src=${entry.source}`, `dst=${entry.target}`, ...readOnly])];
		}
		case "scratch": {
			const options = [`tmpfs-size=${entry.sizeBytes}`, `tmpfs-mode=${entry.mode}`, "notmpcopyup"];
			return ["--mount", mountFields(["type=tmpfs", `dst=${entry.target}`, ...options])];
		}
		case "mask":
			return ["--security-opt", `mask=${entry.target}`];
		// Files and links are in the root folder; podman makes /proc/sys and its like read-only by itself.
		case "file":
		case "link":
		case "read-only":
			return [];
	}
}

/** One line of RFC 4180 comma-separated values, which is how podman reads `--mount`: paths may hold commas and quotes. */
function mountFields(fields: readonly string[]): string {
	return fields.map((field) => (/[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",");
}
