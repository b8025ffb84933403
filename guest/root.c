/*
 * What the workload will see at /: a skeleton of the host's over the verified root, and what is mounted into both. Every
 * path is walked as somebody inside would walk it, so that no link, whoever made it, leads anything out.
 */
#include "guest.h"
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define SKELETON "/run/skeleton"
#define NEED_SETUP(done, ...) NEED(done, FAILED_SETUP, __VA_ARGS__)
#define FEATURES "redirect_dir=off,metacopy=off,index=off,xino=off"
enum { KEPT = MS_NODEV | MS_NOSUID };

bool root_composed;
char root_changes[64];

int open_within(const char *root, const char *path, int flags)
{
	int base = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = { .flags = (uint64_t)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	int fd = base < 0 ? -1 : (int)syscall(SYS_openat2, base, path, &how, sizeof how), error = errno;
	if (base >= 0) close(base);
	errno = error;
	return fd;
}

static void make_skeleton(void)
{
	if (mkdir(SKELETON, 0755) < 0 && errno == EEXIST) return;
	NEED_SETUP(mount("skeleton", SKELETON, "tmpfs", KEPT, "mode=0755,size=64m") == 0, "the skeleton could not be made: %m");
}

/* The folder that holds `path`, made with all above it where they are not there. No link is followed. */
static int open_parent(const char *root, const char *path)
{
	int parent = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (const char *part = path + 1, *end; (end = strchr(part, '/')) != NULL; part = end + 1) {
		const char *name = text_of("%.*s", (int)(end - part), part);
		int next = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
		if (next < 0 && errno == ENOENT && mkdirat(parent, name, 0755) == 0)
			next = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
		close(parent);
		parent = next;
	}
	return parent;
}

/* A folder, a link, or a file with bytes. */
static void make(const char *root, char kind, const char *path, mode_t mode, const void *bytes, size_t size)
{
	const char *name = strrchr(path, '/') + 1;
	int parent = open_parent(root, path), fd = -1;
	bool done = parent >= 0;
	if (kind == 'l') done = done && symlinkat(bytes, parent, name) == 0;
	else if (kind == 'd') {
		done = done && (mkdirat(parent, name, 0755) == 0 || errno == EEXIST);
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	} else {
		fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		done = done && write(fd, bytes, size) == (ssize_t)size;
	}
	NEED_SETUP(done && (kind == 'l' || fchmod(fd, mode) == 0), "%s could not be made: %m", path);
	if (fd >= 0) close(fd);
	close(parent);
}

/* Records d, f and l. */
void root_make(const struct record *record)
{
	make_skeleton();
	make(SKELETON, record->kind, record->texts[0], (mode_t)record->numbers[0],
	     record->kind == 'l' ? record->texts[1] : (const void *)record->bytes, record->size);
}

/* Record r. */
void root_compose(void)
{
	make_skeleton();
	NEED_SETUP(mount("root", NEW_ROOT, "overlay", KEPT | MS_RDONLY, "lowerdir=" SKELETON ":/root," FEATURES) == 0,
	           "the root could not be composed: %m");
	root_composed = true;
}

static void mount_within(const char *path, const char *source, const char *type, unsigned long flags, const char *data)
{
	int fd = open_within(NEW_ROOT, path, O_PATH);
	NEED_SETUP(fd >= 0, "there is no mount point %s: %m", path);
	NEED_SETUP(mount(source, text_of("/proc/self/fd/%d", fd), type, flags, data) == 0, "%s could not be mounted: %m", path);
	close(fd);
}

/* A second, read-only view of what `from`, a descriptor, is. */
static void bind_within(const char *path, int from)
{
	struct stat kind;
	NEED_SETUP(from >= 0 && fstat(from, &kind) == 0, "what %s shall show is not there: %m", path);
	int there = open_within(NEW_ROOT, path, O_PATH);
	/* In a folder that hides the skeleton's mount points. */
	if (there < 0 && errno == ENOENT) make(NEW_ROOT, S_ISDIR(kind.st_mode) ? 'd' : 'f', path, 0755, "", 0);
	else close(there);
	mount_within(path, text_of("/proc/self/fd/%d", from), NULL, MS_BIND, NULL);
	mount_within(path, NULL, NULL, MS_REMOUNT | MS_BIND | KEPT | MS_RDONLY, NULL);
	close(from);
}

/* Record w: the disk as it is, or an overlay of it whose upper layer lies on the scratch disk. */
static void mount_workspace(const struct record *record)
{
	const char *path = record->texts[0], *lower = disk_mount(record->texts[1], record->texts[2], MS_RDONLY);
	struct stat status;
	if (record->numbers[0] == 0) return bind_within(path, open(lower, O_PATH | O_CLOEXEC));
	NEED_SETUP(record->texts[3][0] != 0, "there is no disk to write the workspace to");
	const char *upper = text_of("%s/upper", disk_mount(record->texts[3], "ext4", 0)), *work = text_of("%s/../work", upper);
	NEED_SETUP(stat(lower, &status) == 0 && mkdir(upper, 0755) == 0 && mkdir(work, 0700) == 0 &&
	           chown(upper, status.st_uid, status.st_gid) == 0 && chmod(upper, status.st_mode & 07777) == 0, "the workspace: %m");
	mount_within(path, "workspace", "overlay", KEPT,
	             text_of("lowerdir=%s,upperdir=%s,workdir=%s,volatile," FEATURES, lower, upper, work));
	snprintf(root_changes, sizeof root_changes, "%s", upper);
	for (const char *name = record->list; name != NULL; name = list_next(record, name)) {
		const char *entry = text_of("%s/%s", path, name);
		NEED_SETUP(strchr(name, '/') == NULL && strlen(name) < 256, "a protected entry is more than a name");
		/* One that is not there, or is a link, which is only its own name, the host puts right itself. */
		int fd = open_within(NEW_ROOT, entry, O_PATH | O_NOFOLLOW);
		if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISLNK(status.st_mode)) bind_within(entry, fd);
		else if (fd >= 0) close(fd);
	}
}

