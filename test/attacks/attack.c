/*
 * Asks the kernel for one thing that no workload may have, by raw system call, and says what it answered:
 * "refused N" (errno) or "DONE" (the attack worked). Statically linked, as it runs in any root file system.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define CALL(...) syscall(__VA_ARGS__)
static int argument_count;
static char **arguments;
static const char *argument(int index) { return index < argument_count ? arguments[index] : ""; }

static long add_key(void) { return CALL(SYS_add_key, "user", "vouch-attack", "payload", 7, -4 /* user keyring */); }
static long request_key(void) { return CALL(SYS_request_key, "user", "vouch-host-key", "", -4); }
static long keyctl_join(void) { return CALL(SYS_keyctl, 1, "vouch-attack"); }
static long keyctl_read(void) { return CALL(SYS_keyctl, 0, -4, 0); }
static long bpf_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	return CALL(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}
static long perf(void)
{
	unsigned attr[32] = { 1, 112 };
	return CALL(SYS_perf_event_open, attr, 0, -1, -1, 0);
}
static long uffd(void) { return CALL(SYS_userfaultfd, 1 /* user mode only */); }
static long uring(void)
{
	char parameters[256] = { 0 };
	return CALL(425, 4, parameters);
}
static long mount_tmpfs(void) { return CALL(SYS_mount, "none", "/usr", "tmpfs", 0, ""); }
static long remount_usr(void) { return CALL(SYS_mount, "", "/usr", "", 4096 | 32 /* BIND | REMOUNT */, ""); }
static long umount_proc(void) { return CALL(SYS_umount2, "/proc/sys", 2); }
static long pivot(void) { return CALL(SYS_pivot_root, "/tmp", "/tmp"); }
static long fs_open(void) { return CALL(430, "tmpfs", 0); }
static long tree_open(void) { return CALL(428, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */); }
static long chroot_out(void)
{
	mkdir("/tmp/c", 0755);
	return CALL(SYS_chroot, "/tmp/c");
}
static long ptrace_pid(void) { return CALL(SYS_ptrace, 16 /* ATTACH */, atoi(argument(2)), 0, 0); }
static long ptrace_init(void) { return CALL(SYS_ptrace, 0x4206 /* SEIZE */, 1, 0, 0); }
static long read_init_memory(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)0x1000, 1 };
	return CALL(SYS_process_vm_readv, 1, &here, 1, &there, 1, 0);
}
static long steal_descriptor(void)
{
	long pidfd = CALL(434, 1, 0);
	return pidfd < 0 ? -1 : CALL(438, pidfd, 0, 0);
}
static long unshare_user(void) { return CALL(SYS_unshare, CLONE_NEWUSER); }
static long unshare_net(void) { return CALL(SYS_unshare, CLONE_NEWNET); }
static long clone_user(void)
{
	long pid = CALL(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) _exit(0);
	return pid;
}
static long clone3_user(void)
{
	uint64_t parameters[11] = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD };
	long pid = CALL(435, parameters, sizeof parameters);
	if (pid == 0) _exit(0);
	return pid;
}
static long setns_of(const char *path)
{
	int fd = open(path, O_RDONLY);
	return fd < 0 ? -1 : CALL(SYS_setns, fd, 0);
}
static long setns_init(void) { return setns_of("/proc/1/ns/mnt"); }
static long setns_net(void) { return setns_of("/proc/1/ns/net"); }
static long terminal_input(void)
{
	long best = -1;
	for (int fd = 0; fd < 3; fd++)
		for (const char *at = "touch /tmp/vouch-typed\n"; *at; at++)
			if (ioctl(fd, TIOCSTI, at) == 0) best = 0;
	int tty = open("/dev/tty", O_RDWR);
	if (tty >= 0 && ioctl(tty, TIOCSTI, "x") == 0) best = 0;
	return best;
}
/* The bits above an int's are the attacker's: the kernel does not look at them, a filter might. */
static long terminal_input_wide(void) { return CALL(SYS_ioctl, 0, 0xdead00005412UL, "x"); }
static long terminal_paste(void) { return ioctl(0, 0x541c /* TIOCLINUX */, "\3"); }
static long device(void) { return CALL(SYS_mknodat, AT_FDCWD, "/tmp/device", S_IFBLK | 0666, makedev(254, 0)); }
static long device_in_workspace(void)
{
	return CALL(SYS_mknodat, AT_FDCWD, "/workspace/device", S_IFCHR | 0666, makedev(1, 1));
}
static long become_root(void) { return setresuid(0, 0, 0); }
static long groups(void) { return setgroups(0, NULL); }
static long setuid_mode(void)
{
	close(open("/workspace/planted-a", O_CREAT | O_WRONLY, 0755));
	return chmod("/workspace/planted-a", 04755);
}
static long setuid_fchmod(void) { return fchmod(open("/workspace/planted-b", O_CREAT | O_WRONLY, 0755), 02755); }
static long setuid_fchmodat2(void)
{
	close(open("/workspace/planted-c", O_CREAT | O_WRONLY, 0755));
	return CALL(452, AT_FDCWD, "/workspace/planted-c", 04755, 0);
}
static long setuid_open(void) { return CALL(SYS_openat, AT_FDCWD, "/workspace/planted-d", O_CREAT | O_WRONLY, 04755); }
static long setuid_openat2(void)
{
	uint64_t how[3] = { O_CREAT | O_WRONLY, 04755, 0 };
	return CALL(437, AT_FDCWD, "/workspace/planted-e", how, sizeof how);
}
static long setuid_mknod(void) { return CALL(SYS_mknodat, AT_FDCWD, "/workspace/planted-f", S_IFREG | 04755, 0); }
static long setuid_tmpfile(void) { return CALL(SYS_openat, AT_FDCWD, "/workspace", O_TMPFILE | O_WRONLY, 04755); }
static long module(void) { return CALL(SYS_init_module, "x", 1, ""); }
static long kexec(void) { return CALL(SYS_kexec_load, 0, 0, NULL, 0); }
static long restart(void) { return CALL(SYS_reboot, 0xfee1dead, 672274793, 0 /* CAD_OFF */, NULL); }
static long swap(void) { return CALL(SYS_swapoff, "/nonexistent"); }
static long accounting(void) { return CALL(SYS_acct, "/tmp/acct"); }
static long quota(void) { return CALL(SYS_quotactl, 0x80000100, NULL, 0, NULL); }
static long clock_set(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return CALL(SYS_clock_settime, CLOCK_REALTIME, &now);
}
static long host_name(void) { return sethostname("attacked", 8); }
static long kernel_log(void)
{
	char text[64];
	return CALL(SYS_syslog, 3, text, sizeof text);
}
static long by_handle(void)
{
	struct { unsigned bytes; int type; unsigned char handle[8]; } handle = { 8, 1, { 2 } };
	return CALL(SYS_open_by_handle_at, open("/workspace", O_RDONLY), &handle, O_RDONLY);
}
static long no_randomisation(void) { return personality(ADDR_NO_RANDOMIZE); }
static long raw_socket(void) { return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static long raw_socket6(void) { return socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 58); }
static long multipath_socket(void) { return socket(AF_INET, SOCK_STREAM, 262); }
static long multipath_socket6(void) { return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 262); }
static long light_socket(void) { return socket(AF_INET, SOCK_DGRAM, 136); }
static long packet_socket(void) { return socket(AF_PACKET, SOCK_DGRAM, 0); }
static long old_packet_socket(void) { return socket(AF_INET, SOCK_PACKET, 0); }
static long vsock(void) { return socket(40, SOCK_STREAM, 0); }
static long algorithm_socket(void) { return socket(38, SOCK_SEQPACKET, 0); }
static long uevent_socket(void) { return socket(AF_NETLINK, SOCK_RAW, 15); }
static long netfilter_socket(void) { return socket(AF_NETLINK, SOCK_RAW, 12); }
static long wide_family_socket(void) { return CALL(SYS_socket, 0x100000000UL | AF_PACKET, SOCK_DGRAM, 0); }
static long kill_pid(void) { return kill(atoi(argument(2)), SIGKILL); }
static long abstract_socket(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t length = strlen(argument(2));
	memcpy(to.sun_path + 1, argument(2), length);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
}
static long unix_socket(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	strncpy(to.sun_path, argument(2), sizeof to.sun_path - 1);
	return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to);
}
static long shared_memory(void) { return shmget((key_t)strtol(argument(2), NULL, 0), 0, 0); }
static long priority(void) { return setpriority(PRIO_PROCESS, 0, -20); }
static long real_time(void)
{
	struct sched_param parameters = { 50 };
	return sched_setscheduler(0, SCHED_FIFO, &parameters);
}
static long more_files(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_max++;
	return setrlimit(RLIMIT_NOFILE, &limit);
}
static long foreign_numbers(void)
{
#ifdef __x86_64__
	/* int 0x80 is 32-bit Linux: mount(2) is 21 there. A filter that only knows 64-bit numbers would let it pass. */
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(21L), "b"(0L), "c"(0L), "d"(0L), "S"(0L), "D"(0L) : "memory");
	errno = (int)-result;
	return result < 0 ? -1 : result;
