/* Disks: found by the serial that the host gave them or, where there are none, by their order. */
#include "guest.h"
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>

enum { DISKS = 10, NAME_SIZE = 32, WAIT_MS = 5000 };

static bool is_device(char letter, const char *name)
{
	char serial[NAME_SIZE];
	if (strncmp(name, "index:", 6) == 0) return letter - 'a' == name[6] - '0' && access(text_of("/dev/vd%c", letter), F_OK) == 0;
	return read_text(text_of("/sys/block/vd%c/serial", letter), serial, sizeof serial) > 0 && strcmp(serial, name + 7) == 0;
}

const char *disk_find(const char *name, int wait_ms)
{
	for (int64_t end = now_ms() + wait_ms;;) {
		for (char letter = 'a'; letter < 'a' + DISKS; letter++)
			if (is_device(letter, name)) return text_of("/dev/vd%c", letter);
		if (now_ms() >= end) return NULL;
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
}

const char *disk_mount(const char *name, const char *type, unsigned long flags)
{
	static struct { char name[NAME_SIZE], path[NAME_SIZE]; } disks[DISKS], *disk;
	for (disk = disks; disk < disks + DISKS && disk->name[0] != 0; disk++)
		if (strcmp(disk->name, name) == 0) return disk->path;
	const char *device = disk_find(name, WAIT_MS);
	int fd = device == NULL || disk == disks + DISKS ? -1 : open(device, O_RDONLY | O_CLOEXEC);
	/* What was read before a snapshot may have been another disk's. */
	NEED(fd >= 0 && ioctl(fd, BLKFLSBUF, 0) == 0, FAILED_SETUP, "there is no disk %s", name);
	close(fd);
	strcpy(disk->name, name);
	snprintf(disk->path, NAME_SIZE, "/run/disk%td", disk - disks);
	NEED(mkdir(disk->path, 0755) == 0 && mount(device, disk->path, type, flags | MS_NODEV | MS_NOSUID | MS_NOATIME, NULL) == 0,
	     FAILED_SETUP, "the disk %s could not be mounted as %s: %m", name, type);
	return disk->path;
}
