/*
 * TCP connections, each carried over a stream of its own to the gate: one header line, then both directions with their
 * half-closes. A direction holds bytes only when its destination would not take them: that is the back-pressure.
 */
#include "supervisor.h"
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	CHUNK = 131072,       /* twice what the gate reads at once: fewer of our turns for the same bytes */
	TURNS = 8,            /* chunks of one connection before the others get their turn */
	LINGER_MS = 2000,     /* for a client to take in that the gate has closed, before it is reset */
	GATE_WAIT_MS = 5000,  /* for a place in the gate's queue */
	RETRY_MS = 5,
	ACCEPTS = 64,
	OTHER_FDS = 256,      /* kept for everything but connections, which take two each */
	CLIENT_ENDED_STATES = 1 << 6 | 1 << 8 | 1 << 9 | 1 << 11, /* TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING of TCP_INFO */
	ORIGINAL_DESTINATION = 80, /* SO_ORIGINAL_DST, IP6T_SO_ORIGINAL_DST */
};

struct listener {
	struct watch watch;
	bool redirected;
};
struct flow {
	char *held;
	size_t start, end;
	bool ended, closed; /* the source has ended; the destination has been told */
	uint64_t carried;   /* bytes that the destination's kernel has taken */
};
struct connection {
	struct watch inner, gate;
	struct flow up, down;
	struct sockaddr_storage source, destination;
	struct connection *next, **link;
	int64_t deadline; /* of lingering, or of waiting for the gate; 0 for none */
	uint32_t id;
	bool more, gate_gone;
};
enum moved { WAITS, MORE, SOURCE_BROKE, SINK_BROKE };

static struct connection *connections;
static struct listener *listeners[COUNT(spec.listeners) + 2];
static size_t listener_count, connection_count, connection_limit, timed_count;
static bool any_more, accepted_any;
static char chunk[CHUNK];

static void set_deadline(struct connection *connection, int64_t deadline)
{
	timed_count += (deadline != 0) - (connection->deadline != 0);
	connection->deadline = deadline;
}

