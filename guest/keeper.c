/*
 * The first process of the workload's process-id namespace: it finishes the workload's view, starts it, passes signals on
 * to all of its processes, collects orphans, and when the workload's first process ends it ends, and all with it.
 */
#include "guest.h"
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { NOT_EXECUTABLE = 126, NOT_FOUND = 127, OWN_FDS = 64 };

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define MACHINE AUDIT_ARCH_RISCV64
#endif

static int report_fd;

LIKE_PRINTF(1) __attribute__((noreturn)) static void give_up(const char *format, ...)
{
	struct keeper_report report = { .status = -1 };
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(report.failure, sizeof report.failure, format, arguments);
	va_end(arguments);
	_exit(write(report_fd, &report, sizeof report) != sizeof report);
}

/* What of /proc is the machine's rather than the processes' is covered, or cannot be written. */
static void mount_proc(void)
{
	static const char *const fixed[] = { "bus", "fs", "irq", "sys", "sysrq-trigger" };
	static const char *const hidden[] = { "acpi", "interrupts", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecount",
		"kpageflags", "latency_stats", "mtrr", "pressure", "sched_debug", "scsi", "timer_list", "vmallocinfo" };
	enum { SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC };
	if (mount("proc", "/proc", "proc", SAFE, "hidepid=invisible") < 0) give_up("/proc could not be mounted: %m");
	for (size_t i = 0; i < COUNT(fixed); i++) {
		const char *path = text_of("/proc/%s", fixed[i]);
		if ((mount(path, path, NULL, MS_BIND, NULL) < 0 || mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | SAFE, NULL) < 0) &&
		    errno != ENOENT) give_up("%s could not be made read-only: %m", path);
	}
	for (size_t i = 0; i < COUNT(hidden); i++) {
		const char *path = text_of("/proc/%s", hidden[i]);
		/* A file becomes as /dev/null is; a folder cannot, and becomes empty. */
		if (mount("/dev/null", path, NULL, MS_BIND, NULL) < 0 && errno != ENOENT &&
		    mount("nothing", path, "tmpfs", MS_RDONLY | SAFE, "size=4k") < 0) give_up("%s could not be hidden: %m", path);
	}
}

/* The new root takes the place of everything that this machine was started from. */
static void enter_root(void)
{
	static const char *const ours[] = { "/root", "/run", "/sys", "/dev", "/proc" };
	bool done = unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWCGROUP) == 0 &&
	            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && chdir(NEW_ROOT) == 0;
	for (size_t i = 0; i < COUNT(ours); i++) done = done && umount2(ours[i], MNT_DETACH) == 0;
	if (!done || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0) give_up("the root could not be entered: %m");
	if (workload.wants_proc) mount_proc();
}

/*
 * Beside the host's own program: no other family of sockets than the network that is carried, above all no vsock, where a
 * host listens; no io_uring, which makes sockets that no filter sees; nothing of another machine's calling convention,
 * whose numbers are other calls' (x32's begin at 2^30).
 */
static void filter_calls(void)
{
#define TEST(how, value, then, otherwise) BPF_JUMP(BPF_JMP | (how) | BPF_K, value, then, otherwise)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
#define FETCH(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define REFUSE(call) TEST(BPF_JEQ, SYS_##call, 0, 1), ANSWER(SECCOMP_RET_ERRNO | EPERM)
	struct sock_filter filter[] = {
		FETCH(arch), TEST(BPF_JEQ, MACHINE, 1, 0), ANSWER(SECCOMP_RET_KILL_PROCESS),
		FETCH(nr), TEST(BPF_JGE, 1 << 30, 0, 1), ANSWER(SECCOMP_RET_KILL_PROCESS),
		TEST(BPF_JEQ, SYS_io_uring_setup, 0, 1), ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
		REFUSE(bpf), REFUSE(perf_event_open), REFUSE(userfaultfd), REFUSE(keyctl), REFUSE(add_key), REFUSE(request_key),
		TEST(BPF_JEQ, SYS_socket, 1, 0), ANSWER(SECCOMP_RET_ALLOW),
		FETCH(args[0]), TEST(BPF_JEQ, AF_UNIX, 3, 0), TEST(BPF_JEQ, AF_INET, 2, 0), TEST(BPF_JEQ, AF_INET6, 1, 0),
		TEST(BPF_JEQ, AF_NETLINK, 0, 1), ANSWER(SECCOMP_RET_ALLOW), ANSWER(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
	};
	struct sock_fprog own = { COUNT(filter), filter };
	struct sock_fprog hosts = { (unsigned short)(workload.filter_size / sizeof *filter), (void *)(uintptr_t)workload.filter };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &own) < 0 ||
	    (hosts.len > 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &hosts) < 0)) give_up("calls could not be filtered: %m");
}

