import type { PlanRequest } from "../driver.ts";
import type { Architecture } from "../seccomp/index.ts";
import { terminalSize } from "../terminal.ts";
import { GUEST, planView, SECRETS_TARGET, type ViewEntry } from "../view/index.ts";
import type { DiskName, GuestLimit, SetupRecord } from "./setup.ts";

export interface GuestDisks {
	/** Holds each exposed path as `/0`, `/1`, …; null when nothing is exposed. */
	readonly files: DiskName | null;
	/** Holds the workspace; null without one. */
	readonly work: DiskName | null;
	/** Takes what is written to the workspace. */
	readonly scratch: DiskName | null;
}

export interface GuestRoom {
	readonly disks: GuestDisks;
	readonly limits: Readonly<Partial<Record<GuestLimit, number>>>;
	/** Null leaves a guest without our system call filter. */
	readonly architecture: Architecture | null;
}

/** Where exposed paths are mounted before each is bound to its place; `/run` is mounted over it last. */
const EXPOSED_AT = "/run/exposed";
/** In the skeleton, until each is bound to its place; then an empty file system in memory lies over it. */
export const HELD_SECRETS = "/.secrets";
/** What our disks are packed as. */
const FILE_SYSTEM = "erofs";
/** Folders that the guest fills itself. */
const OWN_MOUNTS = ["/dev", "/proc"];

const SECRETS: readonly SetupRecord[] = [
	{ kind: "bind", path: SECRETS_TARGET, from: HELD_SECRETS },
	{ kind: "tmpfs", path: HELD_SECRETS, mode: "0000", sizeBytes: 4096 },
];

/** The view of a workload as a guest is told to make it: the same under every driver that boots one. Variables come at start. */
export function guestSetup(request: PlanRequest, room: GuestRoom): readonly SetupRecord[] {
	const { workload, loopbackListeners } = request;
	const terminal = terminalSize(request);
	const view = planView(request, { entries: [], mountPoints: [], procEntries: [] });
	const { limits, architecture, disks } = room;
	return [
		{ kind: "user", userId: GUEST.userId, groupId: GUEST.groupId },
		...skeleton(request, view),
		{ kind: "root" },
		...mounts(request, view, disks),
		{ kind: "dev" },
		{ kind: "proc" },
		{ kind: "hostname", name: GUEST.hostname },
		...(loopbackListeners.length === 0 ? [] : [{ kind: "listeners" as const, listeners: loopbackListeners }]),
		{ kind: "limits", limits },
		...(architecture === null ? [] : [{ kind: "seccomp" as const, architecture }]),
		{ kind: "working-directory", path: workload.workingDirectory },
		...(terminal === null ? [] : [{ kind: "terminal" as const, ...terminal }]),
		...workload.argv.map((text): SetupRecord => ({ kind: "argument", text })),
	];
}

/** Mount points and generated files: they lie over the image's root, so that nothing of it need be writable. */
function skeleton({ workload, exposedFiles }: PlanRequest, view: readonly ViewEntry[]): readonly SetupRecord[] {
	const files = view.filter((entry) => entry.kind === "file");
	const isFile = (path: string): boolean => exposedFiles.includes(path);
	const exposed = workload.exposed;
	const points = [
		...view.flatMap((entry) => (entry.kind === "scratch" ? [entry.target] : [])),
		...(workload.workspace === null ? [] : ["/workspace"]),
		...exposed.filter((path) => !isFile(path)),
		...(exposed.length === 0 ? [] : [EXPOSED_AT]),
		...(workload.secretFiles === undefined ? [] : [HELD_SECRETS]),
		...OWN_MOUNTS,
	];
	const inside = [...points, ...files.map(({ target }) => target), ...exposed].flatMap(foldersAbove);
	const folders = [...new Set([...points, ...inside])].sort();
	return [
		...folders.map((path): SetupRecord => ({ kind: "directory", path, mode: "0755" })),
		...files.map(({ target, text }): SetupRecord => ({ kind: "file", path: target, mode: "0444", text })),
		...exposed.filter(isFile).map((path): SetupRecord => ({ kind: "file", path, mode: "0444", text: "" })),
	];
}

function foldersAbove(path: string): readonly string[] {
	const parts = path.split("/").slice(1, -1);
	return parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
}

function mounts({ workload }: PlanRequest, view: readonly ViewEntry[], disks: GuestDisks): readonly SetupRecord[] {
	const { workspace, exposed } = workload;
	const scratch = view.flatMap((entry): readonly SetupRecord[] =>
		entry.kind === "scratch"
			? [{ kind: "tmpfs", path: entry.target, mode: entry.mode, sizeBytes: entry.sizeBytes }]
			: [],
	);
	const isRun = (record: SetupRecord): boolean => record.kind === "tmpfs" && record.path === "/run";
	return [
		...(disks.files === null
			? []
			: [{ kind: "disk" as const, path: EXPOSED_AT, device: disks.files, fileSystem: FILE_SYSTEM }]),
		...scratch.filter((record) => !isRun(record)),
		...(workspace === null || disks.work === null
			? []
			: [
					{
						kind: "workspace" as const,
						path: "/workspace",
						access: workspace.access,
						lower: { device: disks.work, fileSystem: FILE_SYSTEM },
						scratch: workspace.access === "read-only" ? null : disks.scratch,
						protected: workspace.access === "read-only" ? [] : workspace.protected,
					},
				]),
		...exposed.map((path, index): SetupRecord => ({ kind: "bind", path, from: `${EXPOSED_AT}/${index}` })),
		...scratch.filter(isRun),
		...(workload.secretFiles === undefined ? [] : SECRETS),
	];
}
