/*
 * PID 1 of a microVM: opens the verified root, composes what the workload may see, runs it as an unprivileged user, and
 * carries its streams and connections to the host over one channel. One thread, one epoll loop, nothing that waits for the
 * host. The contract is docs/reference/guest-protocol.md. Start at main.c.
 *
 * Linked with glibc, statically, rather than against bare headers: its system call wrappers are right on three
 * architectures, for 0.7 MB. What it could surprise with is not used: of stdio only formatting and scanning of text in
 * memory, no locale, no name service, no threads, no allocator but readdir's. Memory is static, or mapped up to fixed bounds.
 */
#ifndef VOUCH_GUEST_H
#define VOUCH_GUEST_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the protocol is read and written in memory's own order");
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LIKE_PRINTF(which) __attribute__((format(printf, which, which + 1)))

/* ---- console.c. In texts %m is errno's. */
enum failure { FAILED_VERITY = 1, FAILED_SETUP, FAILED_PROTOCOL, FAILED_EXEC, FAILED_INTERNAL };
LIKE_PRINTF(1) void say(const char *format, ...);
/* Says why on the console and to the host, and powers off. */
LIKE_PRINTF(2) __attribute__((noreturn)) void fail(enum failure reason, const char *format, ...);
#define NEED(done, ...) do { if (!(done)) fail(__VA_ARGS__); } while (0)
#define violation(...) fail(FAILED_PROTOCOL, "the host sent " __VA_ARGS__)
__attribute__((noreturn)) void power_off(void);
/* A text that lasts for the next few calls. */
LIKE_PRINTF(1) const char *text_of(const char *format, ...);
/* Bytes of a small file as text, without its last newline; 0 when it cannot be read. */
size_t read_text(const char *path, char *text, size_t size);
bool write_text(const char *path, const char *text);

/* ---- command-line.c, frame.c, record.c parse, touch nothing, and are fuzzed: test/guest/fuzz.test.ts. */
struct verity_words {
	uint64_t data_blocks, hash_start;
	char salt[129], root_hash[65]; /* hexadecimal; "-" for no salt */
};
/* What is wrong with it, or NULL. Writes into the text. */
const char *command_line_parse(char *text, char rootfs[9], struct verity_words *verity);

enum { MAGIC = 0x48435556, GENERATION = 1, HEADER_SIZE = 12, PAYLOAD_LIMIT = 65536 };
enum frame_type { READY = 1, HELLO, HELLO_OK, DATA, CREDIT, END, RESET, OPEN, SIGNAL, WINDOW_SIZE, EXIT, FAILED, PING, PONG,
	REFUSED_DATAGRAM, POWER_OFF, COLLECT, FRAME_TYPES };
enum { RESET_REFUSED = 1, RESET_GONE, RESET_DISCARDED };
enum { CONTROL, STDIN, STDOUT, STDERR, SETUP, CHANGES, FIRST_CONNECTION = 16 };
struct frame { uint8_t type; uint32_t stream, length; const uint8_t *payload; };
/* 1: a whole frame that a host may send; 0: there is more to come; -1: a violation, and *wrong says which. */
int frame_read(const uint8_t *bytes, size_t size, struct frame *frame, const char **wrong);
static inline uint16_t get16(const void *at) { uint16_t value; return memcpy(&value, at, 2), value; }
static inline uint32_t get32(const void *at) { uint32_t value; return memcpy(&value, at, 4), value; }
static inline uint64_t get64(const void *at) { uint64_t value; return memcpy(&value, at, 8), value; }

enum { RECORD_HEADER = 8, RECORD_LIMIT = 1 << 20 };
struct record {
	char kind;
	uint64_t numbers[4];
	const char *texts[4], *list, *end; /* the list is NULL when it is empty, and ends before `end` */
	const uint8_t *bytes;
	size_t size;
};
/* As frame_read; *wanted says how many bytes there must be and may be. The byte after them is written: a last NUL. */
int record_read(uint8_t *bytes, size_t size, struct record *record, size_t *wanted, const char **wrong);
const char *list_next(const struct record *record, const char *text);
struct limits { uint64_t pids, memory, nofile, cpu; }; /* as the record m has them; 0: none */
/* u16 port, 16 bytes address, IPv4's mapped; false when it is not all there, or not of the loopback. */
enum { LISTENER_SIZE = 2 + 16 };
bool listener_read(const uint8_t *bytes, size_t size, struct sockaddr_in6 *address);

/* ---- boot.c, disk.c, verity.c */
void boot(void);
/* The modules of a channel over vsock, or all others. */
void modules_load(bool of_vsock);
/* The device that `serial:NAME` or `index:N` means, NULL when there is none within the time. */
const char *disk_find(const char *name, int wait_ms);
/* Where below /run it is mounted; one device is mounted once. */
const char *disk_mount(const char *name, const char *type, unsigned long flags);
void verity_open(const char *device, const struct verity_words *words, const char *type);
/* Ends everything when a block of the root was found not to be what was measured. */
void verity_check(void);

