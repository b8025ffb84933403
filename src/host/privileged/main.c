#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "privileged.h"

static int usage(void)
{
	fprintf(stderr, "usage: vouch-helper --allow USER|UID --audit FILE [--cgroup-root DIR] [--listen SOCKET]\n"
			"Without --listen, standard input is the connection, as from a systemd socket with Accept=yes.\n");
	return 2;
}

/* By the file itself: a static program has no other name services. */
static bool find_user(const char *name, uid_t *user)
{
	char line[1024];
	FILE *file = fopen("/etc/passwd", "re");
	bool found = false;
	while (!found && file != NULL && fgets(line, sizeof line, file) != NULL) {
		size_t length = strcspn(line, ":");
		unsigned number;
		if (length != strlen(name) || strncmp(line, name, length) != 0)
			continue;
		found = sscanf(line + length, ":%*[^:]:%u:", &number) == 1;
		*user = number;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/* A whole number is one; anything else is looked up. */
static bool read_user(const char *text, uid_t *user)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9')
		return find_user(text, user);
	*user = (uid_t)number;
	return *end == '\0' && errno == 0 && number < 0xfffffffeUL;
}

/* Anyone may connect who can see the socket; who may call is decided by what the kernel says of them. */
static int listen_at(const char *path, const struct settings *settings)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return usage();
	strcpy(address.sun_path, path);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	mode_t before = umask(0111);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0) {
		perror("vouch-helper: listening");
		return 1;
	}
	umask(before);
	for (;;) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0)
			continue;
		/* One after the other: each has five seconds for its one line. */
		serve(connection, settings);
		close(connection);
	}
}

int main(int count, char **words)
{
	struct settings settings = {.allowed = (uid_t)-1, .cgroup_root = "/sys/fs/cgroup", .audit_path = NULL};
	const char *socket_path = NULL;
	for (int i = 1; i + 1 < count; i += 2) {
		if (strcmp(words[i], "--allow") == 0) {
			if (!read_user(words[i + 1], &settings.allowed))
				return usage();
		} else if (strcmp(words[i], "--audit") == 0) {
			settings.audit_path = words[i + 1];
		} else if (strcmp(words[i], "--cgroup-root") == 0) {
			settings.cgroup_root = words[i + 1];
		} else if (strcmp(words[i], "--listen") == 0) {
			socket_path = words[i + 1];
		} else {
			return usage();
		}
	}
	if (count % 2 == 0 || settings.allowed == (uid_t)-1 || settings.audit_path == NULL)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	if (clearenv() != 0)
		return 1;
	if (socket_path != NULL)
		return listen_at(socket_path, &settings);
	serve(STDIN_FILENO, &settings);
	return 0;
}
