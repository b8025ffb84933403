import type { Json } from "../../../core/index.ts";

/** One request to Firecracker's API, as data: it stands in the launch plan. */
export interface ApiCall {
	readonly method: "PUT" | "PATCH";
	readonly path: string;
	readonly body: Readonly<Record<string, Json>>;
}

/** A disk as Firecracker shows it; guests find disks by their order, for they have no serial numbers here. */
export interface MachineDisk {
	readonly name: "root" | "files" | "work" | "scratch";
	readonly access: "read-only" | "read-write";
	/** Bytes and operations a second past which it is slowed down; null leaves it as fast as the host's. */
	readonly rate: DiskRate | null;
}

export interface DiskRate {
	readonly bytesPerSecond: number;
	readonly operationsPerSecond: number;
}

export interface Machine {
	readonly cores: number;
	readonly memoryMiB: number;
	/** Words of the kernel, whole. */
	readonly commandLine: string;
	readonly disks: readonly MachineDisk[];
}

/** Files of a machine, by their names inside its jail. */
export const JAIL_FILES = {
	api: "/api.sock",
	vsock: "/vsock.sock",
	log: "/firecracker.log",
	kernel: "/kernel",
	initramfs: "/initramfs",
	snapshot: "/snapshot",
	memory: "/memory",
} as const;

export function diskFile(name: MachineDisk["name"]): string {
	return `/${name}.img`;
}

/** Context identifiers below 3 are the hypervisor's, the loopback's and the host's (vsock(7)); each machine has its own set. */
const GUEST_CONTEXT = 3;

const put = (path: string, body: ApiCall["body"]): ApiCall => ({ method: "PUT", path, body });
const LOGGER = put("/logger", { log_path: JAIL_FILES.log, level: "Warning", show_level: true });

/**
 * Everything that makes and starts a machine, in order. No disk is the "root device": Firecracker would add `root=` to the
 * kernel's words, which the image has measured. No network interface: vsock is the only way out.
 */
export function bootCalls(machine: Machine): readonly ApiCall[] {
	return [
		LOGGER,
		put("/machine-config", {
			vcpu_count: machine.cores,
			mem_size_mib: machine.memoryMiB,
			smt: false,
			track_dirty_pages: false,
		}),
		put("/boot-source", {
			kernel_image_path: JAIL_FILES.kernel,
			initrd_path: JAIL_FILES.initramfs,
			boot_args: machine.commandLine,
		}),
		...machine.disks.map(driveCall),
		put("/entropy", {}),
		put("/vsock", { guest_cid: GUEST_CONTEXT, uds_path: JAIL_FILES.vsock }),
		put("/actions", { action_type: "InstanceStart" }),
	];
}

function driveCall({ name, access, rate }: MachineDisk): ApiCall {
	return put(`/drives/${name}`, {
		drive_id: name,
		path_on_host: diskFile(name),
		is_root_device: false,
		is_read_only: access === "read-only",
		// Nothing on a scratch disk outlives its run: flushing it would only cost time.
		cache_type: "Unsafe",
		...(rate === null ? {} : { rate_limiter: rateLimiter(rate) }),
	});
}

/** A bucket that holds a second's worth and is filled again each second. */
function rateLimiter({ bytesPerSecond, operationsPerSecond }: DiskRate): Json {
	const bucket = (size: number) => ({ size, refill_time: 1000 });
	return { bandwidth: bucket(bytesPerSecond), ops: bucket(operationsPerSecond) };
}

/** A running machine saved whole, to be started again any number of times. It stays paused. */
export function saveCalls(): readonly ApiCall[] {
	return [
		{ method: "PATCH", path: "/vm", body: { state: "Paused" } },
		put("/snapshot/create", {
			snapshot_type: "Full",
			snapshot_path: JAIL_FILES.snapshot,
			mem_file_path: JAIL_FILES.memory,
		}),
	];
}

/**
 * A saved machine in a fresh jail, whose disks stand under the same names. Only the logger may come before. It is resumed
 * by a call of its own, once all else has succeeded.
 */
export function restoreCalls(): readonly ApiCall[] {
	return [
		LOGGER,
		put("/snapshot/load", {
			snapshot_path: JAIL_FILES.snapshot,
			mem_backend: { backend_type: "File", backend_path: JAIL_FILES.memory },
			vsock_override: { uds_path: JAIL_FILES.vsock },
			resume_vm: false,
		}),
		{ method: "PATCH", path: "/vm", body: { state: "Resumed" } },
	];
}
