/*
 * Everything that descends from the supervisor. As the subreaper it is handed every orphan of the run, so that "no
 * child left to wait for" means exactly "nothing of the run is left".
 */
#include "supervisor.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* GIVE_UP_MS: only a process that we may not signal, or that the kernel itself holds, lives that long. */
enum { RETRY_MS = 10, GIVE_UP_MS = 10000 };

struct process {
	pid_t pid, parent;
};
static struct process *found;
static size_t found_count, found_size;

static pid_t program = -1, not_of_run = -1;
static int program_status = SIGKILL; /* what it counts as having ended with when it never could be collected */
static bool program_ended;
static int pending_signal;
static uint64_t own_writes_before, writes_seen, writes_lost;

static size_t read_text(int directory, const char *path, char *text, size_t size)
{
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? 0 : read(fd, text, size - 1);
	if (fd >= 0) close(fd);
	text[count > 0 ? count : 0] = 0;
	return count > 0 ? (size_t)count : 0;
}

static uint64_t disk_writes_of(const char *path)
{
	char text[1024];
	read_text(AT_FDCWD, path, text, sizeof text);
	const char *at = strstr(text, "\nwrite_bytes: ");
	return at == NULL ? 0 : strtoull(at + 14, NULL, 10);
}

void processes_open(void)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) fail_start("The supervisor could not adopt the run's processes: %m.");
	if (access("/proc/thread-self/children", R_OK) < 0)
		fail_start("This kernel does not list the children of a process (CONFIG_PROC_CHILDREN), which ending a run needs.");
	own_writes_before = disk_writes_of("/proc/self/io");
}

void processes_started(pid_t pid)
{
	program = pid;
}

void processes_not_of_run(pid_t pid)
{
	not_of_run = pid;
}

pid_t processes_program(void)
{
	return program;
}

int processes_program_status(void)
{
	return program_status;
}

static void add_children_of_thread(pid_t pid, const char *thread)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", pid, thread);
	FILE *file = fopen(path, "re");
	for (int child; file != NULL && fscanf(file, "%d", &child) == 1;) {
		if (found_count == found_size) {
			found_size = found_size ? found_size * 2 : 256;
			found = realloc(found, found_size * sizeof *found);
			if (found == NULL) abort();
		}
		found[found_count++] = (struct process){ child, pid };
	}
	if (file != NULL) fclose(file);
}

static void add_children(pid_t pid)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *threads = opendir(path);
	for (struct dirent *entry; threads != NULL && (entry = readdir(threads)) != NULL;)
		if (entry->d_name[0] != '.') add_children_of_thread(pid, entry->d_name);
	if (threads != NULL) closedir(threads);
}

/* Fills `found` with every descendant, parents before children. */
static void find_descendants(void)
{
	found_count = 0;
	add_children(getpid());
	for (size_t i = 0; i < found_count; i++) add_children(found[i].pid);
}

/* Signals the process that was found, never another one that has got its number since. */
static bool send_signal(const struct process *process, int number)
{
	char path[32], text[512];
	snprintf(path, sizeof path, "/proc/%d", process->pid);
	int handle = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (handle < 0) return false;
	read_text(handle, "stat", text, sizeof text);
	/* The name, in parentheses, may hold anything: the fields start after the last one. */
	const char *fields = strrchr(text, ')');
	pid_t parent = fields == NULL || strlen(fields) < 4 ? -1 : (pid_t)strtol(fields + 4, NULL, 10);
	bool sent = (parent == process->parent || parent == getpid()) &&
	            syscall(SYS_pidfd_send_signal, handle, number, NULL, 0) == 0;
	close(handle);
	return sent;
}

bool processes_reap(void)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid == not_of_run) not_of_run = -1;
		if (pid != program) continue;
		program_ended = true;
		program_status = status;
	}
	return program_ended;
}

size_t processes_kill_all(void)
{
	sigset_t child_ended;
	siginfo_t ended;
	sigemptyset(&child_ended);
	sigaddset(&child_ended, SIGCHLD);
	for (int64_t end = now_ms() + GIVE_UP_MS; now_ms() < end;) {
		groups_kill();
		find_descendants();
		for (size_t i = 0; i < found_count; i++) send_signal(&found[i], SIGKILL);
		processes_reap();
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 && errno == ECHILD) return 0;
		sigtimedwait(&child_ended, NULL, &(struct timespec){ .tv_nsec = 5000000 });
		processes_reap();
	}
	return found_count;
}

/* First process of a process-id namespace below ours: bwrap's own, which forwards no signal. */
static bool is_namespace_init(pid_t pid)
{
	char path[32], text[4096];
	int own, second, last = 0, count = 0, at = 0;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	read_text(AT_FDCWD, path, text, sizeof text);
	const char *ids = strstr(text, "\nNSpid:");
	if (ids == NULL || sscanf(ids + 7, "%d%n", &own, &at) != 1) return false;
	for (ids += 7 + at; sscanf(ids, "%*[\t]%d%n", &second, &at) == 1; ids += at, count++) last = second;
	return count > 0 && last == 1;
}

static bool signal_descendants(int number)
{
	bool any = false;
	find_descendants();
	for (size_t i = 0; i < found_count; i++) {
		if (found[i].pid == program || found[i].pid == not_of_run || is_namespace_init(found[i].pid)) continue;
		any = send_signal(&found[i], number) || any;
	}
	return any;
}

void processes_signal(int number)
{
	if (!spec.signals_descendants) {
		if (!program_ended) kill(program, number);
		return;
	}
	pending_signal = signal_descendants(number) ? 0 : number;
}

int processes_tick(void)
{
	static bool were_there;
	if (pending_signal == 0) return -1;
	/* Not to a process that was made this moment: before its exec it may still swallow the signal, as shells do. */
	bool are_there = signal_descendants(0);
	if (are_there && were_there && signal_descendants(pending_signal)) pending_signal = 0;
	were_there = are_there;
	return pending_signal == 0 ? -1 : RETRY_MS;
}

uint64_t processes_disk_writes(void)
{
	/* A parent that collects a child takes over its count; the run's last collector is this process. */
	uint64_t sum = disk_writes_of("/proc/self/io") - own_writes_before;
	find_descendants();
	for (size_t i = 0; i < found_count; i++) {
		char path[32];
		snprintf(path, sizeof path, "/proc/%d/io", found[i].pid);
		sum += disk_writes_of(path);
	}
	/* One whose parent ignores SIGCHLD takes its count with it: what was seen once stays counted. */
	if (sum + writes_lost < writes_seen) writes_lost = writes_seen - sum;
	return writes_seen = sum + writes_lost;
}
