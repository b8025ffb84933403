/* Control groups, version 1 and 2 alike: made empty, joined by the program, killed and removed with all below them. */
#include "supervisor.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { V1_MAGIC = 0x27e0eb, V2_MAGIC = 0x63677270, DEPTH_LIMIT = 32 };

/* Descriptors, not paths: they still reach the groups when the file systems have been unmounted from our view. */
static struct made {
	int parent, self;
	const char *name;
} made[COUNT(spec.groups)];
static size_t made_count;

static int write_file(int directory, const char *name, const char *value)
{
	int fd = openat(directory, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) return -1;
	ssize_t written = write(fd, value, strlen(value));
	int error = errno;
	close(fd);
	errno = error;
	return written == (ssize_t)strlen(value) ? 0 : -1;
}

static size_t read_file(int directory, const char *name, char *text, size_t size)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t count = fd < 0 ? 0 : read(fd, text, size - 1);
	if (fd >= 0) close(fd);
	text[count > 0 ? count : 0] = 0;
	return count > 0 ? (size_t)count : 0;
}

/* Version 2 shows a controller's files only once the parent has handed it down. */
static void hand_down(const struct made *group, const char *file)
{
	char controller[64];
	const char *dot = strchr(file, '.');
	struct statfs kind;
	if (dot == NULL || dot - file > 60 || fstatfs(group->self, &kind) < 0 || kind.f_type != V2_MAGIC) return;
	snprintf(controller, sizeof controller, "+%.*s", (int)(dot - file), file);
	write_file(group->parent, "cgroup.subtree_control", controller);
}

/* The directory above `path`, made where missing. Another run may remove an empty one meanwhile: tried again then. */
static int open_parent(const char *path)
{
	for (int attempt = 0; attempt < 8; attempt++) {
		char *copy = strdup(path);
		*strrchr(copy, '/') = 0;
		for (char *at = copy + 1; (at = strchr(at, '/')) != NULL; at++) {
			*at = 0;
			mkdir(copy, 0755);
			*at = '/';
		}
		mkdir(copy, 0755);
		int fd = open(*copy ? copy : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		free(copy);
		if (fd >= 0 || errno != ENOENT) return fd;
	}
	return -1;
}

void groups_make(void)
{
	for (size_t i = 0; i < spec.group_count; i++) {
		const struct group *wanted = &spec.groups[i];
		struct statfs kind;
		struct made *group = &made[i];
		group->name = strrchr(wanted->path, '/') + 1;
		group->parent = open_parent(wanted->path);
		if (group->parent < 0) fail_start("The control group %s could not be made: %m.", wanted->path);
		if (fstatfs(group->parent, &kind) < 0 || (kind.f_type != V1_MAGIC && kind.f_type != V2_MAGIC))
			fail_start("%s is not on a control group file system.", wanted->path);
		/* One that exists belongs to another run, whose processes the end of this one must not kill. */
		if (mkdirat(group->parent, group->name, 0755) < 0)
			fail_start("The control group %s could not be made: %m.", wanted->path);
		made_count = i + 1;
		group->self = openat(group->parent, group->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (group->self < 0) fail_start("The control group %s could not be opened: %m.", wanted->path);
		for (size_t j = 0; j < wanted->file_count; j++) {
			const struct pair *file = &wanted->files[j];
			if (write_file(group->self, file->name, file->value) == 0) continue;
			hand_down(group, file->name);
			if (write_file(group->self, file->name, file->value) < 0)
				fail_start("The control group file %s/%s could not be set: %m.", wanted->path, file->name);
		}
	}
}

/*
 * The first process in a while to change its group waits for all processors to pass a quiet state, 5 ms and more; those
 * after it don't. So one joins the group that it is in, wherever it may. Comfort: it may fail, and it may be too early.
 */
void groups_hurry(void)
{
	char line[512], path[600];
	FILE *own = fopen("/proc/self/cgroup", "re");
	if (own == NULL) return;
	while (fgets(line, sizeof line, own) != NULL) {
		/* `8:pids:/path` of version 1, `0::/path` of version 2. */
		char *controllers = strchr(line, ':'), *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
		bool of_pids = group != NULL && strncmp(controllers, ":pids:", 6) == 0;
		if (group == NULL || (!of_pids && group != controllers + 1)) continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(path, sizeof path, "/sys/fs/cgroup%s%s", of_pids ? "/pids" : "", group + 1);
		pid_t pid = fork();
		processes_not_of_run(pid);
		if (pid == 0) {
			write_file(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "cgroup.procs", "0");
			_exit(0);
		}
		break;
	}
	fclose(own);
}

const char *groups_join(void)
{
	for (size_t i = 0; i < made_count; i++)
		if (write_file(made[i].self, "cgroup.procs", "0") < 0) return spec.groups[i].path;
	return NULL;
}

/* Calls `visit` for every group at and below one, the deepest first. */
static void walk(int directory, int depth, void (*visit)(int directory, void *context), void *context)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = copy < 0 ? NULL : fdopendir(copy);
	for (struct dirent *entry; entries != NULL && depth < DEPTH_LIMIT && (entry = readdir(entries)) != NULL;) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
		int child = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (child < 0) continue;
		walk(child, depth + 1, visit, context);
		close(child);
	}
	if (entries != NULL) closedir(entries);
	visit(directory, context);
}

static void kill_group(int directory, void *context)
{
	(void)context;
	/* No new processes (where the pids controller is) while the ones there are being killed; version 2 kills at once. */
	write_file(directory, "pids.max", "0");
	write_file(directory, "cgroup.kill", "1");
}

void groups_kill(void)
{
	for (size_t i = 0; i < made_count; i++) walk(made[i].self, 0, kill_group, NULL);
}

static void count_memory_kills(int directory, void *context)
{
	char text[4096];
	const char *files[] = { "memory.oom_control", "memory.events" };
	for (size_t i = 0; i < COUNT(files); i++) {
		if (read_file(directory, files[i], text, sizeof text) == 0) continue;
		const char *at = strstr(text, "oom_kill ");
		if (at != NULL) *(uint64_t *)context += strtoull(at + 9, NULL, 10);
	}
}

uint64_t groups_memory_kills(void)
{
	uint64_t kills = 0;
	for (size_t i = 0; i < made_count; i++) walk(made[i].self, 0, count_memory_kills, &kills);
	return kills;
}

static void remove_children(int directory, void *context)
{
	(void)context;
	DIR *entries = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') unlinkat(directory, entry->d_name, AT_REMOVEDIR);
	if (entries != NULL) closedir(entries);
}

void groups_remove(void)
{
	for (size_t i = made_count; i-- > 0;) {
		struct made *group = &made[i];
		/* The kernel lets go of an ended process a moment after it was collected. */
		for (int attempt = 0; attempt < 500; attempt++) {
			if (group->self > 0) walk(group->self, 0, remove_children, NULL);
			if (unlinkat(group->parent, group->name, AT_REMOVEDIR) == 0 || errno == ENOENT) break;
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		}
		close(group->self);
		close(group->parent);
	}
	made_count = 0;
}
