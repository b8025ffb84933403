/* The program: its standard streams, its process up to exec, and the commands that run after it. */
#include "supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above every descriptor number that a spec can ask for. */
enum { OWN_FDS = 256, AFTERWARDS_MS = 30000 };

static int streams[3], held[3], release_pipe[2], report_pipe[2];
static bool released;
static struct rlimit files_before;

/*
 * Named pipes beside the control socket, which Vouch opens when we connect: real pipes, because a program may open
 * /dev/stdout anew (a socket refuses that), and no socket into Vouch's process is handed to it.
 */
void program_open_stdio(const char *control_path)
{
	for (int i = 0; i < 3; i++) {
		char path[200];
		snprintf(path, sizeof path, "%.150s.%d", control_path, i);
		int reader = -1, writer = -1;
		if (mkfifo(path, 0600) == 0 && (reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) >= 0 &&
		    (writer = open(path, O_WRONLY | O_CLOEXEC)) >= 0) {
			fcntl(reader, F_SETFL, 0);
			/* The other end is held until Vouch has opened its own, so that neither sees an early end. */
			streams[i] = i == 0 ? reader : writer;
			held[i] = i == 0 ? writer : reader;
			continue;
		}
		fprintf(stderr, "vouch-supervisor: %s: %m\n", path);
		exit(73);
	}
}

static void close_streams(const int *fds)
{
	for (int i = 0; i < 3; i++) close(fds[i]);
}

__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vdprintf(report_pipe[1], format, arguments);
	va_end(arguments);
	_exit(125);
}

static int above_own(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS);
	if (copy < 0) give_up("A descriptor of the program could not be moved: %m.");
	return copy;
}

static int open_memory(const struct descriptor *descriptor)
{
	char path[40];
	int fd = memfd_create("vouch", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) return -1;
	for (size_t at = 0; at < descriptor->size;) {
		ssize_t count = write(fd, descriptor->bytes + at, descriptor->size - at);
		if (count <= 0) return -1;
		at += (size_t)count;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) return -1;
	/* Opened again, so that it is read-only and starts at its beginning. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return reader;
}

/* The release pipe as the program waits on it. Being its own writer it never sees an end, so our death releases nothing. */
static int open_start(void)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", release_pipe[0]);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) give_up("The descriptor that the program waits on could not be opened: %m.");
	return above_own(fd);
}

/* Whether that descriptor holds the program itself: closed by exec, or what the program starts would have it open. */
static bool holds_program(int fd)
{
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return strcmp(spec.argv.items[0], path) == 0;
}

/* Of what makes the sandbox: what is typed is for the command alone, and what it shows is the command's alone. */
static int terminal_stream(int number)
{
	return number > 0 ? streams[2] : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void place_descriptors(void)
{
	int memories[COUNT(spec.descriptors)], standard[3], start = spec.start_fd > 0 ? open_start() : -1;
	int terminal = spec.terminal_fd > 0 ? above_own(terminal_inner_end()) : -1;
	release_pipe[0] = above_own(release_pipe[0]);
	report_pipe[1] = above_own(report_pipe[1]);
	for (int i = 0; i < 3; i++) standard[i] = above_own(terminal >= 0 ? terminal_stream(i) : streams[i]);
	for (size_t i = 0; i < spec.descriptor_count; i++) {
		int fd = open_memory(&spec.descriptors[i]);
		if (fd < 0) give_up("Bytes for the program could not be put into memory: %m.");
		memories[i] = above_own(fd);
	}
	if (syscall(SYS_close_range, 3, ~0U, 1 << 2 /* CLOSE_RANGE_CLOEXEC */) < 0)
		for (int fd = 3; fd < 65536; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
	for (int i = 0; i < 3; i++)
		if (dup2(standard[i], i) < 0) give_up("A standard stream could not be placed: %m.");
	for (size_t i = 0; i < spec.descriptor_count; i++)
		if (dup3(memories[i], spec.descriptors[i].fd, holds_program(spec.descriptors[i].fd) ? O_CLOEXEC : 0) < 0)
			give_up("A descriptor could not be placed: %m.");
	if (terminal >= 0 && dup2(terminal, (int)spec.terminal_fd + 1) < 0) give_up("A descriptor could not be placed: %m.");
	if (start >= 0 && dup2(start, (int)spec.start_fd) < 0) give_up("A descriptor could not be placed: %m.");
}

static void set_limits(void)
{
	setrlimit(RLIMIT_NOFILE, &files_before);
	for (size_t i = 0; i < spec.limit_count; i++) {
		const struct limit *wanted = &spec.limits[i];
		struct rlimit limit;
		if (getrlimit((unsigned)wanted->resource, &limit) < 0) give_up("A resource limit could not be read: %m.");
		/* A lower one that already binds is kept: raising it would take a privilege and weaken it. */
		if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted->value) limit.rlim_max = wanted->value;
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit((unsigned)wanted->resource, &limit) < 0) give_up("A resource limit could not be set: %m.");
	}
}

