/*
 * The supervisor of one run: makes its control groups and network, starts it, carries its connections to the gate, and
 * ends everything of it when it, or Vouch, ends. One thread, one epoll loop, no configuration but the spec it is sent.
 *
 * Start at main.c. spec.c reads what to do, control.c talks to Vouch, groups.c and network.c make what the run lives
 * in, program.c starts it, terminal.c carries its terminal, carry.c, resolve.c and sniff.c are the network's three ways,
 * processes.c ends it.
 */
#ifndef VOUCH_SUPERVISOR_H
#define VOUCH_SUPERVISOR_H

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define ENDED_EARLY "what makes the sandbox ended before the command ran; its own words are in the standard error"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- spec.c: exactly what to do; every list is bounded and every text ends in NUL. */
struct texts {
	char **items; /* NULL after the last */
	size_t count;
};
struct pair {
	char *name, *value;
};
struct group {
	char *path;
	struct pair files[32];
	size_t file_count;
};
struct limit {
	int resource;
	uint64_t value;
};
struct descriptor {
	int fd;
	char *bytes;
	size_t size;
};
struct endpoint {
	struct sockaddr_storage address;
	socklen_t length;
};
struct spec {
	struct texts argv, environment, unmount;
	char *directory;
	char *ip, *nft, *gate_commands, *sandbox_commands, *firewall, *gate_interface, *sandbox_interface, *gate_socket;
	struct endpoint resolver, listeners[64];
	struct group groups[16];
	struct limit limits[16];
	struct descriptor descriptors[16];
	struct texts afterwards[8];
	size_t listener_count, group_count, limit_count, descriptor_count, afterwards_count;
	uint64_t redirect_port, max_connections, disk_write_bytes;
	/* 0 for none: the program then waits for its release before exec. */
	uint64_t start_fd;
	/* 1: all is made, and nothing runs until Vouch says so. */
	uint64_t held;
	/* Of the program that makes the terminal, and after it its socket; 0 for none. */
	uint64_t terminal_fd, terminal_rows, terminal_columns;
	bool watches_disk, signals_descendants, wants_network;
};
extern struct spec spec;
void spec_read(void);

/* ---- control.c: the socket to Vouch. Its end means that Vouch died. */
enum { INPUT_LIMIT = 48 << 20 };
struct input {
	char *bytes;
	size_t used, size;
};
extern struct input control_input;
void control_connect(const char *path);
/* Reads what is there, waiting up to `wait_ms`, -1 for ever; false at the end of the stream, on a time-out and past INPUT_LIMIT. */
bool control_fill(int wait_ms);
void control_consume(size_t count);
/* Removes what Vouch and this process met by, which Vouch does unless it died. */
void control_clear_away(void);
bool control_gone(void);
int control_fd(void);
__attribute__((format(printf, 1, 2))) void control_send(const char *format, ...);
/* Writes what is queued; waits for it up to `wait_ms`. */
void control_flush(int wait_ms);
/* Ends a run that could not start: cleans up, reports the sentence (%m is errno's text) and exits. */
__attribute__((format(printf, 1, 2), noreturn)) void fail_start(const char *format, ...);
void *allocate(size_t size);

/* ---- loop.c: one epoll set. A watch is the first member of whatever it serves. */
struct watch {
	int fd;
	void (*ready)(struct watch *watch, uint32_t events);
};
void loop_open(void);
bool loop_add(struct watch *watch, uint32_t events);
void loop_once(int timeout_ms);
/* Frees memory once no event of the current batch can point at it. */
void loop_free_later(void *memory);
int64_t now_ms(void);
/* A tick function returns the milliseconds until it must be called again, -1 for never; this is the earlier of two. */
int sooner(int left, int right);

