/* vouch-supervisor CONTROL-SOCKET: the life of one run, from its instructions to its ending. */
#include "supervisor.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often disk writes are looked at, and how long what the ended program sent may still take to be carried. */
enum { DISK_WATCH_MS = 100, CARRY_REST_MS = 1000, REPORT_MS = 2000, LAST_WORDS_MS = 50, OUT_OF_MEMORY_EXIT = 128 + SIGKILL };

static const char *cause = "program";
static bool over, may_go, impatient;

static void end_because(const char *why)
{
	if (!over) cause = why;
	over = true;
}

static void signals_ready(struct watch *watch, uint32_t events)
{
	struct signalfd_siginfo info;
	(void)events;
	while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
		/* An interrupt from a terminal is Vouch's to interpret; being asked to end means ending the run. */
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGHUP) end_because("killed");
	if (processes_reap()) end_because("program");
}

/* `go`, `signal N`, `resize ROWS COLUMNS`, `watch-disk BYTES` and `kill`, one to a line. Anything else means that this is not Vouch. */
static void obey(const char *line)
{
	char *end;
	if (strcmp(line, "go") == 0) {
		may_go = true;
		return;
	}
	if (strncmp(line, "signal ", 7) == 0) {
		long number = strtol(line + 7, &end, 10);
		if (*end == 0 && number > 0 && number < NSIG) {
			processes_signal((int)number);
			return;
		}
	}
	unsigned short rows, columns;
	int length = 0;
	if (sscanf(line, "resize %hu %hu%n", &rows, &columns, &length) == 2 && line[length] == 0 && spec.terminal_fd > 0) {
		terminal_resize(rows, columns);
		return;
	}
	if (strncmp(line, "watch-disk ", 11) == 0) {
		long long bytes = strtoll(line + 11, &end, 10);
		if (*end == 0 && bytes > 0) {
			spec.watches_disk = true;
			spec.disk_write_bytes = processes_disk_writes() + (uint64_t)bytes;
			return;
		}
	}
	impatient = true;
	end_because("killed");
}

static void obey_all(void)
{
	for (char *end; control_input.used > 0 && (end = memchr(control_input.bytes, '\n', control_input.used)) != NULL;) {
		*end = 0;
		obey(control_input.bytes);
		control_consume((size_t)(end + 1 - control_input.bytes));
	}
	if (control_input.used > 64) end_because("killed");
}

static void control_ready(struct watch *watch, uint32_t events)
{
	(void)watch;
	if (events & EPOLLIN) control_fill(0);
	obey_all();
	if (control_gone()) end_because("killed");
}

/* Milliseconds until the disk writes must be looked at again. */
static int watch_disk(void)
{
	static int64_t next;
	int64_t now = now_ms();
	if (!spec.watches_disk) return -1;
	if (now < next) return (int)(next - now);
	if (processes_disk_writes() > spec.disk_write_bytes) end_because("disk-write-limit");
	next = now + DISK_WATCH_MS;
	return DISK_WATCH_MS;
}

static int tick(void)
{
	int wait_ms = sooner(terminal_tick(), sooner(carry_tick(), spec.wants_network ? resolve_tick() : -1));
	control_flush(0);
	return wait_ms;
}

static void carry_rest(void)
{
	bool vouch_is_there = !control_gone();
	int64_t end = now_ms() + (vouch_is_there ? CARRY_REST_MS : 0);
	/* One round at least: what waits in the listeners' queues was sent before the end. */
	do loop_once(0);
	while (carry_busy() && now_ms() < end && (loop_once(sooner(tick(), 5)), true));
	carry_close();
	resolve_close();
	sniff_close();
}

/* What the command wrote to its terminal last. Whoever shows it may take long; whoever asks again is not kept waiting. */
static void carry_last_words(void)
{
	while (spec.terminal_fd > 0 && terminal_busy() && !impatient && !control_gone()) loop_once(sooner(tick(), LAST_WORDS_MS));
}

