/* What runs in the guest's tests where there is no shell: `actor WHAT ...` does one thing and says how it went. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *what, long result)
{
	printf("%s %s\n", what, result >= 0 ? "done" : strerrorname_np(errno));
	fflush(stdout);
}

static void attack_devices(void)
{
	static const char *const paths[] = { "/dev/vda", "/dev/vport0p1", "/dev/kmsg", "/dev/mem", "/dev/console", "/proc/kcore",
		                                 "/proc/1/mem", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/root/init" };
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		int fd = open(paths[i], O_RDWR);
		tell(paths[i], fd);
		if (fd >= 0) close(fd);
	}
	tell("mknod-disk", mknod("/tmp/disk", S_IFBLK | 0666, makedev(254, 0)));
	tell("mknod-port", mknod("/tmp/port", S_IFCHR | 0666, makedev(239, 1)));
}

static void attack_kernel(void)
{
	struct timeval time = { 0 };
	tell("mount", mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
	tell("umount", umount("/proc/sys"));
	tell("chroot", chroot("/tmp"));
	tell("user-namespace", unshare(CLONE_NEWUSER));
	tell("mount-namespace", unshare(CLONE_NEWNS));
	tell("module", syscall(SYS_init_module, "", 0, ""));
	tell("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	tell("clock", settimeofday(&time, NULL));
	tell("reboot", reboot(RB_AUTOBOOT));
	tell("hostname", sethostname("x", 1));
	tell("keyring", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
	tell("io-uring", syscall(SYS_io_uring_setup, 8, NULL));
	tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
	tell("kernel-log", syscall(SYS_syslog, 3, NULL, 0));
	tell("setuid", setuid(0));
}

static void attack_processes(void)
{
	/* In this namespace 1 is the keeper, and the machine's first process has no number at all. */
	tell("signal-keeper", kill(1, SIGKILL));
	tell("stop-keeper", kill(1, SIGSTOP));
	tell("trace-keeper", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	tell("priority-keeper", setpriority(PRIO_PROCESS, 1, 19));
}

static void attack_sockets(void)
{
	struct sockaddr_vm host = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = 1024 };
	struct sockaddr_in low = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	tell("vsock", fd);
	if (fd >= 0) tell("vsock-host", connect(fd, (struct sockaddr *)&host, sizeof host));
	tell("packet", socket(AF_PACKET, SOCK_RAW, 0));
	tell("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	tell("ping", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	tell("low-port", bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&low, sizeof low));
#ifdef __x86_64__
	/* The other calling convention of the same kernel has a socket call of its own. */
	pid_t child = fork();
	if (child == 0) {
		long result;
		__asm__ volatile("int $0x80" : "=a"(result) : "a"(359), "b"(AF_VSOCK), "c"(SOCK_STREAM), "d"(0) : "memory");
		_exit(result >= 0 ? 0 : 1);
	}
	int status;
	waitpid(child, &status, 0);
	printf("other-convention %s\n", WIFSIGNALED(status) ? "killed" : WEXITSTATUS(status) == 0 ? "done" : "refused");
#endif
}

static int make_address(const char *host, int port, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
	memset(address, 0, sizeof *address);
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
		return sizeof *four;
	}
	inet_pton(AF_INET6, host, &six->sin6_addr);
	six->sin6_family = AF_INET6;
	six->sin6_port = htons((uint16_t)port);
	return sizeof *six;
}

/* Sends standard input's bytes, then everything that comes to standard output. */
static int talk(const char *host, int port)
{
	struct sockaddr_storage address;
	char bytes[65536];
	int length = make_address(host, port, &address), fd = socket(address.ss_family, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, (socklen_t)length) < 0) return tell("connect", -1), 1;
	for (ssize_t count; (count = read(0, bytes, sizeof bytes)) > 0;)
		if (write(fd, bytes, (size_t)count) != count) return tell("send", -1), 1;
	shutdown(fd, SHUT_WR);
	for (;;) {
		ssize_t count = read(fd, bytes, sizeof bytes);
		if (count < 0) return tell("receive", -1), 1;
		if (count == 0) return 0;
		if (write(1, bytes, (size_t)count) != count) return 1;
	}
}

static int send_datagram(const char *host, int port)
{
	struct sockaddr_storage address;
	struct timeval second = { .tv_sec = 1 };
	char bytes[100] = { 0 };
	int length = make_address(host, port, &address), fd = socket(address.ss_family, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
	if (connect(fd, (struct sockaddr *)&address, (socklen_t)length) < 0) return tell("connect", -1), 1;
	tell("send", send(fd, bytes, sizeof bytes, 0));
	tell("receive", recv(fd, bytes, sizeof bytes, 0));
	return 0;
}

static int eat_memory(void)
{
	for (;;) {
		char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED) return tell("memory", -1), 1;
		memset(memory, 1, 1 << 20);
	}
}

static int eat_processes(void)
{
	int count = 0;
	while (count < 1000) {
		pid_t child = fork();
		if (child == 0) pause();
		if (child < 0) break;
		count++;
	}
	printf("processes %d\n", count);
	return 0;
}

static int write_much(size_t mebibytes)
{
	static char bytes[1 << 16];
	for (size_t i = 0; i < mebibytes * 16; i++)
		for (size_t at = 0; at < sizeof bytes;) {
			ssize_t count = write(1, bytes + at, sizeof bytes - at);
			if (count < 0) return 1;
			at += (size_t)count;
		}
	return 0;
}

static int read_much(void)
{
	static char bytes[1 << 16];
	size_t sum = 0;
	for (ssize_t count; (count = read(0, bytes, sizeof bytes)) > 0;) sum += (size_t)count;
	printf("%zu bytes\n", sum);
	return 0;
}

static int read_file(const char *path)
{
	static char bytes[1 << 16];
	int fd = open(path, O_RDONLY);
	ssize_t count = fd;
	while (fd >= 0 && (count = read(fd, bytes, sizeof bytes)) > 0) continue;
	tell(path, count);
	return 0;
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "", *first = count > 2 ? arguments[2] : "", *second = count > 3 ? arguments[3] : "";
	if (strcmp(what, "attack") == 0) return attack_devices(), attack_kernel(), attack_processes(), attack_sockets(), 0;
	if (strcmp(what, "talk") == 0) return talk(first, atoi(second));
	if (strcmp(what, "datagram") == 0) return send_datagram(first, atoi(second));
	if (strcmp(what, "eat-memory") == 0) return eat_memory();
	if (strcmp(what, "eat-processes") == 0) return eat_processes();
	if (strcmp(what, "write") == 0) return write_much((size_t)atoi(first));
	if (strcmp(what, "read") == 0) return read_much();
	if (strcmp(what, "read-file") == 0) return read_file(first);
	if (strcmp(what, "echo") == 0) return printf("%s\n", first), fflush(stdout), read_much();
	return 64;
}
