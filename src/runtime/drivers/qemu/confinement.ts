import { PLACE, STATE_FD } from "./machine.ts";

/** How QEMU is kept from this machine, as found by the probe. */
export interface Confinement {
	readonly bwrap: string;
	readonly sh: string;
	readonly setpriv: string;
	/** Top-level folders of system programs, and links to them. */
	readonly system: readonly SystemEntry[];
	/** `root` gives its rights away, to a user that nothing else on the machine is; others have none to give. */
	readonly user: "root" | "ordinary";
}

export interface SystemEntry {
	readonly path: string;
	readonly kind: "directory" | "link";
	readonly target: string;
}

/** What QEMU sees of this machine besides its own program. */
export interface ShownFile {
	readonly source: string;
	readonly at: string;
	readonly access: "read-only" | "read-write";
}

export interface ConfinedProgram {
	readonly files: readonly ShownFile[];
	/** Device files of the host, such as /dev/kvm. */
	readonly devices: readonly string[];
	/** Ids that it runs with when Vouch is root, and the group of its devices. */
	readonly userId: number;
	readonly deviceGroup: number | null;
	/** Opened read-only as STATE_FD before rights are given away; null for none. */
	readonly stateFile: "shown" | null;
	readonly argv: readonly string[];
}

/**
 * A program in namespaces of its own: no network, no other process, no file but the system's programs and what is shown, and no
 * rights. An escape from a guest ends here, as a user who may do nothing, and QEMU's own filter stands before it.
 */
export function confinedArguments(confinement: Confinement, program: ConfinedProgram): [string, ...string[]] {
	const { bwrap, system, user } = confinement;
	const namespaces = ["ipc", "pid", "net", "uts", "cgroup"].map((name) => `--unshare-${name}`);
	return [
		bwrap,
		...namespaces,
		// As root the user is changed for good below, which a user namespace would only pretend.
		...(user === "root" ? [] : ["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]),
		...["--die-with-parent", "--new-session", "--clearenv", "--hostname", "vouch"],
		...system.flatMap(({ path, kind, target }) =>
			kind === "link" ? ["--symlink", target, path] : ["--ro-bind", path, path],
		),
		// Folders that bwrap makes by the way are for its own user alone.
		...["/etc", "/vm", "/vm/disks"].flatMap((path) => ["--perms", "0755", "--dir", path]),
		...["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"],
		...["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"],
		...program.devices.flatMap((path) => ["--dev-bind", path, path]),
		...program.files.flatMap(({ source, at, access }) => [access === "read-only" ? "--ro-bind" : "--bind", source, at]),
		...["--remount-ro", "/", "--chdir", "/"],
		...withState(confinement, program),
		...withoutRights(confinement, program),
		...program.argv,
	];
}

/** The state is whoever's Vouch is, and read once: opened by root, it need not be readable by QEMU's user. */
function withState({ sh }: Confinement, { stateFile }: ConfinedProgram): readonly string[] {
	return stateFile === null ? [] : [sh, "-c", `exec ${STATE_FD}<${PLACE.state} && exec "$@"`, "sh"];
}

function withoutRights({ setpriv, user }: Confinement, program: ConfinedProgram): readonly string[] {
	// bwrap itself sees to it that no new ones can be had.
	if (user === "ordinary") return [];
	const { userId, deviceGroup } = program;
	const groups = deviceGroup === null ? ["--clear-groups"] : ["--groups", String(deviceGroup)];
	const ids = ["--reuid", String(userId), "--regid", String(userId), ...groups];
	return [setpriv, ...ids, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"];
}