static void report_ending(size_t left)
{
	int status = processes_program_status();
	bool signalled = WIFSIGNALED(status);
	bool killed = signalled ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == OUT_OF_MEMORY_EXIT;
	char counters[256] = "null", outcome[64], message[160] = "null";
	if (spec.wants_network) {
		struct counters read = network_counters();
		snprintf(counters, sizeof counters,
		         "{\"txBytes\":%llu,\"txPackets\":%llu,\"rxBytes\":%llu,\"rxPackets\":%llu,\"retransmittedBytes\":%llu}",
		         (unsigned long long)read.tx_bytes, (unsigned long long)read.tx_packets,
		         (unsigned long long)read.rx_bytes, (unsigned long long)read.rx_packets,
		         (unsigned long long)read.resent_bytes);
	}
	if (strcmp(cause, "program") == 0 && killed && groups_memory_kills() > 0) cause = "out-of-memory";
	if (strcmp(cause, "program") == 0 && !program_took_release()) {
		cause = "failed-to-start";
		snprintf(message, sizeof message, "\"" ENDED_EARLY "\"");
	}
	program_run_afterwards();
	groups_remove();
	if (signalled) snprintf(outcome, sizeof outcome, "\"exitCode\":null,\"signal\":%d", WTERMSIG(status));
	else snprintf(outcome, sizeof outcome, "\"exitCode\":%d,\"signal\":null", WEXITSTATUS(status));
	if (left > 0)
		snprintf(message, sizeof message, "\"%zu processes of the run could not be ended and may still run.\"", left);
	control_send("{\"event\":\"ended\",%s,\"cause\":\"%s\",\"message\":%s,\"counters\":%s}", outcome, cause, message,
	             counters);
	control_flush(REPORT_MS);
}

static int take_signals(void)
{
	sigset_t taken;
	sigemptyset(&taken);
	const int numbers[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };
	for (size_t i = 0; i < COUNT(numbers); i++) sigaddset(&taken, numbers[i]);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &taken, NULL);
	return signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void leave_standard_streams(void)
{
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		if (null >= 0) dup2(null, i);
	if (null > 2) close(null);
}

int main(int count, char **arguments)
{
	if (count == 2 && strcmp(arguments[1], "--probe-kvm") == 0) return kvm_probe();
	if (count > 3 && strcmp(arguments[1], "--terminal") == 0) return terminal_inside(atoi(arguments[2]), arguments + 3);
	if (count != 2) {
		fprintf(stderr, "usage: vouch-supervisor CONTROL-SOCKET (Vouch starts this program, people do not)\n");
		return 64;
	}
	/* What whoever started us left open is not ours to hold. */
	close_range(3, ~0U, 0);
	struct watch signals = { take_signals(), signals_ready };
	setsid();
	groups_hurry();
	program_open_stdio(arguments[1]);
	control_connect(arguments[1]);
	leave_standard_streams();
	spec_read();
	loop_open();
	processes_open();
	groups_make();
	namespaces_enter();
	pid_t program = spec.wants_network ? network_open() : program_prepare();
	struct watch control = { control_fd(), control_ready };
	if (!loop_add(&signals, EPOLLIN) || !loop_add(&control, EPOLLIN | EPOLLRDHUP) || !terminal_watch())
		fail_start("The supervisor's own events could not be watched: %m.");
	if (control_gone()) fail_start("Vouch went away.");
	obey_all();
	while (spec.held && !may_go && !over) loop_once(tick());
	if (!over) {
		program_release();
		control_send("{\"event\":\"started\",\"pid\":%d}", program);
	}
	while (!over) loop_once(sooner(tick(), sooner(watch_disk(), processes_tick())));
	size_t left = processes_kill_all();
	carry_last_words();
	carry_rest();
	report_ending(left);
	return 0;
}
