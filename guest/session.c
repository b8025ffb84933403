/* What each frame of the host means, and in which state of the run it may come. */
#include "guest.h"
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>

enum { ENTROPY_SIZE = 64 };
static bool greeted;

void session_start(void)
{
	struct utsname kernel;
	uname(&kernel);
	const char *facts = text_of("kernel=%s\nuptimeMs=%lld\nguest=1\n", kernel.release, (long long)now_ms());
	uint8_t payload[256] = { 0 };
	memcpy(payload, (uint32_t[2]){ MAGIC, GENERATION }, 8);
	memcpy(payload + 9, facts, strlen(facts));
	channel_send(READY, CONTROL, payload, 9 + strlen(facts));
}

/* The machine may have slept in a snapshot, and others may have woken from the same one. */
static void take_hello(const uint8_t *payload)
{
	uint32_t magic = get32(payload), generation = get32(payload + 4);
	uint64_t clock = get64(payload + 8);
	if (magic != MAGIC || generation < 1 || generation > GENERATION || clock > INT64_MAX) violation("a greeting that cannot be");
	/* struct rand_pool_info: bits, bytes, and they follow. */
	uint32_t entropy[2 + ENTROPY_SIZE / 4] = { ENTROPY_SIZE * 8, ENTROPY_SIZE };
	memcpy(entropy + 2, payload + 16, ENTROPY_SIZE);
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	NEED(fd >= 0 && ioctl(fd, RNDADDENTROPY, entropy) == 0 && ioctl(fd, RNDRESEEDCRNG, 0) == 0, FAILED_INTERNAL,
	     "entropy could not be added: %m");
	close(fd);
	explicit_bzero(entropy, sizeof entropy);
	struct timespec time = { .tv_sec = (time_t)(clock / 1000000000), .tv_nsec = (long)(clock % 1000000000) };
	NEED(clock_settime(CLOCK_REALTIME, &time) == 0, FAILED_INTERNAL, "the clock could not be set: %m");
	channel_send(HELLO_OK, CONTROL, &generation, sizeof generation);
	if (!greeted) setup_open();
	greeted = true;
}

static void take_control(const struct frame *frame)
{
	switch (frame->type) {
	case HELLO: return take_hello(frame->payload);
	case SIGNAL: return workload_signal((int)get32(frame->payload));
	case WINDOW_SIZE: return workload_resize(get16(frame->payload), get16(frame->payload + 2));
	case PING: return channel_send(PONG, CONTROL, frame->payload, frame->length);
	case POWER_OFF: power_off();
	case COLLECT: return changes_start();
	}
}

void session_frame(const struct frame *frame)
{
	if (!greeted && frame->type != HELLO) violation("something before its greeting");
	if (frame->stream == CONTROL) take_control(frame);
	else if (frame->stream == SETUP && frame->type == DATA) setup_take(frame->payload, frame->length);
	else if (frame->stream == SETUP && frame->type == END && workload_state != NOT_YET) return;
	else if (frame->stream >= STDIN && frame->stream <= STDERR) workload_frame(frame);
	else if (frame->stream == CHANGES) changes_frame(frame);
	else if (frame->stream >= FIRST_CONNECTION) connections_frame(frame);
	else violation("a frame of type %u on stream %u", frame->type, frame->stream);
}