/* ---- groups.c */
/* Pays in a process of its own, now, for what joining a group would cost later. */
void groups_hurry(void);
void groups_make(void);
/* In the program's process, before exec. Returns the path that could not be joined, or NULL. */
const char *groups_join(void);
void groups_kill(void);
/* Kills that the kernel made for want of memory, all groups together. */
uint64_t groups_memory_kills(void);
void groups_remove(void);

/* ---- processes.c */
void processes_open(void);
void processes_started(pid_t program);
/* A child of ours that no signal for the run is for. */
void processes_not_of_run(pid_t pid);
/* Collects ended children; true once the program has ended. */
bool processes_reap(void);
int processes_program_status(void);
pid_t processes_program(void);
/* Kills and collects every descendant; the number of those that could not be ended, after trying for long. */
size_t processes_kill_all(void);
void processes_signal(int signal_number);
/* Delivers a signal that came before there was anybody to take it. */
int processes_tick(void);
/* Bytes that this run's processes had written to disks, as /proc/PID/io counts. */
uint64_t processes_disk_writes(void);

/* ---- program.c */
void program_open_stdio(const char *control_path);
/* The program's process, up to the moment before exec; with a start descriptor, up to where the program itself waits. */
pid_t program_prepare(void);
/* Lets it go on; on failure does not return. */
void program_release(void);
/* False when it ended while it was still waiting, or on its way there. */
bool program_took_release(void);
void program_run_afterwards(void);

/* ---- terminal.c */
/* Before the program's process is made, and after it: with the ends of its input and output that are then ours. */
void terminal_open(void);
int terminal_inner_end(void);
void terminal_wait(int input, int output);
bool terminal_watch(void);
int terminal_tick(void);
void terminal_resize(uint16_t rows, uint16_t columns);
/* Once all of the run is dead: whether something that it wrote is still to be carried. */
bool terminal_busy(void);
/* In the sandbox: becomes the command, in a session with a terminal of its own. Returns an exit code when it can't. */
int terminal_inside(int program, char **argv);

/* ---- network.c */
struct counters {
	uint64_t tx_bytes, tx_packets, rx_bytes, rx_packets, resent_bytes;
};
void namespaces_enter(void);
/* Both network namespaces, the program prepared in the sandbox one, this process left in the gate one. */
pid_t network_open(void);
struct counters network_counters(void);

/* ---- tools.c: ip and nft */
struct tool {
	pid_t pid;
	int input, errors;
	const char *name;
};
/* `namespace_fd` is the network namespace it runs in, -1 for this process's own. */
struct tool tool_start(const char *name, char *const argv[], int namespace_fd);
void tool_feed(struct tool *tool, const char *text);
void tool_finish(struct tool *tool);
/* Text with every `mark` replaced. */
char *replaced(const char *text, const char *mark, const char *by);

/* ---- gate.c: streams to the gate */
uint32_t next_conversation_id(void);
/* A stream to the gate with its header line queued: -1 with errno, EAGAIN when the gate's queue is full. */
int gate_connect(const char *kind, uint32_t id, const struct sockaddr_storage *source,
                 const struct sockaddr_storage *destination);
void address_text(const struct sockaddr_storage *address, char text[46], uint16_t *port);

/* ---- carry.c: TCP connections to the gate */
void carry_open(int listener, bool redirected);
int carry_tick(void);
/* Whether something that the program sent may still have to be carried. */
bool carry_busy(void);
void carry_close(void);

/* ---- resolve.c: DNS datagrams to the gate */
void resolve_open(int socket_fd);
int resolve_tick(void);
/* What still waits was sent before the end and gets no answer: it is reported as refused. */
void resolve_close(void);

/* ---- sniff.c: whatever else arrives */
void sniff_open(const char *interface);
void sniff_refuse(const struct sockaddr_storage *source, const struct sockaddr_storage *destination, size_t bytes);
void sniff_close(void);

/* kvm-probe.c: 0 and "a guest ran", or 1 and what went wrong, on standard output. */
int kvm_probe(void);

#endif
