/*
 * COLLECT: the overlay's upper layer, depth first, as records on stream 5. A process of its own walks it, follows no link,
 * and writes into a pipe. Nothing of the run lives any more.
 */
#include "guest.h"
#include <dirent.h>
#include <sys/xattr.h>

enum { DEPTH = 256, HEAD = 24, LINK_SIZE = 4096, PIPE_SIZE = 256 << 10 };

static struct port port = { .fd = -1 };
static struct outlet outlet = { .id = CHANGES, .port = &port };
static bool started;
static int pipe_fd;
static char path[DEPTH * 256];

/* A stream that ends without its last record is one that could not be finished, and counts as such. */
static void need(bool done)
{
	if (done) return;
	say("the changes could not be read: %m");
	_exit(1);
}

static void put(const void *bytes, size_t size)
{
	for (ssize_t count; size > 0; bytes = (const char *)bytes + count, size -= (size_t)count)
		need((count = write(pipe_fd, bytes, size)) > 0);
}

static void put_head(char kind, size_t path_size, const struct stat *status, uint64_t size)
{
	int64_t time_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
	uint32_t head[HEAD / 4] = { (uint8_t)kind | (uint32_t)path_size << 16, status->st_mode & 07777 };
	memcpy(head + 2, &size, 8);
	memcpy(head + 4, &time_ns, 8);
	put(head, HEAD);
	put(path, path_size);
}

static void put_file(int fd, uint64_t left)
{
	static uint8_t bytes[65536];
	for (ssize_t count; left > 0; left -= (uint64_t)count) {
		need((count = read(fd, bytes, left < sizeof bytes ? left : sizeof bytes)) > 0);
		put(bytes, (size_t)count);
	}
	close(fd);
}

static void put_folder(int fd, size_t above, size_t depth)
{
	DIR *folder = fdopendir(fd);
	need(folder != NULL);
	for (struct dirent *entry; (errno = 0, entry = readdir(folder)) != NULL || errno != 0;) {
		char target[LINK_SIZE], opaque = 0;
		struct stat status;
		need(entry != NULL);
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
		size_t size = above + (size_t)sprintf(path + above, above == 0 ? "%s" : "/%s", entry->d_name);
		need(fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0);
		bool is_file = S_ISREG(status.st_mode), is_link = S_ISLNK(status.st_mode), enters = S_ISDIR(status.st_mode) && depth < DEPTH;
		int inner = enters || is_file ? openat(fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
		ssize_t length = is_link ? readlinkat(fd, entry->d_name, target, sizeof target) : 0;
		need(length >= 0 && (inner >= 0 || !(enters || is_file)));
		if (is_file) {
			put_head('F', size, &status, (uint64_t)status.st_size);
			put_file(inner, (uint64_t)status.st_size);
		} else if (enters) {
			fgetxattr(inner, "trusted.overlay.opaque", &opaque, 1);
			put_head(opaque == 'y' ? 'O' : 'D', size, &status, 0);
			put_folder(inner, size, depth + 1);
		} else if (is_link) {
			put_head('L', size, &status, (uint64_t)length);
			put(target, (size_t)length);
		} else put_head(S_ISCHR(status.st_mode) && status.st_rdev == 0 ? 'X' : 'S', size, &status, 0);
	}
	closedir(folder);
}

void changes_start(void)
{
	int ends[2];
	if (workload_state != REPORTED || started) violation("COLLECT before the end, or twice");
	started = true;
	NEED(pipe2(ends, O_CLOEXEC) == 0, FAILED_INTERNAL, "a pipe could not be made: %m");
	pid_t walker = fork();
	NEED(walker >= 0, FAILED_INTERNAL, "the changes could not be read: %m");
	if (walker == 0) {
		pipe_fd = ends[1];
		fcntl(pipe_fd, F_SETPIPE_SZ, PIPE_SIZE);
		if (root_changes[0] != 0) put_folder(open(root_changes, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), 0, 1);
		put_head('E', 0, &(struct stat){ 0 }, 0);
		_exit(0);
	}
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	port_open(&port, ends[0]);
}

void changes_frame(const struct frame *frame)
{
	if (frame->type == CREDIT) outlet_credit(&outlet, get32(frame->payload));
	else if (frame->type == RESET) port_close(&port);
	else violation("a frame of type %u on stream %u", frame->type, frame->stream);
}

bool changes_pump(void)
{
	return port.fd >= 0 && outlet_pump(&outlet);
}