#else
	errno = ENOSYS;
	return -1;
#endif
}
static long x32_numbers(void) { return CALL(0x40000000 | 39 /* getpid */); }
static long extra_descriptors(void)
{
	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0) return fd;
	errno = EBADF;
	return -1;
}

static const struct { const char *name; long (*run)(void); } attacks[] = {
#define ATTACK(name) { #name, name }
	ATTACK(add_key), ATTACK(request_key), ATTACK(keyctl_join), ATTACK(keyctl_read), ATTACK(bpf_map), ATTACK(perf),
	ATTACK(uffd), ATTACK(uring), ATTACK(mount_tmpfs), ATTACK(remount_usr), ATTACK(umount_proc), ATTACK(pivot),
	ATTACK(fs_open), ATTACK(tree_open), ATTACK(chroot_out), ATTACK(ptrace_pid), ATTACK(ptrace_init),
	ATTACK(read_init_memory), ATTACK(steal_descriptor), ATTACK(unshare_user), ATTACK(unshare_net), ATTACK(clone_user),
	ATTACK(clone3_user), ATTACK(setns_init), ATTACK(setns_net), ATTACK(terminal_input), ATTACK(terminal_input_wide),
	ATTACK(terminal_paste), ATTACK(device), ATTACK(device_in_workspace), ATTACK(become_root), ATTACK(groups),
	ATTACK(setuid_mode), ATTACK(setuid_fchmod), ATTACK(setuid_fchmodat2), ATTACK(setuid_open), ATTACK(setuid_openat2),
	ATTACK(setuid_mknod), ATTACK(setuid_tmpfile), ATTACK(module), ATTACK(kexec), ATTACK(restart), ATTACK(swap),
	ATTACK(accounting), ATTACK(quota), ATTACK(clock_set), ATTACK(host_name), ATTACK(kernel_log), ATTACK(by_handle),
	ATTACK(no_randomisation), ATTACK(raw_socket), ATTACK(raw_socket6), ATTACK(multipath_socket),
	ATTACK(multipath_socket6), ATTACK(light_socket), ATTACK(packet_socket), ATTACK(old_packet_socket),
	ATTACK(vsock), ATTACK(algorithm_socket), ATTACK(uevent_socket), ATTACK(netfilter_socket), ATTACK(wide_family_socket),
	ATTACK(kill_pid), ATTACK(abstract_socket), ATTACK(unix_socket), ATTACK(shared_memory), ATTACK(priority),
	ATTACK(real_time), ATTACK(more_files), ATTACK(foreign_numbers), ATTACK(x32_numbers), ATTACK(extra_descriptors),
};

int main(int count, char **values)
{
	argument_count = count;
	arguments = values;
	for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
		if (strcmp(attacks[i].name, argument(1)) != 0) continue;
		errno = 0;
		if (attacks[i].run() < 0) printf("refused %d\n", errno);
		else printf("DONE\n");
		return 0;
	}
	printf("unknown attack %s\n", argument(1));
	return 64;
}
