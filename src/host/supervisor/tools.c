/* ip and nft: programs that read their commands from standard input, run in one of the two network namespaces. */
#include "supervisor.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TOOL_MS = 10000 };

char *replaced(const char *text, const char *mark, const char *by)
{
	size_t count = 0, mark_size = strlen(mark), by_size = strlen(by);
	for (const char *at = text; (at = strstr(at, mark)) != NULL; at += mark_size) count++;
	char *result = allocate(strlen(text) + count * by_size + 1), *end = result;
	for (const char *at; (at = strstr(text, mark)) != NULL; text = at + mark_size) {
		end = mempcpy(end, text, (size_t)(at - text));
		end = mempcpy(end, by, by_size);
	}
	strcpy(end, text);
	return result;
}

struct tool tool_start(const char *name, char *const argv[], int namespace_fd)
{
	int input[2], errors[2];
	if (pipe2(input, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0) fail_start("A pipe to %s could not be made: %m.", name);
	pid_t pid = fork();
	if (pid < 0) fail_start("%s could not be started: %m.", name);
	if (pid == 0) {
		char *const environment[] = { "LC_ALL=C", NULL };
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(input[0], 0);
		dup2(errors[1], 1);
		dup2(errors[1], 2);
		if (namespace_fd >= 0 && setns(namespace_fd, CLONE_NEWNET) < 0) dprintf(2, "setns: %m");
		else if (execve(argv[0], argv, environment) < 0) dprintf(2, "%s: %m", argv[0]);
		_exit(127);
	}
	close(input[0]);
	close(errors[1]);
	return (struct tool){ .pid = pid, .input = input[1], .errors = errors[0], .name = name };
}

void tool_feed(struct tool *tool, const char *text)
{
	/* A spec's text is smaller than a pipe's buffer: this never waits. */
	size_t size = strlen(text);
	fcntl(tool->input, F_SETFL, O_NONBLOCK);
	if (write(tool->input, text, size) != (ssize_t)size && size > 0) kill(tool->pid, SIGKILL);
	close(tool->input);
}

void tool_finish(struct tool *tool)
{
	char said[300];
	size_t used = 0;
	int status = 0;
	int64_t end = now_ms() + TOOL_MS;
	struct pollfd pollers[2] = { { .fd = tool->errors, .events = POLLIN }, { .fd = control_fd(), .events = POLLRDHUP } };
	for (bool open = true; open;) {
		int64_t left = end - now_ms();
		if (left <= 0 || poll(pollers, 2, (int)left) < 0) fail_start("%s did not end in time.", tool->name);
		if (pollers[1].revents != 0) fail_start("Vouch went away.");
		if (pollers[0].revents == 0) continue;
		char rest[300];
		bool keep = used < sizeof said - 1;
		ssize_t count = read(tool->errors, keep ? said + used : rest, keep ? sizeof said - 1 - used : sizeof rest);
		open = count > 0;
		if (open && keep) used += (size_t)count;
	}
	close(tool->errors);
	said[used] = 0;
	if (waitpid(tool->pid, &status, 0) != tool->pid || status != 0) {
		if (processes_reap()) fail_start(ENDED_EARLY);
		fail_start("%s could not set up the network: %s", tool->name, used > 0 ? said : "it ended without a reason.");
	}
}
