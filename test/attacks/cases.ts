import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { type Machine, SECRET, textOf } from "./machine.ts";

/** One attack: what the workload tries, and what must be true of the machine and of its answer afterwards. */
export interface Attack {
	readonly name: string;
	/** Run by sh in the workspace; its output is what `check` gets. */
	readonly script: (machine: Machine) => string;
	readonly check: (seen: Seen) => void;
}

export interface Seen {
	readonly machine: Machine;
	/** stdout and stderr of the script. */
	readonly output: string;
	/** Files of the machine as they were before. */
	readonly before: ReadonlyMap<string, string | undefined>;
}

/** Files that an attack may aim at: unchanged in every case. */
export const WATCHED = [
	"/etc/passwd",
	"/etc/shadow",
	"/etc/hosts",
	"/etc/ld.so.preload",
	"/proc/sys/kernel/core_pattern",
	"/proc/sys/kernel/hostname",
	"/proc/sys/kernel/randomize_va_space",
	"/proc/sys/vm/overcommit_memory",
	"/proc/sys/net/ipv4/ip_forward",
	"/sys/fs/cgroup/memory/release_agent",
];

const noSecret = ({ output }: Seen): void => assert.ok(!output.includes(SECRET), output);
const unchanged =
	(...paths: readonly string[]) =>
	({ before }: Seen): void => {
		for (const path of paths) assert.equal(textOf(path), before.get(path), path);
	};
const both =
	(...checks: readonly ((seen: Seen) => void)[]) =>
	(seen: Seen): void => {
		for (const check of checks) check(seen);
	};
const absent =
	(...paths: readonly string[]) =>
	(): void => {
		for (const path of paths) assert.ok(!existsSync(path), path);
	};
/** The kernel's own answer: refused, whatever the errno. */
const refused = ({ output }: Seen): void => assert.match(output, /^refused \d+\s*$/);
const killed = ({ output }: Seen): void => assert.ok(!output.includes("DONE"), output);

const shell = (name: string, script: Attack["script"], check: Attack["check"]): Attack => ({ name, script, check });
const call = (
	attack: string,
	check: Attack["check"] = refused,
	argument: (machine: Machine) => string = () => "",
): Attack => ({
	name: `system call: ${attack}`,
	script: (machine) => `./attack ${attack} ${argument(machine)}`,
	check,
});