static void reset_on_close(int fd)
{
	struct linger at_once = { .l_onoff = 1 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* What the kernel counted of a connection's payload; both flows are NULL for one that was not carried. */
static void report(uint32_t id, int fd, const struct flow *up, const struct flow *down)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof info;
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	/* A FIN that arrived is counted as a byte received, one that was acknowledged as a byte acknowledged. */
	bool ended = (up != NULL && up->ended) || (CLIENT_ENDED_STATES >> info.tcpi_state & 1);
	uint64_t received = info.tcpi_bytes_received - (ended && info.tcpi_bytes_received > 0);
	uint64_t sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	if (info.tcpi_bytes_acked < sent) sent = info.tcpi_bytes_acked;
	/* After an orderly end the kernel still delivers what it has taken. */
	if (down != NULL && down->closed && up->closed) sent = down->carried;
	control_send("{\"event\":\"connection\",\"id\":%u,\"received\":%llu,\"sent\":%llu}", id,
	             (unsigned long long)received, (unsigned long long)sent);
}

static void finish(struct connection *connection)
{
	report(connection->id, connection->inner.fd, &connection->up, &connection->down);
	close(connection->inner.fd);
	if (connection->gate.fd >= 0) close(connection->gate.fd);
	connection->inner.fd = connection->gate.fd = -1;
	free(connection->up.held);
	free(connection->down.held);
	set_deadline(connection, 0);
	*connection->link = connection->next;
	if (connection->next != NULL) connection->next->link = connection->link;
	connection_count--;
	loop_free_later(connection);
}

static void refuse(struct connection *connection)
{
	reset_on_close(connection->inner.fd);
	finish(connection);
}

static bool hold(struct flow *flow, const char *bytes, size_t size)
{
	if ((flow->held = malloc(size)) == NULL) return false;
	memcpy(flow->held, bytes, size);
	flow->start = 0;
	flow->end = size;
	return true;
}

/* Bytes taken, 0 when the socket would block, -1 when it broke. */
static ssize_t send_some(int fd, const char *bytes, size_t size)
{
	ssize_t count = send(fd, bytes, size, MSG_NOSIGNAL);
	return count >= 0 ? count : errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -1;
}

static enum moved pump(struct flow *flow, int from, int to)
{
	for (int turn = 0; turn < TURNS; turn++) {
		while (flow->held != NULL) {
			ssize_t count = send_some(to, flow->held + flow->start, flow->end - flow->start);
			if (count <= 0) return count == 0 ? WAITS : SINK_BROKE;
			flow->carried += (uint64_t)count;
			if ((flow->start += (size_t)count) < flow->end) continue;
			free(flow->held);
			flow->held = NULL;
		}
		if (flow->ended) {
			if (!flow->closed) shutdown(to, SHUT_WR);
			flow->closed = true;
			return WAITS;
		}
		ssize_t count = recv(from, chunk, sizeof chunk, 0);
		if (count < 0) return errno == EAGAIN ? WAITS : errno == EINTR ? MORE : SOURCE_BROKE;
		flow->ended = count == 0;
		if (flow->ended) continue;
		ssize_t sent = send_some(to, chunk, (size_t)count);
		flow->carried += sent > 0 ? (uint64_t)sent : 0;
		if (sent < 0 || (sent < count && !hold(flow, chunk + sent, (size_t)(count - sent)))) return SINK_BROKE;
	}
	return MORE;
}

/* Takes in what a client still sends to a gate that is gone, so that the kernel goes on counting it. */
static enum moved discard(struct flow *flow, int from)
{
	free(flow->held);
	flow->held = NULL;
	for (int turn = 0; turn < TURNS; turn++) {
		ssize_t count = recv(from, chunk, sizeof chunk, 0);
		if (count < 0) return errno == EAGAIN ? WAITS : errno == EINTR ? MORE : SOURCE_BROKE;
		if (count > 0) continue;
		flow->ended = flow->closed = true;
		return WAITS;
	}
	return MORE;
}

/* A gate that closes altogether without a byte refuses: the client sees a reset, not an empty answer. */
static bool is_refused(struct connection *connection)
{
	struct pollfd gate = { .fd = connection->gate.fd, .events = POLLIN };
	char byte;
	if (connection->down.carried > 0 || connection->down.held != NULL || connection->up.closed) return false;
	return poll(&gate, 1, 0) > 0 && (gate.revents & POLLHUP) && recv(gate.fd, &byte, 1, MSG_PEEK) <= 0;
}

static void advance(struct connection *connection)
{
	if (is_refused(connection)) {
		refuse(connection);
		return;
	}
	struct flow *up = &connection->up, *down = &connection->down;
	int inner = connection->inner.fd, gate = connection->gate.fd;
	enum moved moved_up = connection->gate_gone ? discard(up, inner) : pump(up, inner, gate);
	enum moved moved_down = pump(down, gate, inner);
	if (moved_down == SOURCE_BROKE) {
		down->ended = connection->gate_gone = true;
		moved_down = pump(down, gate, inner);
	}
	if (moved_up == SINK_BROKE) connection->gate_gone = true;
	if (moved_up == SOURCE_BROKE || moved_down == SINK_BROKE || (up->closed && down->closed)) {
		finish(connection);
		return;
	}
	connection->more = moved_up == MORE || moved_up == SINK_BROKE || moved_down == MORE;
	any_more = any_more || connection->more;
	if (connection->gate_gone && down->closed && connection->deadline == 0) set_deadline(connection, now_ms() + LINGER_MS);
}

static void inner_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	advance((struct connection *)watch);
}

static void gate_ready(struct watch *watch, uint32_t events)
{
	struct connection *connection = (struct connection *)((char *)watch - offsetof(struct connection, gate));
	/* Closed altogether, not half: unless we had half-closed too, nobody will read what the client sends. */
	if ((events & (EPOLLHUP | EPOLLERR)) && !connection->up.closed) connection->gate_gone = true;
	advance(connection);
}

