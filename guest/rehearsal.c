/*
 * What every run makes this machine do is done once while nobody is there yet, by a process that is gone afterwards with
 * all it made. The first run then finds programs read and verified, the kernel's memory in place and, where the machine is
 * emulated, its code translated. No run is known of at that time, so nothing of one can stay.
 */
#include "guest.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { TURN_MS = 50, LONGEST_MS = 5000, NOBODY = 65534 };

__attribute__((noreturn)) static void play(void)
{
	int64_t end_ms = now_ms() + LONGEST_MS;
	loop_open();
	NEED(unshare(CLONE_NEWNS) == 0 && mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") == 0, FAILED_INTERNAL,
	     "the rehearsal has no place: %m");
	root_compose();
	root_mount(&(struct record){ .kind = 'y', .texts = { "/dev" } });
	workload = (struct workload){ .arguments = { "/bin/sh", "-c", ":" }, .argument_count = 3, .directory = "/", .user = NOBODY,
		.group = NOBODY, .wants_proc = true };
	for (workload_start(); workload_state == RUNNING && now_ms() < end_ms; workload_pump()) loop_wait(TURN_MS);
	/* Whatever of it lives ends; a group that is not empty would stay. */
	write_text(GROUP "/cgroup.kill", "1");
	waitpid(-1, NULL, 0);
	_exit(rmdir(GROUP));
}

void rehearse(void)
{
	pid_t player = fork();
	if (player == 0) play();
	waitpid(player, NULL, 0);
}