const FILE_ATTACKS: readonly Attack[] = [
	shell(
		"a new symlink out of the workspace",
		({ secretFile }) => `ln -s ${secretFile} l; cat l; echo x > l`,
		both(noSecret, secretIntact),
	),
	shell("a symlink that was there already", () => "cat given-link; echo x > given-link", both(noSecret, secretIntact)),
	shell(
		"a linked folder",
		() => "cat given-folder-link/secret; touch given-folder-link/new",
		both(noSecret, outsideIntact),
	),
	shell("a relative link upwards", () => "cat given-relative-link/secret", noSecret),
	shell(
		"a hard link to a file outside",
		({ secretFile }) => `ln ${secretFile} hard; cat hard`,
		both(noSecret, oneName),
	),
	shell(
		"dot-dot out of the workspace",
		({ secretFile }) => `cat ../../../../../../..${secretFile}; ls ../..; cat ../outside/secret`,
		noSecret,
	),
	shell(
		"the folder beside the workspace",
		({ outside }) => `ls ${outside}; cat ${outside}/secret; echo x > ${outside}/new`,
		both(noSecret, outsideIntact),
	),
	shell(
		"home folders",
		() => "ls -A /root /home/* ~root ~ 2>&1; cat /root/.bashrc /root/.ssh/authorized_keys /root/.profile",
		({ output }) => assert.doesNotMatch(output, /ssh-rsa|ssh-ed25519|alias |mesg n/),
	),
	shell(
		"the users' password hashes",
		() => "cat /etc/shadow /etc/gshadow /etc/shadow-",
		({ output, before }) => {
			const hashed = (before.get("/etc/shadow") ?? "").split("\n").filter((line) => line !== "");
			assert.ok(!hashed.some((line) => output.includes(line)));
		},
	),
	shell(
		"the machine's users",
		() => "cat /etc/passwd",
		({ output }) => assert.doesNotMatch(output, /daemon|_apt|sync:/),
	),
	shell(
		"rewriting /etc",
		() => "echo evil:x:0:0::/:/bin/sh >> /etc/passwd; echo /tmp/x.so > /etc/ld.so.preload; mv /etc /etc2",
		unchanged("/etc/passwd", "/etc/ld.so.preload"),
	),
	shell(
		"rewriting programs",
		() => "cp attack /usr/bin/vouch-planted; cp attack /bin/ls; echo x > /usr/lib/vouch-planted",
		absent("/usr/bin/vouch-planted", "/usr/lib/vouch-planted"),
	),
	shell(
		"jobs that the host would run",
		() =>
			"for d in /etc/cron.d /etc/systemd/system /var/spool/cron /etc/profile.d /etc/init.d; do mkdir -p $d; echo x > $d/vouch-planted; done",
		absent(
			"/etc/cron.d/vouch-planted",
			"/etc/systemd/system/vouch-planted",
			"/var/spool/cron/vouch-planted",
			"/etc/profile.d/vouch-planted",
		),
	),
	shell(
		"the host's /tmp",
		() => "touch /tmp/vouch-planted /var/tmp/vouch-planted /run/vouch-planted /dev/shm/vouch-planted",
		absent("/tmp/vouch-planted", "/var/tmp/vouch-planted", "/run/vouch-planted", "/dev/shm/vouch-planted"),
	),
	shell(
		"git hooks planted in the workspace",
		() => "printf '#!/bin/sh\\n' > .git/hooks/pre-commit; chmod 755 .git/hooks/pre-commit",
		({ machine }) =>
			// Allowed: the workspace is theirs. That it is reported is what the test below looks at.
			assert.ok(existsSync(join(machine.workspace, ".git/hooks/pre-commit"))),
	),
	shell(
		"a setuid program that lay in the workspace",
		() => "./setuid-id -u; ./setuid-id -un",
		({ output }) => assert.equal(output, "1000\nvouch\n"),
	),
	shell(
		"setuid programs of the system",
		() => "su -c id 2>&1 </dev/null; sudo -n id; mount -t tmpfs x /tmp; passwd -S root; newgrp root </dev/null -c id",
		({ output }) => assert.doesNotMatch(output, /uid=0|gid=0/),
	),
	shell(
		"chmod to setuid",
		() =>
			"cp attack planted; chmod u+s planted; chmod g+s planted; install -m 4755 attack planted2; tar cf - attack | tar xf - --mode=4755 -C /workspace --transform s/attack/planted3/",
		noSetuid,
	),
];

function secretIntact({ machine }: Seen): void {
	assert.equal(readFileSync(machine.secretFile, "utf8"), `${SECRET}\n`);
}

function outsideIntact({ machine }: Seen): void {
	assert.deepEqual(readdirSync(machine.outside).sort(), ["secret", "service.sock"]);
}

function oneName({ machine }: Seen): void {
	assert.equal(statSync(machine.secretFile).nlink, 1);
}

function noSetuid({ machine }: Seen): void {
	for (const name of readdirSync(machine.workspace)) {
		const { mode } = lstatSync(join(machine.workspace, name));
		if (name !== "setuid-id") assert.equal(mode & 0o6000, 0, name);
	}
}

