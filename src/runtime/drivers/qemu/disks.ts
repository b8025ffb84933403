import { join } from "node:path";
import type { ImageRoot, PlanRequest } from "../../driver.ts";
import type { GuestDisks } from "../../guest/index.ts";
import type { ShownFile } from "./confinement.ts";
import { type DiskRole, diskPlace, PLACE } from "./machine.ts";
import type { MachineSize } from "./size.ts";

export interface PlannedDisk {
	readonly role: DiskRole;
	/** On this machine. */
	readonly path: string;
	readonly content:
		| { readonly kind: "image" }
		/** Packed from these folders and files. */
		| { readonly kind: "packed"; readonly parts: readonly { readonly source: string; readonly at: string }[] }
		| { readonly kind: "scratch"; readonly sizeMiB: number }
		/** Sparse, and nothing is in it: the machine has the disk, and no one mounts it. */
		| { readonly kind: "empty" };
}

/** Below it lies one private folder for each run's disks. */
export function diskFolder({ cacheDirectory, runId }: Pick<PlanRequest, "cacheDirectory" | "runId">): string {
	return join(cacheDirectory, "machines", runId);
}

export function plannedDisks(request: PlanRequest, root: ImageRoot, size: MachineSize): readonly PlannedDisk[] {
	const { workspace, exposed } = request.workload;
	const folder = diskFolder(request);
	const packed = (parts: readonly { source: string; at: string }[]): PlannedDisk["content"] =>
		parts.length === 0 ? { kind: "empty" } : { kind: "packed", parts };
	const isWritten = workspace?.access === "read-write";
	return [
		{ role: "root", path: root.files.disk, content: { kind: "image" } },
		{
			role: "files",
			path: join(folder, "files"),
			content: packed(exposed.map((source, index) => ({ source, at: `/${index}` }))),
		},
		{
			role: "work",
			path: join(folder, "work"),
			content: packed(workspace === null ? [] : [{ source: workspace.source, at: "/" }]),
		},
		{
			role: "scratch",
			path: join(folder, "scratch"),
			content: isWritten ? { kind: "scratch", sizeMiB: size.scratchMiB } : { kind: "empty" },
		},
	];
}

/** As the guest is told of those that hold something. */
export function diskNames(disks: readonly PlannedDisk[]): GuestDisks {
	const holds = (role: DiskRole): boolean => disks.some((disk) => disk.role === role && disk.content.kind !== "empty");
	const name = (role: DiskRole) => (holds(role) ? (`serial:vouch-${role}` as const) : null);
	return { files: name("files"), work: name("work"), scratch: name("scratch") };
}

/** Everything of this machine that QEMU sees. */
export function shownFiles(
	files: ImageRoot["files"],
	disks: readonly Pick<PlannedDisk, "role" | "path">[],
	sockets: string,
	state: string | null,
): readonly ShownFile[] {
	const shown = (source: string, at: string): ShownFile => ({ source, at, access: "read-only" });
	return [
		shown(files.kernel, PLACE.kernel),
		shown(files.initramfs, PLACE.initramfs),
		...disks.map(
			({ role, path }): ShownFile => ({
				source: path,
				at: diskPlace(role),
				access: role === "scratch" ? "read-write" : "read-only",
			}),
		),
		// To connect to a socket its folder need not be writable.
		shown(sockets, PLACE.sockets),
		...(state === null ? [] : [shown(state, PLACE.state)]),
	];
}
