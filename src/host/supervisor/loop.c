/* The event loop, and the memory that its events point at. */
#include "supervisor.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

static int epoll_fd = -1;
static void **dead;
static size_t dead_count, dead_size;

void loop_open(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0) fail_start("The event queue could not be made: %m");
}

bool loop_add(struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data = { .ptr = watch } };
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

void loop_free_later(void *memory)
{
	if (dead_count == dead_size) {
		dead_size = dead_size ? dead_size * 2 : 64;
		dead = realloc(dead, dead_size * sizeof *dead);
		if (dead == NULL) abort();
	}
	dead[dead_count++] = memory;
}

void loop_once(int timeout_ms)
{
	struct epoll_event events[128];
	int count = epoll_wait(epoll_fd, events, COUNT(events), timeout_ms);
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;
		/* A handler may have closed another watch of this batch. */
		if (watch->fd >= 0) watch->ready(watch, events[i].events);
	}
	while (dead_count > 0) free(dead[--dead_count]);
}

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int sooner(int left, int right)
{
	return left < 0 || (right >= 0 && right < left) ? right : left;
}
