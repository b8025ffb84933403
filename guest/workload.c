/* The workload: its control group, its streams, and how it ended. */
#include "guest.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* How long what it sent may still take to be carried once it has ended; how often the root is looked at. */
enum { CARRY_REST_MS = 1000, PIPE_SIZE = 256 << 10, VERITY_MS = 1000 };

struct workload workload = { .directory = "/" };
enum workload_state workload_state;
static struct port stdin_port = { .fd = -1 }, stdout_port = { .fd = -1 }, stderr_port = { .fd = -1 }, keeper = { .fd = -1 };
static struct inlet input = { .id = STDIN };
static struct outlet output = { .id = STDOUT, .port = &stdout_port }, errors = { .id = STDERR, .port = &stderr_port };
static int control_fd, report_fd;
static struct rusage usage;
static int64_t ended_ms, verity_due_ms;
static bool end_typed;

static void set_limit(const char *file, uint64_t limit, const char *value)
{
	NEED(limit == 0 || write_text(text_of(GROUP "/%s", file), value), FAILED_SETUP, "the limit %s=%s could not be set: %m", file, value);
}

static int open_group(const struct limits *limits)
{
	bool done = mkdir(GROUPS, 0755) == 0 && mount("groups", GROUPS, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 &&
	            write_text(GROUPS "/cgroup.subtree_control", "+memory +pids +cpu") &&
	            (mkdir(GROUP, 0755) == 0 || errno == EEXIST);
	NEED(done, FAILED_SETUP, "control groups: %m");
	/* The keeper is one more. */
	set_limit("pids.max", limits->pids, text_of("%llu", (unsigned long long)limits->pids + 1));
	set_limit("memory.max", limits->memory, text_of("%llu", (unsigned long long)limits->memory));
	set_limit("memory.oom.group", limits->memory, "1");
	set_limit("cpu.max", limits->cpu, text_of("%llu 100000", limits->cpu < 10 ? 1000 : (unsigned long long)limits->cpu * 100));
	return open(GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A number in one of the group's files, after `key`. */
static uint64_t read_group(const char *file, const char *key)
{
	char text[2048];
	read_text(text_of(GROUP "/%s", file), text, sizeof text);
	const char *at = strstr(text, key);
	return at == NULL ? 0 : strtoull(at + strlen(key), NULL, 10);
}

/* The workload's end. */
static int make_pipe(struct port *port, bool workload_reads)
{
	int ends[2];
	NEED(pipe2(ends, O_CLOEXEC) == 0, FAILED_INTERNAL, "a pipe could not be made: %m");
	int ours = ends[workload_reads], theirs = ends[!workload_reads];
	fcntl(ours, F_SETPIPE_SZ, PIPE_SIZE);
	fcntl(ours, F_SETFL, O_NONBLOCK);
	port_open(port, ours);
	/* It is the workload's, which may open /dev/stdout anew. */
	NEED(fchown(theirs, workload.user, workload.group) == 0, FAILED_INTERNAL, "a pipe could not be given away: %m");
	return theirs;
}

static int make_terminal(void)
{
	int zero = 0, ours = open_within(NEW_ROOT, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	int theirs = ours < 0 || ioctl(ours, TIOCSPTLCK, &zero) < 0 ? -1 : ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	NEED(theirs >= 0 && fchown(theirs, workload.user, (gid_t)-1) == 0, FAILED_SETUP, "there is no terminal: %m");
	port_open(&stdout_port, ours);
	workload_resize(workload.rows, workload.columns);
	errors.ended = true;
	channel_send(END, STDERR, NULL, 0);
	return theirs;
}

void workload_start(void)
{
	int streams[3], control[2], report[2], keeper_fd, group;
	NEED(workload.argument_count > 0 && workload.user != 0, FAILED_SETUP, "there is no command, or no user to run it");
	if (workload.has_terminal) streams[0] = streams[1] = streams[2] = make_terminal();
	else {
		streams[0] = make_pipe(&stdin_port, true);
		streams[1] = make_pipe(&stdout_port, false);
		streams[2] = make_pipe(&stderr_port, false);
	}
	inlet_open(&input, STDIN, workload.has_terminal ? &stdout_port : &stdin_port, WINDOW);
	NEED((group = open_group(&workload.limits)) >= 0 && pipe2(control, O_CLOEXEC | O_NONBLOCK) == 0 &&
	     pipe2(report, O_CLOEXEC | O_NONBLOCK) == 0, FAILED_INTERNAL, "the workload could not be prepared: %m");
	/* Born in its group: to be moved there would take longer than to be born. */
	struct clone_args how = { .flags = CLONE_NEWPID | CLONE_INTO_CGROUP | CLONE_PIDFD, .exit_signal = SIGCHLD,
		                      .pidfd = (uintptr_t)&keeper_fd, .cgroup = (uint64_t)group };
	long pid = syscall(SYS_clone3, &how, sizeof how);
	if (pid == 0) keeper_run(control[0], report[1], streams);
	NEED(pid > 0, FAILED_INTERNAL, "the keeper could not be started: %m");
	const int theirs[] = { streams[0], streams[1], streams[2], control[0], report[1], group };
	for (size_t i = 0; i < COUNT(theirs); i++) close(theirs[i]);
	control_fd = control[1];
	report_fd = report[0];
	port_open(&keeper, keeper_fd);
	workload_state = RUNNING;
}

void workload_signal(int number)
{
	uint8_t byte = (uint8_t)number;
	if (number < 1 || number > 64) violation("a signal %d", number);
	/* Before there is anybody to take it, and after, it means nothing. A full pipe holds thousands already. */
	if (workload_state == RUNNING && write(control_fd, &byte, 1) != 1) return;
}

void workload_resize(uint16_t rows, uint16_t columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };
	if (!workload.has_terminal) violation("a window size without a terminal");
	if (stdout_port.fd >= 0) ioctl(stdout_port.fd, TIOCSWINSZ, &size);
}

void workload_frame(const struct frame *frame)
{
	struct outlet *outlet = frame->stream == STDOUT ? &output : &errors;
	bool is_input = frame->stream == STDIN;
	if (is_input && frame->type == DATA) inlet_take(&input, frame->payload, frame->length);
	else if (is_input && frame->type == END) inlet_end(&input);
	else if (is_input && frame->type == RESET) input.ended = true;
	else if (!is_input && frame->type == CREDIT) outlet_credit(outlet, get32(frame->payload));
	else if (!is_input && frame->type == RESET && workload_state != NOT_YET) {
		/* The host wants no more of it: the workload's next write breaks, a terminal is hung up. */
		port_close(outlet->port);
		outlet->ended = true;
	} else violation("a frame of type %u on stream %u", frame->type, frame->stream);
}

/* When its processes are dead and what they wrote has been sent. */
static void tell_ending(void)
{
	struct keeper_report report;
	uint8_t payload[256] = { 0 };
	if (read(report_fd, &report, sizeof report) != sizeof report) report = (struct keeper_report){ .status = SIGKILL };
	NEED(report.failure[0] == 0, FAILED_SETUP, "%.250s", report.failure);
	payload[0] = WIFSIGNALED(report.status);
	payload[1] = read_group("memory.events", "oom_kill ") > 0;
	payload[4] = (uint8_t)(payload[0] ? WTERMSIG(report.status) : WEXITSTATUS(report.status));
	const char *facts = text_of("maxRssBytes=%llu\ncpuMs=%llu\n", (unsigned long long)usage.ru_maxrss * 1024,
	                            (unsigned long long)read_group("cpu.stat", "usage_usec ") / 1000);
	memcpy(payload + 8, facts, strlen(facts));
	resolve_report();
	workload_state = REPORTED;
	channel_send(EXIT, CONTROL, payload, 8 + strlen(facts));
}

bool workload_pump(void)
{
	int status;
	if (workload_state == NOT_YET || workload_state == REPORTED) return false;
	bool looks = workload_state == RUNNING && keeper.readable;
	keeper.readable = false;
	/* The keeper is the only child until then. */
	if (looks && wait4(-1, &status, WNOHANG, &usage) > 0) {
		workload_state = ENDED;
		ended_ms = now_ms();
		verity_due_ms = 0;
	}
	if (now_ms() >= verity_due_ms) {
		verity_check();
		verity_due_ms = now_ms() + VERITY_MS;
	}
	bool was_broken = input.broken, done = inlet_pump(&input), more = outlet_pump(&output) | outlet_pump(&errors);
	if (input.broken && !was_broken) channel_send(RESET, STDIN, &(uint32_t){ RESET_DISCARDED }, 4);
	if (done && !workload.has_terminal) port_close(&stdin_port);
	/* A terminal's input has no end: Ctrl-D is typed, twice, since after part of a line the first only hands that over. */
	else if (done && !end_typed) end_typed = write(stdout_port.fd, "\4\4", 2) > 0 || errno != EAGAIN;
	if (workload_state == ENDED && output.ended && errors.ended && (connections_quiet() || now_ms() >= ended_ms + CARRY_REST_MS))
		tell_ending();
	return more;
}
