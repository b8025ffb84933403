/*
 * The terminal of a run that asked for one. It is made inside, in the sandbox's own devpts, by this same program on its way
 * to becoming the command: nothing of the person's terminal is ever in there. What comes out is the end that is carried here.
 */
#include "supervisor.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CANNOT_START = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127, TURNS = 16 };

/* One direction: bytes are held only while its destination takes none, which is the back-pressure. */
struct way {
	int from, to;
	size_t start, end;
	bool over; /* nothing comes any more, or nobody takes it */
	char held[16384];
};

static int meeting[2] = { -1, -1 };
static struct way typed = { .from = -1, .to = -1, .over = true }, shown = { .from = -1, .to = -1, .over = true };
static struct watch met, master, keys, screen;
static bool more, ending;

static bool carry(struct way *way)
{
	for (int turn = 0; turn < TURNS && !way->over; turn++) {
		if (way->start == way->end) {
			ssize_t count = read(way->from, way->held, sizeof way->held);
			if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
			/* Nobody holds the other end of a terminal: somebody may again, until all of the run is dead. */
			if (count < 0 && errno == EIO && !ending) return false;
			if ((way->over = count <= 0)) return false;
			way->start = 0;
			way->end = (size_t)count;
		}
		ssize_t count = write(way->to, way->held + way->start, way->end - way->start);
		if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
		if ((way->over = count < 0)) return false;
		way->start += (size_t)count;
	}
	return !way->over;
}

static void carry_ready(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	bool was_over = typed.over;
	more = carry(&typed);
	/* A terminal's input has no end: Ctrl-D is typed, twice, since after part of a line the first only hands that over. */
	if (typed.over && !was_over) more |= write(typed.to, "\4\4", 2) > 0;
	more |= carry(&shown);
}

int terminal_tick(void)
{
	if (more) carry_ready(NULL, 0);
	return more ? 0 : -1;
}

void terminal_resize(uint16_t rows, uint16_t columns)
{
	struct winsize size = { .ws_row = rows, .ws_col = columns };
	spec.terminal_rows = rows;
	spec.terminal_columns = columns;
	if (master.fd > 0) ioctl(master.fd, TIOCSWINSZ, &size);
}

/* Our program in the sandbox hands over the end that is ours and waits for a byte: the size is right before the command runs. */
static void met_ready(struct watch *watch, uint32_t events)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	(void)events;
	ssize_t count = recvmsg(watch->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
	struct cmsghdr *header = count > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header != NULL && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
		int fd;
		memcpy(&fd, CMSG_DATA(header), sizeof fd);
		fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
		master = (struct watch){ fd, carry_ready };
		typed.to = shown.from = fd;
		typed.over = shown.over = false;
		terminal_resize((uint16_t)spec.terminal_rows, (uint16_t)spec.terminal_columns);
		more = loop_add(&master, EPOLLIN | EPOLLOUT | EPOLLET) && loop_add(&keys, EPOLLIN | EPOLLET) &&
		       loop_add(&screen, EPOLLOUT | EPOLLET) && write(watch->fd, "", 1) == 1;
	}
	close(watch->fd);
	watch->fd = -1;
}

void terminal_open(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, meeting) < 0) fail_start("A socket for the terminal could not be made: %m.");
}

int terminal_inner_end(void)
{
	return meeting[1];
}

void terminal_wait(int input, int output)
{
	close(meeting[1]);
	fcntl(input, F_SETFL, O_RDONLY | O_NONBLOCK);
	fcntl(output, F_SETFL, O_WRONLY | O_NONBLOCK);
	typed.from = input;
	shown.to = output;
	keys = (struct watch){ input, carry_ready };
	screen = (struct watch){ output, carry_ready };
	met = (struct watch){ meeting[0], met_ready };
}

bool terminal_watch(void)
{
	return spec.terminal_fd == 0 || loop_add(&met, EPOLLIN);
}

bool terminal_busy(void)
{
	ending = true;
	more = carry(&shown);
	return !shown.over;
}

static bool hand_over(int socket, int fd)
{
	char room[CMSG_SPACE(sizeof fd)] = { 0 }, byte = 0;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	*header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd) };
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 && read(socket, &byte, 1) == 1;
}

int terminal_inside(int program, char **argv)
{
	int socket = program + 1, zero = 0, ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int theirs = ours < 0 || ioctl(ours, TIOCSPTLCK, &zero) < 0 ? -1 : ioctl(ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	/* The first of a process group can't begin a session: it leaves it. */
	setpgid(0, getpgid(getppid()));
	if (theirs < 0 || setsid() < 0 || ioctl(theirs, TIOCSCTTY, 0) < 0 || !hand_over(socket, ours)) {
		dprintf(2, "vouch: there is no terminal: %m\n");
		return CANNOT_START;
	}
	for (int i = 0; i < 3; i++) dup2(theirs, i);
	close(program);
	close(socket);
	execvp(argv[0], argv);
	int code = errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
	dprintf(2, "vouch: %.300s: %s\n", argv[0], code == NOT_FOUND ? "command not found" : strerror(errno));
	return code;
}
