/* The root device: dm-verity by the device-mapper's own ioctls (linux/dm-ioctl.h), and what it says of itself. */
#include "guest.h"
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#define NODE "/run/root-device"

/* One request: the header that every ioctl takes, a target and its words. */
static struct request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char words[512];
} request;
static int control = -1;

static bool ask(unsigned long what, uint32_t flags)
{
	request.head = (struct dm_ioctl){ .version = { 4 }, .data_size = sizeof request, .data_start = sizeof request.head,
		                              .target_count = 1, .flags = flags, .name = "vouch-root" };
	return ioctl(control, what, &request) == 0;
}

void verity_open(const char *device, const struct verity_words *words, const char *type)
{
	control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	NEED(control >= 0 && ask(DM_DEV_CREATE, 0), FAILED_INTERNAL, "the root device could not be made: %m");
	/* Our own node, so that nothing waits for the kernel's. */
	NEED(mknod(NODE, S_IFBLK | 0400, (dev_t)request.head.dev) == 0, FAILED_INTERNAL, "the root device has no node: %m");
	request.target = (struct dm_target_spec){ .length = words->data_blocks * 8, .target_type = "verity" };
	snprintf(request.words, sizeof request.words, "1 %s %s 4096 4096 %llu %llu sha256 %s %s", device, device,
	         (unsigned long long)words->data_blocks, (unsigned long long)words->hash_start, words->root_hash, words->salt);
	NEED(ask(DM_TABLE_LOAD, DM_READONLY_FLAG), FAILED_VERITY, "the root disk does not fit its measures: %m");
	NEED(ask(DM_DEV_SUSPEND, 0), FAILED_VERITY, "the root device could not be started: %m");
	NEED(mount(NODE, "/root", type, MS_RDONLY | MS_NODEV | MS_NOSUID, NULL) == 0, FAILED_VERITY,
	     "the root does not verify, or is no %s: %m", type);
	verity_check();
}

void verity_check(void)
{
	NEED(ask(DM_TABLE_STATUS, 0), FAILED_INTERNAL, "the root device does not say how it is: %m");
	/* V: every block that was read so far was right. C: one was not. */
	NEED(request.words[0] == 'V', FAILED_VERITY, "a block of the root is not what was measured");
}
