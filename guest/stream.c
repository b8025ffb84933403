/* Flow control: no byte is taken that there is no room for, and none is sent that the host has none for. */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

void inlet_open(struct inlet *inlet, uint32_t id, struct port *port, uint32_t window)
{
	*inlet = (struct inlet){ .id = id, .port = port, .window = window };
	inlet_grant(inlet, window);
}

void inlet_close(struct inlet *inlet)
{
	if (inlet->held != NULL) munmap(inlet->held, inlet->window);
	inlet->held = NULL;
	inlet->broken = true;
}

void inlet_grant(struct inlet *inlet, size_t size)
{
	inlet->due += (uint32_t)size;
	/* In good time, but not for every few bytes. Without room the next bytes or the next turn bring it. */
	if (inlet->ended || inlet->broken || inlet->due < inlet->window / 4 || !channel_has_room()) return;
	channel_send(CREDIT, inlet->id, &inlet->due, sizeof inlet->due);
	inlet->credit += inlet->due;
	inlet->due = 0;
}

/* The number of bytes that the descriptor took. */
static size_t pass_on(struct inlet *inlet, const uint8_t *bytes, size_t size)
{
	size_t taken = 0;
	while (taken < size && inlet->port->writable && !inlet->broken) {
		ssize_t count = write(inlet->port->fd, bytes + taken, size - taken);
		if (count > 0) taken += (size_t)count;
		else if (count < 0 && errno == EAGAIN) inlet->port->writable = false;
		else if (count < 0 && errno != EINTR) inlet_close(inlet);
	}
	return taken;
}

void inlet_take(struct inlet *inlet, const uint8_t *bytes, size_t size)
{
	if (inlet->ended || size > inlet->credit) violation("more than the credit of stream %u, or after its end", inlet->id);
	inlet->credit -= (uint32_t)size;
	if (inlet->broken || inlet->port == NULL) return;
	size_t taken = inlet->start == inlet->end ? pass_on(inlet, bytes, size) : 0;
	inlet_grant(inlet, taken);
	if (taken == size || inlet->broken) return;
	if (inlet->held == NULL) inlet->held = mmap(NULL, inlet->window, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	NEED(inlet->held != MAP_FAILED, FAILED_INTERNAL, "there is no memory for a stream: %m");
	/* There is room: what is held and what may still come were granted together, a window's worth. */
	inlet->end -= inlet->start;
	memmove(inlet->held, inlet->held + inlet->start, inlet->end);
	inlet->start = 0;
	memcpy(inlet->held + inlet->end, bytes + taken, size - taken);
	inlet->end += size - taken;
}

void inlet_end(struct inlet *inlet)
{
	if (inlet->ended) violation("two ends of stream %u", inlet->id);
	inlet->ended = true;
}

bool inlet_pump(struct inlet *inlet)
{
	if (inlet->broken || inlet->port == NULL) return inlet->broken;
	size_t taken = pass_on(inlet, inlet->held + inlet->start, inlet->end - inlet->start);
	if (inlet->broken) return true;
	inlet->start += taken;
	if (taken > 0 || inlet->due >= inlet->window / 4) inlet_grant(inlet, taken);
	return inlet->ended && inlet->start == inlet->end;
}

void outlet_credit(struct outlet *outlet, uint32_t credit)
{
	if (credit > UINT32_MAX / 2 - outlet->credit) violation("too much credit for stream %u", outlet->id);
	outlet->credit += credit;
}

/* An end needs no credit: a hang-up after which nothing is left to read. */
static bool at_end(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN | POLLRDHUP };
	int left = 1;
	return poll(&poller, 1, 0) > 0 && (poller.revents & (POLLHUP | POLLRDHUP)) != 0 && ioctl(fd, FIONREAD, &left) == 0 && left == 0;
}

bool outlet_pump(struct outlet *outlet)
{
	if (outlet->ended || !outlet->port->readable || (outlet->credit == 0 && !at_end(outlet->port->fd))) return false;
	size_t size = outlet->credit == 0 ? 1 : outlet->credit;
	uint8_t *into = channel_reserve(&size);
	ssize_t count = into == NULL ? 0 : read(outlet->port->fd, into, size);
	if (into == NULL || (count < 0 && errno == EINTR)) return into != NULL;
	if (count < 0 && errno == EAGAIN) return outlet->port->readable = false;
	if (count > 0) {
		channel_commit(DATA, outlet->id, (size_t)count);
		outlet->credit -= (uint32_t)count;
		return true;
	}
	/* EIO is how a terminal says that nobody holds its other end; another error is a connection's that broke. */
	outlet->ended = true;
	outlet->broken = count < 0 && errno != EIO;
	if (!outlet->broken) channel_send(END, outlet->id, NULL, 0);
	return true;
}
