/* The socket to Vouch: the spec and commands come in, JSON lines go out. */
#include "supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* Events that Vouch has not read yet; past it, Vouch counts as gone. */
enum { OUTPUT_LIMIT = 8 << 20 };

struct input control_input;
static struct input output;
static const char *meeting;
static int fd = -1;
static bool gone;

void *allocate(size_t size)
{
	void *memory = calloc(1, size ? size : 1);
	if (memory == NULL) abort();
	return memory;
}

void control_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path) {
		fprintf(stderr, "vouch-supervisor: the path of the control socket is longer than a socket's path can be\n");
		exit(64);
	}
	strcpy(address.sun_path, path);
	meeting = path;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		fprintf(stderr, "vouch-supervisor: %s: %m\n", path);
		control_clear_away();
		exit(69);
	}
}

void control_clear_away(void)
{
	char path[200];
	const char *suffixes[] = { "", ".0", ".1", ".2" };
	for (size_t i = 0; i < COUNT(suffixes); i++)
		if (snprintf(path, sizeof path, "%.150s%s", meeting, suffixes[i]) > 0) unlink(path);
	/* A folder made for the meeting alone is empty now; any other has more in it, or another name. */
	snprintf(path, sizeof path, "%.150s", meeting);
	*strrchr(path, '/') = 0;
	char *name = strrchr(path, '/');
	if (name != NULL && strncmp(name, "/vouch-", 7) == 0) rmdir(path);
}

int control_fd(void)
{
	return fd;
}

static void grow(struct input *buffer, size_t room)
{
	if (buffer->size - buffer->used >= room) return;
	buffer->size = (buffer->used + room) * 2;
	buffer->bytes = realloc(buffer->bytes, buffer->size);
	if (buffer->bytes == NULL) abort();
}

static bool wait_for(short events, int wait_ms)
{
	struct pollfd poller = { .fd = fd, .events = events };
	int64_t end = now_ms() + wait_ms;
	for (;;) {
		int64_t left = end - now_ms();
		int ready = poll(&poller, 1, wait_ms < 0 ? -1 : left > 0 ? (int)left : 0);
		if (ready >= 0 || errno != EINTR) return ready > 0;
	}
}

bool control_fill(int wait_ms)
{
	if (gone || control_input.used >= INPUT_LIMIT) return false;
	if (wait_ms != 0 && !wait_for(POLLIN, wait_ms)) return false;
	grow(&control_input, 65536);
	ssize_t count = read(fd, control_input.bytes + control_input.used, control_input.size - control_input.used);
	if (count > 0) {
		control_input.used += (size_t)count;
		return true;
	}
	if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
	gone = true;
	return false;
}

void control_consume(size_t count)
{
	control_input.used -= count;
	memmove(control_input.bytes, control_input.bytes + count, control_input.used);
}

bool control_gone(void)
{
	if (gone) return true;
	struct pollfd poller = { .fd = fd, .events = POLLRDHUP };
	if (poll(&poller, 1, 0) > 0 && (poller.revents & (POLLRDHUP | POLLHUP | POLLERR))) gone = true;
	return gone;
}

void control_flush(int wait_ms)
{
	size_t sent = 0;
	while (!gone && sent < output.used) {
		ssize_t count = send(fd, output.bytes + sent, output.used - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (count > 0) sent += (size_t)count;
		else if (errno == EAGAIN && wait_ms > 0 && wait_for(POLLOUT, wait_ms)) continue;
		else if (errno == EAGAIN) break;
		else if (errno != EINTR) gone = true;
	}
	if (sent == 0) return;
	output.used -= sent;
	memmove(output.bytes, output.bytes + sent, output.used);
}

void control_send(const char *format, ...)
{
	char line[2048];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	if (length < 0 || length >= (int)sizeof line - 1) abort();
	line[length++] = '\n';
	if (output.used + (size_t)length > OUTPUT_LIMIT) gone = true;
	if (gone) return;
	grow(&output, (size_t)length);
	memcpy(output.bytes + output.used, line, (size_t)length);
	output.used += (size_t)length;
	control_flush(0);
}

void fail_start(const char *format, ...)
{
	char sentence[1024], text[1024];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sentence, sizeof sentence, format, arguments);
	va_end(arguments);
	/* What ip or nft said may be in it: nothing that JSON would have to escape gets through. */
	size_t length = 0;
	for (const char *at = sentence; *at != 0; at++) {
		bool plain = *at >= ' ' && *at <= '~' && *at != '\\';
		text[length++] = *at == '"' ? '\'' : plain ? *at : ' ';
	}
	while (length > 0 && text[length - 1] == ' ') length--;
	text[length] = 0;
	processes_kill_all();
	program_run_afterwards();
	groups_remove();
	control_send("{\"event\":\"ended\",\"exitCode\":null,\"signal\":null,\"cause\":\"failed-to-start\",\"message\":\"%s\","
	             "\"counters\":null}", text);
	control_flush(1000);
	exit(70);
}