/* Record y. Nothing of the machine's disks, ports and consoles. */
static void mount_devices(void)
{
	static const struct { const char *name; unsigned major, minor; } nodes[] = {
		{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
	};
	static const char *const links[][2] = { { "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" } };
	mount_within("/dev", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
	int folder = open_within(NEW_ROOT, "/dev", O_PATH | O_DIRECTORY);
	bool done = folder >= 0 && mkdirat(folder, "pts", 0755) == 0 && mkdirat(folder, "shm", 0755) == 0;
	for (size_t i = 0; i < COUNT(nodes); i++)
		done = done && mknodat(folder, nodes[i].name, S_IFCHR, makedev(nodes[i].major, nodes[i].minor)) == 0 &&
		       fchmodat(folder, nodes[i].name, 0666, 0) == 0;
	for (size_t i = 0; i < COUNT(links); i++) done = done && symlinkat(links[i][1], folder, links[i][0]) == 0;
	NEED_SETUP(done, "/dev could not be made: %m");
	close(folder);
	mount_within("/dev/pts", "devpts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
	mount_within("/dev/shm", "shm", "tmpfs", KEPT, "mode=1777");
	mount_within("/dev", NULL, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL);
}

/* Records t, k, w, b and y. */
void root_mount(const struct record *record)
{
	const char *path = record->texts[0], *second = record->texts[1];
	switch (record->kind) {
	case 't':
		NEED_SETUP(record->numbers[1] > 0, "%s has no size", path);
		return mount_within(path, "tmpfs", "tmpfs", KEPT, text_of("mode=%o,size=%llu,uid=%u,gid=%u", (unsigned)record->numbers[0],
		                    (unsigned long long)record->numbers[1], workload.user, workload.group));
	case 'k': return bind_within(path, open(disk_mount(second, record->texts[2], MS_RDONLY), O_PATH | O_CLOEXEC));
	case 'w': return mount_workspace(record);
	case 'b': return bind_within(path, open_within(NEW_ROOT, second, O_PATH));
	case 'y': return mount_devices();
	}
}