__attribute__((noreturn)) static void become_workload(void)
{
	struct rlimit files = { workload.limits.nofile, workload.limits.nofile }, none = { 0, 0 };
	signal(SIGPIPE, SIG_DFL);
	if (setsid() < 0 || (workload.has_terminal && ioctl(0, TIOCSCTTY, 0) < 0)) give_up("a session could not be started: %m");
	write_text("/proc/self/oom_score_adj", "1000");
	if (setrlimit(RLIMIT_CORE, &none) < 0 || (files.rlim_cur > 0 && setrlimit(RLIMIT_NOFILE, &files) < 0)) give_up("a limit: %m");
	for (int capability = 0; capability < 64; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL) give_up("a capability stays: %m");
	if (setgroups(0, NULL) < 0 || setresgid(workload.group, workload.group, workload.group) < 0 ||
	    setresuid(workload.user, workload.user, workload.user) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		give_up("the workload's user could not be taken: %m");
	if (chdir(workload.directory) < 0) give_up("the working directory %.100s could not be entered: %m", workload.directory);
	filter_calls();
	environ = (char **)(uintptr_t)workload.environment;
	execvp(workload.arguments[0], (char **)(uintptr_t)workload.arguments);
	int code = errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
	dprintf(2, "vouch: %.300s: %s\n", workload.arguments[0], code == NOT_FOUND ? "command not found" : strerror(errno));
	_exit(code);
}

static void on_child(int number)
{
	(void)number;
}

/* Until the workload's first process has ended. */
static int keep(pid_t program, int control)
{
	struct pollfd poller = { .fd = control, .events = POLLIN };
	sigset_t all, all_but_child;
	sigfillset(&all);
	sigfillset(&all_but_child);
	sigdelset(&all_but_child, SIGCHLD);
	/* A child that ends between the look at it and the wait ends the wait. */
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int status;;) {
		uint8_t number;
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
			if (pid == program) return status;
		if (ppoll(&poller, 1, NULL, &all_but_child) > 0 && read(control, &number, 1) == 1) kill(-1, number);
	}
}

void keeper_run(int control, int report, const int streams[3])
{
	int placed[3];
	report_fd = fcntl(report, F_DUPFD_CLOEXEC, OWN_FDS);
	control = fcntl(control, F_DUPFD_CLOEXEC, report_fd + 1);
	bool done = write_text("/proc/self/oom_score_adj", "-1000");
	for (int i = 0; i < 3; i++) placed[i] = fcntl(streams[i], F_DUPFD_CLOEXEC, OWN_FDS);
	for (int i = 0; i < 3; i++) done = done && dup2(placed[i], i) == i;
	/* Everything else of the machine's is let go of. */
	close_range(3, (unsigned)report_fd - 1, 0);
	close_range((unsigned)report_fd + 1, (unsigned)control - 1, 0);
	close_range((unsigned)control + 1, ~0U, 0);
	if (!done) give_up("the keeper could not be prepared: %m");
	enter_root();
	signal(SIGCHLD, on_child);
	pid_t program = fork();
	if (program == 0) become_workload();
	if (program < 0) give_up("the workload could not be started: %m");
	/* The end of the workload's streams is the end of its own, not of the keeper's. */
	close_range(0, 2, 0);
	struct keeper_report ending = { .status = keep(program, control) };
	_exit(write(report_fd, &ending, sizeof ending) != sizeof ending);
}
