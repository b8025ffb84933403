/* The life of the machine: boot, a host, one run; and its one event loop. */
#include "guest.h"
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

/* How often a quiet machine looks at its root and at questions that were never answered. */
enum { TICK_MS = 500 };
static int events_fd = -1;

void loop_open(void)
{
	events_fd = epoll_create1(EPOLL_CLOEXEC);
}

void port_open(struct port *port, int fd)
{
	/* Edges alone never spin on a descriptor that waits for credit, and cost no call when that changes. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = { .ptr = port } };
	*port = (struct port){ fd, true, true };
	NEED(epoll_ctl(events_fd, EPOLL_CTL_ADD, fd, &event) == 0, FAILED_INTERNAL, "events could not be watched: %m");
}

void port_close(struct port *port)
{
	if (port->fd >= 0) close(port->fd);
	*port = (struct port){ .fd = -1 };
}

void loop_wait(int timeout_ms)
{
	struct epoll_event events[128];
	int count = epoll_wait(events_fd, events, COUNT(events), timeout_ms);
	for (int i = 0; i < count; i++) {
		struct port *port = events[i].data.ptr;
		/* One that was closed and opened again meanwhile only looks once in vain. */
		if (events[i].events & ~(uint32_t)EPOLLOUT) port->readable = true;
		if (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) port->writable = true;
	}
}

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void)
{
	if (getpid() != 1) return dprintf(2, "vouch-guest is the first process of a virtual machine; people do not start it\n"), 64;
	signal(SIGPIPE, SIG_IGN);
	loop_open();
	boot();
	struct listeners listeners = network_open();
	connections_listen(listeners.tcp);
	resolve_open(listeners.dns, listeners.refused);
	if (!channel_wait(0)) {
		rehearse();
		say("waiting");
	}
	channel_wait(-1);
	session_start();
	for (bool more = true;;) {
		loop_wait(more ? 0 : TICK_MS);
		channel_write();
		more = channel_read();
		more |= workload_pump();
		more |= connections_pump();
		more |= resolve_pump();
		more |= changes_pump();
		more |= channel_write();
	}
}
