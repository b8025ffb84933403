/*
 * vouch-helper: what a node needs root for, and nothing else.
 *
 * A client of a Unix socket writes one line, the name of a call; calls take no arguments. Who the client is, its process and its
 * user, the kernel says (SO_PEERCRED). The answer is one line, `ok ...` or `refused ...`; every call is a line of the audit file,
 * written before it is done and completed after.
 */
#ifndef VOUCH_PRIVILEGED_H
#define VOUCH_PRIVILEGED_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

struct settings {
	uid_t allowed;
	const char *cgroup_root;
	const char *audit_path;
};

struct answer {
	bool done;
	char text[256];
};

/* audit.c */
bool audit(const struct settings *settings, const struct ucred *peer, const char *call, const char *outcome);

/* groups.c */
struct answer delegate_control_group(const struct settings *settings, const struct ucred *peer);
struct answer remove_control_group(const struct settings *settings, const struct ucred *peer);

/* calls.c */
void serve(int connection, const struct settings *settings);

#endif
