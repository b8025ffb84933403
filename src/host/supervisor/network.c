/*
 * The namespaces of a run. The workload's one (S) and the gate's one (G) are joined by a veth pair; this process moves
 * to G for good, which has no way out: what it still reaches outside is the gate's Unix socket.
 */
#include "supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* Largest payload of one unanswered segment: what met a connection that had been reset counts as that, see below. */
enum { MTU = 1500, SEGMENT_MOST = 65535, BACKLOG = 4096, QUEUE_BYTES = 4 << 20 };

static int sandbox_fd = -1, sandbox_devices = -1, sandbox_tcp = -1, gate_tcp = -1;

static bool write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written = fd < 0 ? -1 : write(fd, value, strlen(value));
	if (fd >= 0) close(fd);
	return written == (ssize_t)strlen(value);
}

static void enter_user_namespace(void)
{
	char map[2][64];
	snprintf(map[0], sizeof map[0], "0 %u 1\n", geteuid());
	snprintf(map[1], sizeof map[1], "0 %u 1\n", getegid());
	if (unshare(CLONE_NEWUSER) < 0) fail_start("A user namespace, which this needs without root, was refused: %m.");
	if (!write_setting("/proc/self/setgroups", "deny") || !write_setting("/proc/self/uid_map", map[0]) ||
	    !write_setting("/proc/self/gid_map", map[1]))
		fail_start("The user namespace could not be set up: %m.");
}

static bool is_mounted(const char *path)
{
	char *line = NULL, point[4096];
	size_t size = 0;
	bool mounted = false;
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	while (mounts != NULL && getline(&line, &size, mounts) > 0)
		if (sscanf(line, "%*d %*d %*s %*s %4095s", point) == 1 && strcmp(point, path) == 0) mounted = true;
	if (mounts != NULL) fclose(mounts);
	free(line);
	return mounted || mounts == NULL;
}

void namespaces_enter(void)
{
	bool mounts = spec.unmount.count > 0;
	if ((mounts || spec.wants_network) && geteuid() != 0) enter_user_namespace();
	if (!mounts) return;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail_start("A private view of the mounts could not be made: %m.");
	for (size_t i = 0; i < spec.unmount.count; i++) {
		const char *path = spec.unmount.items[i];
		if (umount2(path, MNT_DETACH) < 0 && is_mounted(path)) fail_start("%.300s could not be unmounted: %m.", path);
	}
}

/* Silence on the wire: no duplicate-address probes, no router discovery, no addresses of the kernel's own choice. */
static void make_quiet(void)
{
	static const char *const settings[][2] = {
		{ "/proc/sys/net/ipv6/conf/default/accept_dad", "0" },
		{ "/proc/sys/net/ipv6/conf/default/dad_transmits", "0" },
		{ "/proc/sys/net/ipv6/conf/default/accept_ra", "0" },
		{ "/proc/sys/net/ipv6/conf/default/router_solicitations", "0" },
		{ "/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1" },
	};
	/* Comfort, not safety: where one can't be written there are a few more refused datagrams to report. */
	for (size_t i = 0; i < COUNT(settings); i++) write_setting(settings[i][0], settings[i][1]);
}

/* In the gate's namespace every address is local: it must not answer pings for the world, and must refuse UDP at once. */
static void make_unanswering(void)
{
	static const char *const settings[][2] = {
		{ "/proc/sys/net/ipv4/icmp_echo_ignore_all", "1" },
		{ "/proc/sys/net/ipv6/icmp/echo_ignore_all", "1" },
		{ "/proc/sys/net/ipv4/icmp_ratelimit", "0" },
		{ "/proc/sys/net/ipv6/icmp/ratelimit", "0" },
	};
	for (size_t i = 0; i < COUNT(settings); i++) write_setting(settings[i][0], settings[i][1]);
}

static int open_counters(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) fail_start("The network's counters could not be opened: %m.");
	return fd;
}

/* A socket bound to an address that may only come to exist a moment later; -1 where the kernel lacks that family. */
static int bind_socket(int type, const struct endpoint *at, const char *what)
{
	int one = 1, queue = QUEUE_BYTES, fd = socket(at->address.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 && errno == EAFNOSUPPORT) return -1;
	bool v6 = at->address.ss_family == AF_INET6;
	if (fd < 0 || setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof one) < 0 ||
	    (v6 && setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof one) < 0) ||
	    bind(fd, (const struct sockaddr *)&at->address, at->length) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		fail_start("The %s could not be opened: %m.", what);
	if (type == SOCK_DGRAM) setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue);
	return fd;
}

