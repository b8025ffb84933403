#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "privileged.h"

/* One whole line, on disk when this returns. Nothing in it comes from the client but the call, which is one of ours by then. */
bool audit(const struct settings *settings, const struct ucred *peer, const char *call, const char *outcome)
{
	char line[512];
	char when[32];
	time_t now = time(NULL);
	struct tm parts;
	gmtime_r(&now, &parts);
	strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
	int length = snprintf(line, sizeof line, "{\"time\":\"%s\",\"uid\":%u,\"pid\":%d,\"call\":\"%s\",\"outcome\":\"%s\"}\n", when,
			      peer->uid, peer->pid, call, outcome);
	if (length < 0 || (size_t)length >= sizeof line)
		return false;
	int file = open(settings->audit_path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return false;
	bool written = write(file, line, (size_t)length) == length && fdatasync(file) == 0;
	close(file);
	return written;
}
