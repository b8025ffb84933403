/* What a person sees on the console, the end of the machine, and small texts. */
#include "guest.h"
#include <stdarg.h>
#include <sys/reboot.h>
#include <time.h>

/* How long a host has to connect, and to take in why a machine that failed is about to go. */
enum { LAST_WORDS_MS = 2000 };

#define FORMAT(into, size, format) \
	do { \
		va_list arguments; \
		va_start(arguments, format); \
		vsnprintf(into, size, format, arguments); \
		va_end(arguments); \
	} while (0)

void say(const char *format, ...)
{
	static int console = -1;
	char line[512] = "vouch: ";
	FORMAT(line + 7, sizeof line - 8, format);
	/* A console that nobody empties must not hold up anything. */
	if (console < 0) console = open("/dev/console", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	strcat(line, "\n");
	if (write(console, line, strlen(line)) < 0) return;
}

void fail(enum failure reason, const char *format, ...)
{
	static const char *const names[] = { "", "verity", "setup", "protocol", "exec", "internal" };
	static bool failing;
	uint8_t payload[4 + 400] = { (uint8_t)reason };
	char *text = (char *)payload + 4;
	FORMAT(text, sizeof payload - 4, format);
	say("%s: %s", names[reason], text);
	/* A rehearsal that fails is merely over. */
	if (getpid() != 1) _exit(1);
	if (!failing && (failing = true) && channel_wait(LAST_WORDS_MS)) {
		channel_send(FAILED, CONTROL, payload, 4 + strlen(text));
		channel_write();
		/* What the device has been given it hands on while this machine still stands. */
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	power_off();
}

void power_off(void)
{
	/* Every machine has a way to be reset, not each a power switch; whoever runs it takes that as its end. */
	for (;;) reboot(RB_AUTOBOOT);
}

const char *text_of(const char *format, ...)
{
	static char texts[8][4608];
	static size_t next;
	char *text = texts[next++ % COUNT(texts)];
	FORMAT(text, sizeof texts[0], format);
	return text;
}

size_t read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? 0 : read(fd, text, size - 1);
	if (fd >= 0) close(fd);
	if (count < 0) count = 0;
	if (count > 0 && text[count - 1] == '\n') count--;
	text[count] = 0;
	return (size_t)count;
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : write(fd, text, strlen(text));
	int error = errno;
	if (fd >= 0) close(fd);
	return errno = error, count == (ssize_t)strlen(text);
}
