/* DNS datagrams, each carried over a stream of its own to the gate and its answer back. */
#include "supervisor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

enum { AT_ONCE = 64, ANSWER_MS = 10000, BATCH = 64 };

struct query {
	struct watch watch;
	struct sockaddr_storage client;
	socklen_t client_length;
	struct query *next, **link;
	int64_t deadline;
	size_t used;
	unsigned char answer[2 + 65535];
};
static struct watch resolver = { .fd = -1 };
static struct query *queries;
static size_t query_count;

static void drop(struct query *query)
{
	close(query->watch.fd);
	query->watch.fd = -1;
	*query->link = query->next;
	if (query->next != NULL) query->next->link = query->link;
	query_count--;
	loop_free_later(query);
}

static void answer_ready(struct watch *watch, uint32_t events)
{
	(void)events;
	struct query *query = (struct query *)watch;
	ssize_t count = recv(watch->fd, query->answer + query->used, sizeof query->answer - query->used, 0);
	if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
	if (count > 0) query->used += (size_t)count;
	size_t size = query->used < 2 ? 0 : (size_t)query->answer[0] << 8 | query->answer[1];
	bool whole = query->used >= 2 && query->used >= size + 2;
	if (whole && size > 0)
		sendto(resolver.fd, query->answer + 2, size, MSG_NOSIGNAL, (struct sockaddr *)&query->client,
		       query->client_length);
	if (whole || count <= 0) drop(query);
}

static bool carry_query(unsigned char *message, size_t size, const struct sockaddr_storage *client, socklen_t length)
{
	if (query_count >= AT_ONCE) return false;
	int fd = gate_connect("dns", next_conversation_id(), client, &spec.resolver.address);
	if (fd < 0) return false;
	unsigned char prefix[2] = { (unsigned char)(size >> 8), (unsigned char)size };
	struct iovec parts[] = { { prefix, 2 }, { message, size } };
	struct query *query = allocate(sizeof *query);
	query->watch = (struct watch){ fd, answer_ready };
	if (writev(fd, parts, 2) != (ssize_t)size + 2 || !loop_add(&query->watch, EPOLLIN | EPOLLRDHUP)) {
		close(fd);
		free(query);
		return false;
	}
	query->client = *client;
	query->client_length = length;
	query->deadline = now_ms() + ANSWER_MS;
	query->next = queries;
	query->link = &queries;
	if (queries != NULL) queries->link = &query->next;
	queries = query;
	query_count++;
	return true;
}

/* Takes one datagram off the queue: carried on when `carries`, else reported as refused. False when there is none. */
static bool take_query(bool carries)
{
	static unsigned char message[65536];
	struct sockaddr_storage client = { 0 };
	socklen_t length = sizeof client;
	ssize_t size = recvfrom(resolver.fd, message, sizeof message, 0, (struct sockaddr *)&client, &length);
	if (size < 0) return errno == EINTR;
	if (!carries || size > 65535 || !carry_query(message, (size_t)size, &client, length))
		sniff_refuse(&client, &spec.resolver.address, (size_t)size);
	return true;
}

static void query_ready(struct watch *watch, uint32_t events)
{
	(void)watch, (void)events;
	for (int i = 0; i < BATCH && take_query(true); i++) continue;
}

void resolve_open(int fd)
{
	resolver = (struct watch){ fd, query_ready };
	if (!loop_add(&resolver, EPOLLIN)) fail_start("The resolver's socket could not be watched: %m.");
}

int resolve_tick(void)
{
	int64_t now = now_ms(), soonest = -1;
	for (struct query *query = queries, *next; query != NULL; query = next) {
		next = query->next;
		if (query->deadline <= now) drop(query);
		else if (soonest < 0 || query->deadline - now < soonest) soonest = query->deadline - now;
	}
	return (int)soonest;
}

void resolve_close(void)
{
	while (resolver.fd >= 0 && take_query(false)) continue;
}
