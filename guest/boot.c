/* From the kernel's hand to a machine that can compose a run: file systems, modules, the root, the rules of the house. */
#include "guest.h"
#include <sys/mount.h>
#include <sys/syscall.h>

enum { DISK_WAIT_MS = 5000 };

/* In their order. One that the machine has no use for, or has already, is none that is missing. */
void modules_load(bool of_vsock)
{
	static char names[8192];
	read_text("/modules/order", names, sizeof names);
	for (char *rest = names, *name; (name = strsep(&rest, "\n")) != NULL;) {
		if (*name == 0 || (strstr(name, "vsock") != NULL) != of_vsock) continue;
		int fd = open(text_of("/modules/%.255s", name), O_RDONLY | O_CLOEXEC);
		if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != ENODEV)
			say("the module %s could not be loaded: %m", name);
		close(fd);
	}
}

/*
 * No user namespaces: they would give back every capability that the workload lost. No modules, kernels or BPF from now
 * on, no kernel log, no addresses of the kernel, no magic keys, no other process's memory.
 */
static void set_rules(void)
{
	static const char *const rules[][2] = {
		{ "user/max_user_namespaces", "0" }, { "kernel/modules_disabled", "1" }, { "kernel/kexec_load_disabled", "1" },
		{ "kernel/unprivileged_bpf_disabled", "1" }, { "kernel/dmesg_restrict", "1" }, { "kernel/kptr_restrict", "2" },
		{ "kernel/perf_event_paranoid", "3" }, { "kernel/sysrq", "0" }, { "kernel/core_pattern", "\n" },
		{ "kernel/yama/ptrace_scope", "1" }, { "vm/unprivileged_userfaultfd", "0" },
	};
	for (size_t i = 0; i < COUNT(rules); i++)
		/* A kernel that lacks the thing needs no rule about it; user namespaces and modules it must not lack. */
		NEED(write_text(text_of("/proc/sys/%s", rules[i][0]), rules[i][1]) || (errno == ENOENT && i >= 2), FAILED_INTERNAL,
		     "%s could not be set: %m", rules[i][0]);
}

void boot(void)
{
	static const char *const own[][3] = { { "/proc", "proc" }, { "/sys", "sysfs" }, { "/dev", "devtmpfs" },
		                                  { "/run", "tmpfs", "mode=0700" } };
	char words[4097], rootfs[9];
	struct verity_words verity;
	umask(022);
	for (size_t i = 0; i < COUNT(own); i++) {
		mkdir(own[i][0], 0755);
		/* Busy: the kernel has done it. */
		NEED(mount(own[i][1], own[i][0], own[i][1], MS_NOSUID | MS_NOEXEC, own[i][2]) == 0 || errno == EBUSY, FAILED_INTERNAL,
		     "%s could not be mounted: %m", own[i][0]);
	}
	mkdir(NEW_ROOT, 0755);
	modules_load(false);
	channel_open();
	read_text("/proc/cmdline", words, sizeof words);
	const char *wrong = command_line_parse(words, rootfs, &verity), *device = disk_find("serial:vouch-root", 0);
	NEED(wrong == NULL, FAILED_VERITY, "%s", wrong);
	if (device == NULL) device = disk_find("index:0", DISK_WAIT_MS);
	NEED(device != NULL, FAILED_VERITY, "there is no root disk");
	verity_open(device, &verity, rootfs);
	set_rules();
}