static void reset_signals(void)
{
	sigset_t none;
	for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void execute(char **argv)
{
	if (strchr(argv[0], '/') != NULL) execve(argv[0], argv, spec.environment.items);
	else {
		/* Found on the PATH that the program itself will see. */
		extern char **environ;
		environ = spec.environment.items;
		execvp(argv[0], argv);
	}
	give_up("%.300s could not be started: %m.", argv[0]);
}

__attribute__((noreturn)) static void become_program(pid_t supervisor)
{
	char byte;
	close(release_pipe[1]);
	close(report_pipe[0]);
	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != supervisor) _exit(125);
	const char *group = groups_join();
	if (group != NULL) give_up("The control group %.300s could not be joined: %m.", group);
	/* Of all processes on the machine, the kernel shall end this one first when memory runs out. */
	int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (score < 0 || write(score, "1000", 4) != 4) give_up("The out-of-memory score could not be set: %m.");
	place_descriptors();
	set_limits();
	if (chdir(spec.directory) < 0) give_up("The working directory %.300s could not be entered: %m.", spec.directory);
	reset_signals();
	if (spec.start_fd == 0 && read(release_pipe[0], &byte, 1) != 1) _exit(125);
	execute(spec.argv.items);
}

pid_t program_prepare(void)
{
	pid_t supervisor = getpid();
	getrlimit(RLIMIT_NOFILE, &files_before);
	struct rlimit most = { files_before.rlim_max, files_before.rlim_max };
	setrlimit(RLIMIT_NOFILE, &most);
	if (pipe2(release_pipe, O_CLOEXEC) < 0 || pipe2(report_pipe, O_CLOEXEC) < 0)
		fail_start("A pipe to the program could not be made: %m.");
	close_streams(held);
	if (spec.terminal_fd > 0) terminal_open();
	pid_t pid = fork();
	if (pid < 0) fail_start("The program's process could not be made: %m.");
	if (pid == 0) become_program(supervisor);
	close(report_pipe[1]);
	if (spec.terminal_fd > 0) {
		terminal_wait(streams[0], streams[1]);
		close(streams[2]);
	} else close_streams(streams);
	processes_started(pid);
	return pid;
}

void program_release(void)
{
	char sentence[512];
	size_t used = 0;
	/* Its reading end stays open here: one that ended meanwhile is found by what it left unread. */
	if (write(release_pipe[1], "", 1) != 1) fail_start("The program could not be released: %m.");
	released = true;
	/* Ends without a byte when exec has closed the other end. */
	for (ssize_t count; used < sizeof sentence - 1; used += (size_t)count)
		if ((count = read(report_pipe[0], sentence + used, sizeof sentence - 1 - used)) <= 0) break;
	close(report_pipe[0]);
	sentence[used] = 0;
	if (used > 0) fail_start("%s", sentence);
}

bool program_took_release(void)
{
	int unread = 1;
	return released && ioctl(release_pipe[0], FIONREAD, &unread) == 0 && unread == 0;
}

static void run_afterwards(char **argv)
{
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (int i = 0; i < 3; i++) dup2(null, i);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (chdir("/") < 0) _exit(125);
		reset_signals();
		execve(argv[0], argv, spec.environment.items);
		_exit(127);
	}
	for (int64_t end = now_ms() + AFTERWARDS_MS; pid > 0;) {
		pid_t ended = waitpid(pid, NULL, WNOHANG);
		if (ended != 0) break;
		if (now_ms() >= end) kill(pid, SIGKILL);
		poll(NULL, 0, 2);
	}
}

void program_run_afterwards(void)
{
	for (size_t i = 0; i < spec.afterwards_count; i++) run_afterwards(spec.afterwards[i].items);
	/* What such a command left running (a daemonized clean-up) is of this run as well. */
	if (spec.afterwards_count > 0) processes_kill_all();
}
