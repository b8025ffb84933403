#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "privileged.h"

#define LONGEST_CALL 64
#define PATIENCE_MS 5000

static struct answer status(const struct settings *settings, const struct ucred *peer)
{
	(void)settings;
	(void)peer;
	return (struct answer){.done = true, .text = "vouch-helper 1"};
}

/* All that there is. */
static const struct {
	const char *name;
	struct answer (*act)(const struct settings *settings, const struct ucred *peer);
} calls[] = {
	{"status", status},
	{"delegate-control-group", delegate_control_group},
	{"remove-control-group", remove_control_group},
};

/* One line, whole and alone, in time; false for anything else. */
static bool read_call(int connection, char line[LONGEST_CALL])
{
	size_t length = 0;
	while (length < LONGEST_CALL) {
		struct pollfd waiting = {.fd = connection, .events = POLLIN};
		if (poll(&waiting, 1, PATIENCE_MS) <= 0)
			return false;
		ssize_t count = read(connection, line + length, LONGEST_CALL - length);
		if (count <= 0)
			return false;
		length += (size_t)count;
		char *end = memchr(line, '\n', length);
		if (end == NULL)
			continue;
		*end = '\0';
		return end + 1 == line + length && strlen(line) == length - 1;
	}
	return false;
}

static void reply(int connection, const struct answer *answer)
{
	char line[300];
	int length = snprintf(line, sizeof line, "%s %s\n", answer->done ? "ok" : "refused", answer->text);
	if (length > 0)
		(void)!send(connection, line, (size_t)length, MSG_NOSIGNAL);
}

/* One connection, one call. What can't be audited is not done. */
void serve(int connection, const struct settings *settings)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	char line[LONGEST_CALL];
	struct answer no = {.done = false, .text = "there is no such call"};
	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer)
		return;
	if (peer.uid != settings->allowed) {
		snprintf(no.text, sizeof no.text, "user %u is not the node's", peer.uid);
		audit(settings, &peer, "?", "refused: another user");
		reply(connection, &no);
		return;
	}
	if (!read_call(connection, line)) {
		audit(settings, &peer, "?", "refused: no call");
		reply(connection, &no);
		return;
	}
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (strcmp(line, calls[i].name) != 0)
			continue;
		if (!audit(settings, &peer, calls[i].name, "begun")) {
			snprintf(no.text, sizeof no.text, "the audit file can't be written");
			reply(connection, &no);
			return;
		}
		struct answer answer = calls[i].act(settings, &peer);
		audit(settings, &peer, calls[i].name, answer.done ? "done" : "refused");
		reply(connection, &answer);
		return;
	}
	audit(settings, &peer, "?", "refused: no such call");
	reply(connection, &no);
}
