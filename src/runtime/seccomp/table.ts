/**
 * What no workload may ask of the kernel: the one table that the BPF program, the OCI profile and the tests derive from.
 * Everything that no row names is allowed: the namespaces and the mounts are the wall, this makes the wall's
 * kernel-side attack surface smaller and closes what namespaces leave open (keyrings, terminals, raw sockets).
 * Numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`; null: not on that machine.
 */
export type Architecture = "x86_64" | "aarch64";

/** `EPERM` unless a program has a fallback that only another answer makes it take. */
export type Refusal = "EPERM" | "ENOSYS" | "EPROTONOSUPPORT" | "EAFNOSUPPORT";

/** A test of the low 32 bits of one argument: the kernel reads these arguments as `int`, so the rest is an attacker's. */
export type ArgumentTest =
	| { readonly argument: number; readonly anyBits: number }
	| { readonly argument: number; readonly mask: number; readonly equals: number }
	| { readonly argument: number; readonly mask: number; readonly notIn: readonly number[] };

export interface SyscallRow {
	readonly name: string;
	readonly numbers: Readonly<Record<Architecture, number | null>>;
	readonly family: string;
	readonly why: string;
	readonly refusal: Refusal;
	/** Refused when all tests of one alternative hold; without alternatives always. */
	readonly when: readonly (readonly ArgumentTest[])[];
}

/** Name, number on x86_64, number on aarch64. */
type Numbered = readonly [name: string, x86_64: number | null, aarch64: number | null];

function family(name: string, why: string, refusal: Refusal, calls: readonly Numbered[]): SyscallRow[] {
	return calls.map(([call, x86_64, aarch64]) => {
		return { name: call, numbers: { x86_64, aarch64 }, family: name, why, refusal, when: [] };
	});
}

/** A call that is refused only with some arguments. */
function when(
	name: string,
	why: string,
	refusal: Refusal,
	call: Numbered,
	alternatives: SyscallRow["when"],
): SyscallRow {
	const [callName, x86_64, aarch64] = call;
	return { name: callName, numbers: { x86_64, aarch64 }, family: name, why, refusal, when: alternatives };
}

const WHOLLY_REFUSED: readonly SyscallRow[] = [
	...family("keyring", "keyrings are shared by user id, not by namespace", "EPERM", [
		["add_key", 248, 217],
		["request_key", 249, 218],
		["keyctl", 250, 219],
	]),
	...family("bpf", "programs in the kernel: a large attack surface", "EPERM", [["bpf", 321, 280]]),
	...family("perf", "reads what other programs do", "EPERM", [["perf_event_open", 298, 241]]),
	...family("memory", "makes kernel races winnable; hides memory from the host", "EPERM", [
		["userfaultfd", 323, 282],
		["memfd_secret", 447, 447],
	]),
	...family("mount", "changes what is visible", "EPERM", [
		["mount", 165, 40],
		["umount2", 166, 39],
		["pivot_root", 155, 41],
		["chroot", 161, 51],
		["move_mount", 429, 429],
		["open_tree", 428, 428],
		["open_tree_attr", 467, 467],
		["fsopen", 430, 430],
		["fsconfig", 431, 431],
		["fsmount", 432, 432],
		["fspick", 433, 433],
		["mount_setattr", 442, 442],
	]),
	...family("trace", "reads or changes other programs", "EPERM", [
		["ptrace", 101, 117],
		["process_vm_readv", 310, 270],
		["process_vm_writev", 311, 271],
		["pidfd_getfd", 438, 438],
		["kcmp", 312, 272],
	]),
	...family("io_uring", "runs calls that no filter sees", "ENOSYS", [
		["io_uring_setup", 425, 425],
		["io_uring_enter", 426, 426],
		["io_uring_register", 427, 427],
	]),
	...family("module", "loads code into the kernel", "EPERM", [
		["init_module", 175, 105],
		["finit_module", 313, 273],
		["delete_module", 176, 106],
		["create_module", 174, null],
		["query_module", 178, null],
		["get_kernel_syms", 177, null],
		["kexec_load", 246, 104],
		["kexec_file_load", 320, 294],
	]),
	...family("machine", "acts on the whole machine", "EPERM", [
		["reboot", 169, 142],
		["swapon", 167, 224],
		["swapoff", 168, 225],
		["acct", 163, 89],
		["quotactl", 179, 60],
		["quotactl_fd", 443, 443],
		["sethostname", 170, 161],
		["setdomainname", 171, 162],
		["syslog", 103, 116],
		["vhangup", 153, 58],
		["iopl", 172, null],
		["ioperm", 173, null],
		["modify_ldt", 154, null],
		["lookup_dcookie", 212, 18],
		["nfsservctl", 180, 42],
		["uselib", 134, null],
		["ustat", 136, null],
		["sysfs", 139, null],
		["_sysctl", 156, null],
	]),
	...family("clock", "sets the machine's clock", "EPERM", [
		["clock_settime", 227, 112],
		["clock_adjtime", 305, 266],
		["settimeofday", 164, 170],
		["adjtimex", 159, 171],
	]),
	...family("handle", "opens files by number, past every mount", "EPERM", [
		["name_to_handle_at", 303, 264],
		["open_by_handle_at", 304, 265],
	]),
	...family("namespace", "a new namespace brings back the kernel surface that was closed", "EPERM", [
		["unshare", 272, 97],
		["setns", 308, 268],
	]),
	// Its flags sit in memory, where no filter can look; ENOSYS makes glibc and Go fall back to clone(2).
	...family("namespace", "its namespace flags can't be seen by a filter", "ENOSYS", [["clone3", 435, 435]]),
	// As clone3: its mode sits in memory. Programs fall back to openat(2).
	...family("setuid", "its mode bits can't be seen by a filter", "ENOSYS", [["openat2", 437, 437]]),
];

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of clone(2). */
const CLONE_NEW_ANY = 0x7e020000;
const [S_ISUID_OR_S_ISGID, O_CREAT_OR_O_TMPFILE] = [0o6000, 0x400040];
const [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, NETLINK_ROUTE] = [1, 2, 10, 16, 0];
const [IPPROTO_UDPLITE, IPPROTO_MPTCP] = [136, 262];
const [SOCK_STREAM, SOCK_DGRAM, SOCK_TYPE_MASK] = [1, 2, 0xf];
const [TIOCSTI, TIOCLINUX] = [0x5412, 0x541c];
const ALL_BITS = 0xffffffff;