const KERNEL_FILE_ATTACKS: readonly Attack[] = [
	shell(
		"/proc/sys/kernel/core_pattern",
		() => "echo '|/tmp/x' > /proc/sys/kernel/core_pattern",
		unchanged("/proc/sys/kernel/core_pattern"),
	),
	shell(
		"other kernel settings",
		() =>
			"for f in kernel/hostname kernel/randomize_va_space vm/overcommit_memory net/ipv4/ip_forward; do echo 1 > /proc/sys/$f; done; sysctl -w vm.overcommit_memory=1",
		unchanged("/proc/sys/kernel/hostname", "/proc/sys/kernel/randomize_va_space", "/proc/sys/vm/overcommit_memory"),
	),
	shell(
		"/proc/sysrq-trigger",
		() => "echo h > /proc/sysrq-trigger && echo WROTE",
		({ output }) => assert.doesNotMatch(output, /WROTE/),
	),
	shell(
		"the program of process 1",
		() => "chmod 0700 /proc/1/exe; touch -d 2001-01-01 /proc/1/exe; echo x > /proc/1/exe",
		() => {
			for (const program of ["/usr/bin/bwrap", "/usr/bin/podman", "/usr/bin/crun", "/usr/bin/catatonit"]) {
				if (!existsSync(program)) continue;
				assert.equal(statSync(program).mode & 0o777, 0o755, program);
				assert.ok(statSync(program).mtimeMs > Date.UTC(2002, 0), program);
			}
		},
	),
	shell(
		"other processes' roots",
		({ secretFile }) =>
			`for p in /proc/[0-9]*; do cat $p/root${secretFile} $p/cwd${secretFile} $p/root/etc/shadow; done`,
		both(noSecret, ({ output }) => assert.doesNotMatch(output, /root:[$*!]/)),
	),
	shell(
		"other processes' variables",
		({ victimPid }) => `cat /proc/[0-9]*/environ /proc/${victimPid}/environ | tr '\\0' '\\n'`,
		both(noSecret, ({ output }) => assert.doesNotMatch(output, /VOUCH_VICTIM/)),
	),
	shell(
		"seeing other processes",
		() => "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ps ax",
		({ output }) => assert.doesNotMatch(output, /vouch-victim|vouch-supervisor/),
	),
	shell(
		"memory of the machine",
		() => "head -c 16 /proc/kcore /dev/mem /dev/kmem /dev/port | wc -c; head -c1 /proc/kmsg /dev/kmsg && echo READ",
		({ output }) => assert.doesNotMatch(output, /READ/),
	),
	shell(
		"/sys",
		() =>
			"ls /sys/class /sys/kernel /sys/block /sys/fs/cgroup; echo 1 > /sys/kernel/uevent_helper; echo disk > /sys/power/state; ls -d /sys/* 2>/dev/null | wc -l",
		({ output }) => assert.match(output, /^0$/m),
	),
	shell(
		"the control group's release agent",
		() =>
			"mkdir /tmp/cg; mount -t cgroup -o memory cgroup /tmp/cg; for d in /sys/fs/cgroup/memory /tmp/cg; do echo /tmp/x > $d/release_agent; done",
		unchanged("/sys/fs/cgroup/memory/release_agent"),
	),
	shell(
		"an out-of-memory score below the others",
		() => "echo -1000 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj",
		({ output }) => assert.ok(Number(output.trim().split("\n").at(-1)) >= 0, output),
	),
	shell(
		"disks and terminals in /dev",
		() =>
			"ls /dev; cat /dev/vda /dev/sda /dev/nvme0n1 /dev/loop0 | head -c 16 | wc -c; mknod /dev/x b 254 0; touch /dev/tty0",
		({ output }) => assert.doesNotMatch(output, /^(?:vd|sd|nvme|loop|dm-|mem|kvm|fuse|net|x$)/m),
	),
	shell(
		"host name",
		() => "hostname attacked; echo attacked > /proc/sys/kernel/hostname",
		() => assert.notEqual(hostname(), "attacked"),
	),
	shell(
		"a user namespace by util-linux",
		() =>
			"unshare --user --map-root-user sh -c 'echo MADE'; unshare --mount sh -c 'echo MADE'; nsenter -t 1 -a echo MADE",
		({ output }) => assert.doesNotMatch(output, /MADE/),
	),
	shell(
		"the folder of the run and the gate's socket",
		() =>
			"ls -d /tmp/vouch-test-* /run/user /run/vouch /dev/shm/run- /dev/shm/containers.conf 2>/dev/null; find / -name 'gate.sock' 2>/dev/null",
		({ output }) => assert.equal(output, ""),
	),
	shell(
		"sockets of services",
		({ unixSocket }) =>
			`ls /run/docker.sock /var/run/docker.sock /run/podman /run/dbus /run/systemd 2>/dev/null; ./attack unix_socket ${unixSocket}`,
		({ output, machine }) => {
			assert.match(output, /^refused \d+\s*$/);
			assert.equal(machine.connections.unix, 0);
		},
	),
	shell(
		"a service on the host's loopback",
		({ port }) => `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port} && echo CONNECTED'`,
		({ output, machine }) => {
			assert.doesNotMatch(output, /CONNECTED/);
			assert.equal(machine.connections.tcp, 0);
		},
	),
];