static void open_redirect_listeners(void)
{
	struct endpoint any = { .length = sizeof(struct sockaddr_in) };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&any.address;
	*v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)spec.redirect_port) };
	carry_open(bind_socket(SOCK_STREAM, &any, "listener for IPv4 connections"), true);
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&any.address;
	*v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)spec.redirect_port) };
	any.length = sizeof *v6;
	int listener = bind_socket(SOCK_STREAM, &any, "listener for IPv6 connections");
	if (listener >= 0) carry_open(listener, true);
}

pid_t network_open(void)
{
	char pid_text[16], *batch[] = { spec.ip, "-batch", "-", NULL }, *firewall[] = { spec.nft, "-f", "-", NULL };
	if (unshare(CLONE_NEWNET) < 0) fail_start("The sandbox's network namespace was refused: %m.");
	make_quiet();
	sandbox_fd = open_counters("/proc/thread-self/ns/net");
	sandbox_devices = open_counters("/proc/thread-self/net/dev");
	sandbox_tcp = open_counters("/proc/thread-self/net/snmp");
	for (size_t i = 0; i < spec.listener_count; i++) {
		int listener = bind_socket(SOCK_STREAM, &spec.listeners[i], "listener on a loopback address of the sandbox");
		if (listener >= 0) carry_open(listener, false);
	}
	pid_t program = program_prepare();
	if (unshare(CLONE_NEWNET) < 0) fail_start("The gate's network namespace was refused: %m.");
	gate_tcp = open_counters("/proc/thread-self/net/snmp");
	make_quiet();
	/* All three load at once: the sandbox's ip waits for its commands until the gate's, the slowest, has made the link. */
	struct tool gate = tool_start("ip", batch, -1);
	snprintf(pid_text, sizeof pid_text, "%d", program);
	char *commands = replaced(spec.gate_commands, "@SANDBOX_PID@", pid_text);
	tool_feed(&gate, commands);
	free(commands);
	struct tool nft = tool_start("nft", firewall, -1);
	tool_feed(&nft, spec.firewall);
	struct tool sandbox = tool_start("ip", batch, sandbox_fd);
	make_unanswering();
	open_redirect_listeners();
	resolve_open(bind_socket(SOCK_DGRAM, &spec.resolver, "resolver"));
	tool_finish(&gate);
	tool_feed(&sandbox, spec.sandbox_commands);
	sniff_open(spec.gate_interface);
	tool_finish(&sandbox);
	tool_finish(&nft);
	return program;
}

static void read_again(int fd, char *text, size_t size)
{
	ssize_t count = pread(fd, text, size - 1, 0);
	text[count > 0 ? count : 0] = 0;
}

/* Field `name` of the `Tcp:` table in /proc/net/snmp: a line of names, then a line of numbers. */
static uint64_t tcp_counter(int fd, const char *name)
{
	char text[8192], *names_end, *numbers_end;
	read_again(fd, text, sizeof text);
	char *names = strstr(text, "\nTcp: "), *numbers = names == NULL ? NULL : strstr(names + 6, "\nTcp: ");
	if (numbers == NULL) return 0;
	*numbers = 0;
	char *field = strtok_r(names + 6, " ", &names_end), *number = strtok_r(numbers + 6, " \n", &numbers_end);
	for (; field != NULL && number != NULL;
	     field = strtok_r(NULL, " ", &names_end), number = strtok_r(NULL, " \n", &numbers_end))
		if (strcmp(field, name) == 0) return strtoull(number, NULL, 10);
	return 0;
}

struct counters network_counters(void)
{
	struct counters counters = { 0 };
	char text[8192], line[40];
	read_again(sandbox_devices, text, sizeof text);
	snprintf(line, sizeof line, " %s:", spec.sandbox_interface);
	const char *at = strstr(text, line);
	unsigned long long rx_bytes, rx_packets, tx_bytes, tx_packets;
	if (at != NULL && sscanf(at + strlen(line), "%llu %llu %*u %*u %*u %*u %*u %*u %llu %llu", &rx_bytes, &rx_packets,
	                         &tx_bytes, &tx_packets) == 4)
		counters = (struct counters){ tx_bytes, tx_packets, rx_bytes, rx_packets, 0 };
	/* Each reset that the gate sent may have met one segment that no connection was left to count. */
	counters.resent_bytes = tcp_counter(sandbox_tcp, "RetransSegs") * MTU + tcp_counter(gate_tcp, "OutRsts") * SEGMENT_MOST;
	return counters;
}