/* Reaches the gate, or leaves the connection waiting for a place in its queue. */
static void reach_gate(struct connection *connection)
{
	const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	connection->gate.fd = gate_connect("tcp", connection->id, &connection->source, &connection->destination);
	if (connection->gate.fd < 0 && errno == EAGAIN) {
		if (connection->deadline == 0) set_deadline(connection, now_ms() + GATE_WAIT_MS);
		return;
	}
	set_deadline(connection, 0);
	if (connection->gate.fd >= 0 && loop_add(&connection->inner, events) && loop_add(&connection->gate, events)) {
		advance(connection);
		return;
	}
	refuse(connection);
}

static bool find_destination(const struct listener *listener, int fd, struct sockaddr_storage *destination)
{
	socklen_t length = sizeof *destination;
	if (!listener->redirected) return getsockname(fd, (struct sockaddr *)destination, &length) == 0;
	if (getsockname(fd, (struct sockaddr *)destination, &length) < 0) return false;
	length = sizeof *destination;
	return getsockopt(fd, destination->ss_family == AF_INET ? SOL_IP : SOL_IPV6, ORIGINAL_DESTINATION, destination,
	                  &length) == 0;
}

static bool accept_one(const struct listener *listener)
{
	static const int one = 1;
	struct sockaddr_storage source = { 0 }, destination = { 0 };
	socklen_t length = sizeof source;
	int fd = accept4(listener->watch.fd, (struct sockaddr *)&source, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) return errno == ECONNABORTED || errno == EINTR;
	accepted_any = true;
	uint32_t id = next_conversation_id();
	if (connection_count >= connection_limit || !find_destination(listener, fd, &destination)) {
		reset_on_close(fd);
		report(id, fd, NULL, NULL);
		close(fd);
		return true;
	}
	/* The gate decides when to send: no waiting for fuller segments. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	struct connection *connection = allocate(sizeof *connection);
	*connection = (struct connection){
		.inner = { fd, inner_ready }, .gate = { -1, gate_ready }, .source = source, .destination = destination,
		.id = id, .next = connections, .link = &connections,
	};
	if (connections != NULL) connections->link = &connection->next;
	connections = connection;
	connection_count++;
	reach_gate(connection);
	return true;
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	for (int i = 0; i < ACCEPTS && accept_one((struct listener *)watch); i++) continue;
}

void carry_open(int fd, bool redirected)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur <= OTHER_FDS + 2)
		fail_start("Too few files may be open at once to carry connections.");
	connection_limit = (files.rlim_cur - OTHER_FDS) / 2;
	if (connection_limit > spec.max_connections) connection_limit = spec.max_connections;
	struct listener *listener = allocate(sizeof *listener);
	*listener = (struct listener){ { fd, listener_ready }, redirected };
	if (!loop_add(&listener->watch, EPOLLIN)) fail_start("A listener could not be watched: %m.");
	listeners[listener_count++] = listener;
}

int carry_tick(void)
{
	if (!any_more && timed_count == 0) return -1;
	any_more = false;
	int64_t now = now_ms();
	for (struct connection *connection = connections, *next; connection != NULL; connection = next) {
		next = connection->next;
		bool late = connection->deadline != 0 && now >= connection->deadline;
		if (late) refuse(connection);
		else if (connection->gate.fd < 0) reach_gate(connection);
		else if (connection->more) advance(connection);
	}
	return any_more ? 0 : timed_count > 0 ? RETRY_MS : -1;
}

bool carry_busy(void)
{
	bool busy = accepted_any || any_more;
	accepted_any = false;
	for (struct connection *connection = connections; connection != NULL && !busy; connection = connection->next)
		busy = !connection->up.closed && !connection->gate_gone;
	return busy;
}

void carry_close(void)
{
	while (connections != NULL) finish(connections);
	for (size_t i = 0; i < listener_count; i++) close(listeners[i]->watch.fd);
	listener_count = 0;
}