const PLANTED = "a setuid file left in the workspace would wait for the host's users";
const TERMINAL = "types into the terminal that Vouch was started from";

const modeOf = (argument: number): SyscallRow["when"] => [[{ argument, anyBits: S_ISUID_OR_S_ISGID }]];
const createdModeOf = (flags: number, mode: number): SyscallRow["when"] => [
	[
		{ argument: flags, anyBits: O_CREAT_OR_O_TMPFILE },
		{ argument: mode, anyBits: S_ISUID_OR_S_ISGID },
	],
];
/** Neither SOCK_RAW nor SOCK_PACKET, which the kernel turns into AF_PACKET: only streams and datagrams. */
const otherTypesOf = (addressFamily: number): readonly ArgumentTest[] => [
	{ argument: 0, mask: ALL_BITS, equals: addressFamily },
	{ argument: 1, mask: SOCK_TYPE_MASK, notIn: [SOCK_STREAM, SOCK_DGRAM] },
];

const REFUSED_BY_ARGUMENT: readonly SyscallRow[] = [
	when(
		"namespace",
		"a new namespace brings back the kernel surface that was closed",
		"EPERM",
		["clone", 56, 220],
		[[{ argument: 0, anyBits: CLONE_NEW_ANY }]],
	),
	when(
		"terminal",
		TERMINAL,
		"EPERM",
		["ioctl", 16, 29],
		[[{ argument: 1, mask: ALL_BITS, equals: TIOCSTI }], [{ argument: 1, mask: ALL_BITS, equals: TIOCLINUX }]],
	),
	when(
		"personality",
		"turns off address randomisation and guard pages",
		"EPERM",
		["personality", 135, 92],
		[[{ argument: 0, mask: ALL_BITS, notIn: [0, ALL_BITS] }]],
	),
	when(
		"socket",
		"only Unix, IPv4, IPv6 and route netlink: the gate accounts for these",
		"EAFNOSUPPORT",
		["socket", 41, 198],
		[[{ argument: 0, mask: ALL_BITS, notIn: [AF_UNIX, AF_INET, AF_INET6, AF_NETLINK] }]],
	),
	when(
		"socket",
		"raw sockets write packets that no connection table counts",
		"EPERM",
		["socket", 41, 198],
		[
			otherTypesOf(AF_INET),
			otherTypesOf(AF_INET6),
			[
				{ argument: 0, mask: ALL_BITS, equals: AF_NETLINK },
				{ argument: 2, mask: ALL_BITS, notIn: [NETLINK_ROUTE] },
			],
		],
	),
	when(
		"socket",
		"multipath TCP and UDP-Lite are kernel code of their own; programs that try them fall back",
		"EPROTONOSUPPORT",
		["socket", 41, 198],
		[
			[{ argument: 2, mask: ALL_BITS, equals: IPPROTO_MPTCP }],
			[{ argument: 2, mask: ALL_BITS, equals: IPPROTO_UDPLITE }],
		],
	),
	when("setuid", PLANTED, "EPERM", ["chmod", 90, null], modeOf(1)),
	when("setuid", PLANTED, "EPERM", ["fchmod", 91, 52], modeOf(1)),
	when("setuid", PLANTED, "EPERM", ["fchmodat", 268, 53], modeOf(2)),
	when("setuid", PLANTED, "EPERM", ["fchmodat2", 452, 452], modeOf(2)),
	when("setuid", PLANTED, "EPERM", ["creat", 85, null], modeOf(1)),
	when("setuid", PLANTED, "EPERM", ["mknod", 133, null], modeOf(1)),
	when("setuid", PLANTED, "EPERM", ["mknodat", 259, 33], modeOf(2)),
	when("setuid", PLANTED, "EPERM", ["open", 2, null], createdModeOf(1, 2)),
	when("setuid", PLANTED, "EPERM", ["openat", 257, 56], createdModeOf(2, 3)),
];

export const SYSCALL_TABLE: readonly SyscallRow[] = [...WHOLLY_REFUSED, ...REFUSED_BY_ARGUMENT];
