/* The channel: a virtio-serial port, or one connection that the host makes to our vsock port. Frames in, frames out. */
#include "guest.h"
#include <dirent.h>
#include <linux/vm_sockets.h>
#include <poll.h>

/*
 * PIECE is what the port's driver takes at once. A frame of DATA fills two of them exactly. Streams may add to the queue
 * while less than BUSY waits in it; what is above that is kept for small frames.
 */
enum { PIECE = 32768, DATA_LIMIT = 2 * PIECE - HEADER_SIZE, BUSY = 65536, QUEUE = 4 * 65536, SMALL = 4096, VSOCK_PORT = 1024 };

static struct port channel = { .fd = -1 }, listener = { .fd = -1 };
static uint8_t in[2 * (HEADER_SIZE + PAYLOAD_LIMIT)], out[QUEUE];
static size_t in_end, out_start, out_end;
static bool connected, starved;

static int find_port(void)
{
	char name[32];
	DIR *ports = opendir("/sys/class/virtio-ports");
	int fd = -1;
	for (struct dirent *entry; fd < 0 && ports != NULL && (entry = readdir(ports)) != NULL;)
		if (read_text(text_of("/sys/class/virtio-ports/%s/name", entry->d_name), name, sizeof name) > 0 &&
		    strcmp(name, "vouch.channel") == 0) fd = open(text_of("/dev/%s", entry->d_name), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (ports != NULL) closedir(ports);
	return fd;
}

void channel_open(void)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = VSOCK_PORT };
	int fd = find_port();
	if (fd >= 0) return port_open(&channel, fd);
	modules_load(true);
	fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	NEED(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0, FAILED_INTERNAL,
	     "there is neither a port vouch.channel nor a vsock device: %m");
	port_open(&listener, fd);
}

/* A port whose other end nobody holds reports a hang-up. Of vsock's callers the host itself is meant. */
static bool find_host(void)
{
	struct sockaddr_vm peer;
	socklen_t length = sizeof peer;
	struct pollfd poller = { .fd = channel.fd, .events = POLLOUT };
	if (channel.fd >= 0) return poll(&poller, 1, 0) >= 0 && (poller.revents & POLLHUP) == 0;
	int fd = listener.fd < 0 ? -1 : accept4(listener.fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 || peer.svm_cid != VMADDR_CID_HOST) return close(fd), false;
	port_open(&channel, fd);
	port_close(&listener);
	return true;
}

bool channel_wait(int timeout_ms)
{
	for (int64_t end = now_ms() + timeout_ms; !connected && !(connected = find_host());) {
		int64_t left = timeout_ms < 0 ? -1 : end - now_ms();
		if (timeout_ms >= 0 && left <= 0) return false;
		loop_wait((int)left);
	}
	return channel.readable = channel.writable = true;
}

/* Handles the whole frames that are there, as long as their answers have room. */
static void take_frames(void)
{
	size_t at = 0;
	for (struct frame frame; channel_has_room(); at += HEADER_SIZE + frame.length) {
		const char *wrong;
		int whole = frame_read(in + at, in_end - at, &frame, &wrong);
		if (whole < 0) violation("%s", wrong);
		if (whole == 0) break;
		session_frame(&frame);
	}
	memmove(in, in + at, in_end - at);
	in_end -= at;
}

bool channel_read(void)
{
	while (channel.readable && in_end < sizeof in) {
		ssize_t count = read(channel.fd, in + in_end, sizeof in - in_end);
		if (count > 0) in_end += (size_t)count;
		else if (count < 0 && errno == EAGAIN) channel.readable = false;
		else if (count == 0 || errno != EINTR) {
			/* One host for a whole life: without it nobody can want anything of this machine. */
			say("the host is gone");
			power_off();
		}
	}
	if (in_end > 0) take_frames();
	return channel.readable;
}

bool channel_write(void)
{
	while (channel.writable && out_start < out_end) {
		size_t size = out_end - out_start;
		ssize_t count = write(channel.fd, out + out_start, size < PIECE ? size : PIECE);
		if (count > 0) out_start += (size_t)count;
		/* When memory is short for a moment it is tried again at the next turn. */
		else if (count < 0 && errno == ENOMEM) break;
		else if (count == 0 || errno != EINTR) channel.writable = false;
	}
	if (out_start == out_end) out_start = out_end = 0;
	bool helped = starved && out_end - out_start < BUSY;
	if (helped) starved = false;
	return helped;
}

static bool make_room(size_t size)
{
	if (sizeof out - out_end < size) {
		memmove(out, out + out_start, out_end - out_start);
		out_end -= out_start;
		out_start = 0;
	}
	return sizeof out - out_end >= size;
}

uint8_t *channel_reserve(size_t *size)
{
	if (out_end - out_start >= BUSY || !make_room(HEADER_SIZE + DATA_LIMIT)) return starved = true, NULL;
	if (*size > DATA_LIMIT) *size = DATA_LIMIT;
	return out + out_end + HEADER_SIZE;
}

void channel_commit(uint8_t type, uint32_t stream, size_t size)
{
	memcpy(out + out_end, (uint32_t[3]){ type, stream, (uint32_t)size }, HEADER_SIZE);
	out_end += HEADER_SIZE + size;
}

bool channel_has_room(void)
{
	bool has_room = sizeof out - (out_end - out_start) >= BUSY + SMALL;
	starved = starved || !has_room;
	return has_room;
}

void channel_send(uint8_t type, uint32_t stream, const void *payload, size_t size)
{
	if (!make_room(HEADER_SIZE + size)) return;
	if (size > 0) memcpy(out + out_end + HEADER_SIZE, payload, size);
	channel_commit(type, stream, size);
}
