#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "privileged.h"

/* The leaf in which the node itself sits: version 2 lets a group that hands controllers down hold no process. */
#define NODE_LEAF "vouch-agent"

static const char *const handed[] = {"+cpu", "+memory", "+pids"};

static struct answer refused(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct answer refused(const char *format, ...)
{
	struct answer answer = {.done = false};
	va_list words;
	va_start(words, format);
	vsnprintf(answer.text, sizeof answer.text, format, words);
	va_end(words);
	return answer;
}

/* A folder below another, made when it is not there; never through a symbolic link. */
static int folder_in(int parent, const char *name)
{
	if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST)
		return -1;
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool write_in(int folder, const char *name, const char *text)
{
	int file = openat(folder, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return false;
	bool written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
	close(file);
	return written;
}

/* Each by itself: a kernel without one still has the others. */
static void hand_down(int folder)
{
	for (size_t i = 0; i < sizeof handed / sizeof *handed; i++)
		write_in(folder, "cgroup.subtree_control", handed[i]);
}

/* cgroups(7), "Delegation": the folder and these files, and nothing that sets its own limits. */
static bool give(int folder, uid_t owner)
{
	static const char *const files[] = {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (fchownat(folder, files[i], owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
			return false;
	}
	return fchown(folder, owner, (gid_t)-1) == 0;
}

static int open_root(const struct settings *settings)
{
	int root = open(settings->cgroup_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs facts;
	if (root >= 0 && (fstatfs(root, &facts) != 0 || facts.f_type != CGROUP2_SUPER_MAGIC)) {
		close(root);
		errno = ENODEV;
		return -1;
	}
	return root;
}

/*
 * Moves the client into its leaf. Its number may have passed to another process by now: a handle is taken first, and what it names
 * must be the same user's, so that nobody gets hold of another's process.
 */
static bool move_in(int leaf, const struct ucred *peer)
{
	char text[64];
	int handle = (int)syscall(SYS_pidfd_open, peer->pid, 0);
	if (handle < 0)
		return false;
	struct stat facts;
	snprintf(text, sizeof text, "/proc/%d", peer->pid);
	bool is_theirs = stat(text, &facts) == 0 && facts.st_uid == peer->uid;
	snprintf(text, sizeof text, "%d", peer->pid);
	bool moved = is_theirs && write_in(leaf, "cgroup.procs", text);
	close(handle);
	return moved;
}

struct answer delegate_control_group(const struct settings *settings, const struct ucred *peer)
{
	char name[32];
	snprintf(name, sizeof name, "%u", peer->uid);
	int root = open_root(settings);
	if (root < 0)
		return refused("there is no control group file system of version 2 at %s", settings->cgroup_root);
	hand_down(root);
	int ours = folder_in(root, "vouch-agents");
	close(root);
	if (ours < 0)
		return refused("the group for all nodes can't be made: %s", strerror(errno));
	hand_down(ours);
	int theirs = folder_in(ours, name);
	close(ours);
	if (theirs < 0)
		return refused("the group can't be made: %s", strerror(errno));
	int leaf = folder_in(theirs, NODE_LEAF);
	struct answer answer = {.done = true};
	snprintf(answer.text, sizeof answer.text, "%s/vouch-agents/%s", settings->cgroup_root, name);
	if (leaf < 0 || !give(theirs, peer->uid) || !give(leaf, peer->uid))
		answer = refused("the group can't be handed over: %s", strerror(errno));
	else if (!move_in(leaf, peer))
		answer = refused("process %d can't be moved: it is gone, or another's", peer->pid);
	else
		hand_down(theirs);
	if (leaf >= 0)
		close(leaf);
	close(theirs);
	return answer;
}

/* Of a node that is gone: removed when nothing is in it any more. */
struct answer remove_control_group(const struct settings *settings, const struct ucred *peer)
{
	char name[64];
	int root = open_root(settings);
	if (root < 0)
		return refused("there is no control group file system of version 2 at %s", settings->cgroup_root);
	snprintf(name, sizeof name, "vouch-agents/%u/" NODE_LEAF, peer->uid);
	unlinkat(root, name, AT_REMOVEDIR);
	snprintf(name, sizeof name, "vouch-agents/%u", peer->uid);
	int failed = unlinkat(root, name, AT_REMOVEDIR) != 0 && errno != ENOENT ? errno : 0;
	close(root);
	if (failed != 0)
		return refused("something is in it still: %s", strerror(failed));
	return (struct answer){.done = true, .text = "removed"};
}
