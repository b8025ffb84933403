/* Connections of the workload, each a stream of its own to the host, with half-closes and back-pressure both ways. */
#include "guest.h"

/* A connection's window is smaller when there are many: together they hold 44 MiB at the most. */
enum { CONNECTIONS = 512, LISTENERS = 1 + 64, WIDE_FROM = 64, NARROW_WINDOW = 64 << 10, TURNS = 16 };

static struct connection {
	struct port port;
	struct inlet down;
	struct outlet up; /* its number is 0 when this is none */
	bool shut;        /* the workload has been told the host's end */
} connections[CONNECTIONS];
static struct port listeners[LISTENERS];
static size_t listener_count, connection_count;
static uint32_t next_id = FIRST_CONNECTION;

void connections_listen(int fd)
{
	NEED(listener_count < LISTENERS, FAILED_SETUP, "there are too many listeners");
	port_open(&listeners[listener_count++], fd);
}

/* The port into 2 bytes and the address into 16. */
static void put_address(const struct sockaddr_in6 *address, uint8_t *port, uint8_t *bytes)
{
	bool four = IN6_IS_ADDR_V4MAPPED(&address->sin6_addr);
	memcpy(port, &(uint16_t){ ntohs(address->sin6_port) }, 2);
	memcpy(bytes, address->sin6_addr.s6_addr + (four ? 12 : 0), four ? 4 : 16);
}

bool connections_add(int fd, enum connection_kind kind, const struct sockaddr_in6 *from, const struct sockaddr_in6 *to)
{
	uint8_t payload[40] = { (uint8_t)kind, IN6_IS_ADDR_V4MAPPED(&to->sin6_addr) ? 4 : 6 };
	struct connection *connection = connections;
	if (connection_count == CONNECTIONS || !channel_has_room()) return close(fd), false;
	/* Two thousand million connections: a machine does not live to make them. */
	NEED(next_id < UINT32_MAX - 2, FAILED_INTERNAL, "the streams' numbers are used up");
	while (connection->up.id != 0) connection++;
	put_address(from, payload + 2, payload + 8);
	put_address(to, payload + 4, payload + 24);
	channel_send(OPEN, next_id, payload, sizeof payload);
	port_open(&connection->port, fd);
	connection->shut = false;
	connection->up = (struct outlet){ .id = next_id, .port = &connection->port };
	inlet_open(&connection->down, next_id, &connection->port, connection_count < WIDE_FROM ? WINDOW : NARROW_WINDOW);
	connection_count++;
	next_id += 2;
	return true;
}

static bool accept_one(struct port *listener)
{
	struct sockaddr_in6 from, to;
	socklen_t from_length = sizeof from, to_length = sizeof to;
	if (connection_count == CONNECTIONS || !channel_has_room()) return false;
	int fd = accept4(listener->fd, (struct sockaddr *)&from, &from_length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && errno == EAGAIN) listener->readable = false;
	if (fd < 0) return errno == ECONNABORTED;
	/* The lookup has brought it here without changing what the workload asked for. */
	if (getsockname(fd, (struct sockaddr *)&to, &to_length) < 0) return close(fd), true;
	return connections_add(fd, CARRIED_TCP, &from, &to);
}

static void forget(struct connection *connection, bool breaks)
{
	struct linger at_once = { .l_onoff = breaks };
	setsockopt(connection->port.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	inlet_close(&connection->down);
	port_close(&connection->port);
	connection->up.id = 0;
	connection_count--;
}

void connections_frame(const struct frame *frame)
{
	struct connection *connection = connections, *end = connections + CONNECTIONS;
	while (connection < end && connection->up.id != frame->stream) connection++;
	if (frame->stream >= next_id || frame->stream % 2 != 0) violation("a frame of stream %u, which was never opened", frame->stream);
	/* One that is over here may not be over there yet. */
	if (connection == end) return;
	if (frame->type == DATA) inlet_take(&connection->down, frame->payload, frame->length);
	else if (frame->type == CREDIT) outlet_credit(&connection->up, get32(frame->payload));
	else if (frame->type == END) inlet_end(&connection->down);
	else forget(connection, true);
}

static bool pump(struct connection *connection)
{
	bool done = inlet_pump(&connection->down), more = outlet_pump(&connection->up);
	if (connection->down.broken || connection->up.broken) {
		if (!channel_has_room()) return false;
		channel_send(RESET, connection->up.id, &(uint32_t){ RESET_GONE }, 4);
		forget(connection, true);
		return false;
	}
	if (done && !connection->shut) connection->shut = shutdown(connection->port.fd, SHUT_WR) == 0 || errno != EINTR;
	if (connection->shut && connection->up.ended) forget(connection, false);
	return more;
}

bool connections_pump(void)
{
	bool more = false;
	for (size_t i = 0; i < listener_count; i++)
		for (int turn = 0; turn < TURNS && listeners[i].readable && accept_one(&listeners[i]); turn++) more = true;
	for (size_t i = 0, left = connection_count; left > 0 && i < CONNECTIONS; i++)
		if (connections[i].up.id != 0 && left-- > 0) more |= pump(&connections[i]);
	return more;
}

bool connections_quiet(void)
{
	for (size_t i = 0; i < listener_count; i++)
		if (listeners[i].readable) return false;
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (connections[i].up.id != 0 && !connections[i].up.ended) return false;
	return true;
}