/* ---- main.c: the loop, edge-triggered. A port may be ready until whoever uses it meets EAGAIN. */
struct port { int fd; bool readable, writable; }; /* fd -1: none */
void loop_open(void);
void port_open(struct port *port, int fd);
void port_close(struct port *port);
void loop_wait(int timeout_ms);
int64_t now_ms(void);

/* ---- channel.c: frames to and from the host */
void channel_open(void);
/* True once a host is connected; waits for one, without end when the time is negative. */
bool channel_wait(int timeout_ms);
/* Handles what has come; true when there may be more. */
bool channel_read(void);
/* True when there is room again for what had none. */
bool channel_write(void);
/* Room for a payload of up to `*size` bytes, or NULL. What is read into it is sent by commit. */
uint8_t *channel_reserve(size_t *size);
void channel_commit(uint8_t type, uint32_t stream, size_t size);
/* Whether a few small frames have room; whoever sends one asks first, or does it once in a life. */
bool channel_has_room(void);
void channel_send(uint8_t type, uint32_t stream, const void *payload, size_t size);

/* ---- stream.c: bytes from the host to a descriptor (inlet) and from one to the host (outlet) */
enum { WINDOW = 256 << 10, SETUP_CREDIT = 65536 };
struct inlet {
	uint32_t id, window, credit, due; /* what the host may still send; what is carried on and not granted again */
	struct port *port;
	uint8_t *held; /* `window` bytes, mapped when first needed */
	size_t start, end;
	bool ended, broken; /* by the host; the descriptor takes nothing any more */
};
struct outlet { uint32_t id, credit; struct port *port; bool ended, broken; };
void inlet_open(struct inlet *inlet, uint32_t id, struct port *port, uint32_t window);
void inlet_take(struct inlet *inlet, const uint8_t *bytes, size_t size);
void inlet_end(struct inlet *inlet);
/* Carries on what is held, and grants; true once all up to the end has been carried. */
bool inlet_pump(struct inlet *inlet);
/* Gives credit again for bytes that were taken. */
void inlet_grant(struct inlet *inlet, size_t size);
void inlet_close(struct inlet *inlet);
void outlet_credit(struct outlet *outlet, uint32_t credit);
/* Sends one frame's worth, after the last byte END; true when there may be more. */
bool outlet_pump(struct outlet *outlet);

/* ---- session.c, setup.c, root.c */
void session_start(void);
void session_frame(const struct frame *frame);
void setup_open(void);
void setup_take(const uint8_t *bytes, size_t size);
#define NEW_ROOT "/newroot"
extern bool root_composed;
extern char root_changes[64]; /* where the workspace's are; empty for none */
void root_make(const struct record *record);
void root_compose(void);
void root_mount(const struct record *record);
/* What `path` means to somebody whose root is `root`: a descriptor, or -1 with errno. */
int open_within(const char *root, const char *path, int flags);

/* ---- workload.c, keeper.c, rehearsal.c, changes.c */
extern struct workload {
	const char *arguments[4097], *environment[4097], *directory;
	size_t argument_count, environment_count, filter_size;
	uid_t user;
	gid_t group;
	struct limits limits;
	const void *filter; /* a seccomp program of the host's, beside our own */
	bool has_terminal, wants_proc;
	uint16_t rows, columns;
} workload;
extern enum workload_state { NOT_YET, RUNNING, ENDED, REPORTED } workload_state;
#define GROUPS "/run/groups"
#define GROUP GROUPS "/workload"
void workload_start(void);
void workload_signal(int number);
void workload_resize(uint16_t rows, uint16_t columns);
void workload_frame(const struct frame *frame);
bool workload_pump(void);
struct keeper_report { int status; char failure[256]; };
/* `streams` become the workload's own. */
__attribute__((noreturn)) void keeper_run(int control, int report, const int streams[3]);
void rehearse(void);
void changes_start(void);
void changes_frame(const struct frame *frame);
bool changes_pump(void);

/* ---- network.c, connection.c, resolve.c. Sockets are IPv6's and take both; IPv4 addresses are mapped ones. */
struct listeners { int tcp, dns, refused; };
struct listeners network_open(void);
enum connection_kind { CARRIED_TCP = 1, CARRIED_DNS };
void connections_listen(int fd);
/* Carries what `fd` is connected to; false, with `fd` closed, when there are too many. */
bool connections_add(int fd, enum connection_kind kind, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to);
void connections_frame(const struct frame *frame);
bool connections_pump(void);
/* Everything that the workload sent has been carried. */
bool connections_quiet(void);
void resolve_open(int dns_fd, int refused_fd);
bool resolve_pump(void);
void resolve_report(void);

#endif