const SYSTEM_CALLS = [
	...["request_key", "keyctl_join", "keyctl_read", "bpf_map", "perf", "uffd", "uring", "remount_usr", "umount_proc"],
	...["pivot", "fs_open", "tree_open", "chroot_out", "ptrace_init", "read_init_memory", "steal_descriptor"],
	...["unshare_user", "unshare_net", "clone_user", "clone3_user", "setns_init", "setns_net", "terminal_input"],
	...["terminal_input_wide", "terminal_paste", "device", "become_root", "groups", "module", "kexec", "restart", "swap"],
	...["accounting", "quota", "clock_set", "kernel_log", "by_handle", "no_randomisation", "raw_socket", "raw_socket6"],
	...["packet_socket", "old_packet_socket", "vsock", "algorithm_socket", "uevent_socket", "netfilter_socket"],
	...["multipath_socket", "multipath_socket6", "light_socket"],
	...["wide_family_socket", "priority", "real_time", "more_files", "extra_descriptors"],
];

const CALL_ATTACKS: readonly Attack[] = [
	...SYSTEM_CALLS.map((name) => call(name)),
	call(
		"add_key",
		both(refused, () => assert.doesNotMatch(textOf("/proc/keys") ?? "", /vouch-attack/)),
	),
	call(
		"mount_tmpfs",
		both(refused, () => assert.doesNotMatch(textOf("/proc/mounts") ?? "", /^none \/usr /m)),
	),
	call(
		"host_name",
		both(refused, () => assert.notEqual(hostname(), "attacked")),
	),
	call(
		"device_in_workspace",
		both(refused, ({ machine }) => assert.ok(!existsSync(join(machine.workspace, "device")))),
	),
	...[
		"setuid_mode",
		"setuid_fchmod",
		"setuid_fchmodat2",
		"setuid_open",
		"setuid_openat2",
		"setuid_mknod",
		"setuid_tmpfile",
	].map((name) => call(name, both(refused, noSetuid))),
	call("foreign_numbers", killed),
	call("x32_numbers", killed),
	call("kill_pid", both(refused, victimLives), ({ victimPid }) => String(victimPid)),
	call("ptrace_pid", both(refused, victimUntraced), ({ victimPid }) => String(victimPid)),
	call(
		"abstract_socket",
		both(refused, ({ machine }) => assert.equal(machine.connections.abstract, 0)),
		({ abstractName }) => abstractName,
	),
	call("shared_memory", refused, () => "0x766f7563"),
];

function victimLives({ machine }: Seen): void {
	assert.equal(machine.victim.exitCode ?? machine.victim.signalCode, null);
	assert.ok(existsSync(`/proc/${machine.victimPid}`));
}

function victimUntraced({ machine }: Seen): void {
	assert.match(textOf(`/proc/${machine.victimPid}/status`) ?? "", /^TracerPid:\t0$/m);
}

/** Those that leave the sandbox usable for the next: they share one. */
export const ATTACKS: readonly Attack[] = [...FILE_ATTACKS, ...KERNEL_FILE_ATTACKS, ...CALL_ATTACKS];
