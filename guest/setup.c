/* The setup stream: records, put together and executed one after the other, up to RUN. */
#include "guest.h"

/* What the records' texts may need together, NULs included; Linux takes no more for one program either. */
enum { TEXTS = 2 << 20, BACKLOG = 128 };

static struct inlet inlet;
static uint8_t bytes_of_record[RECORD_HEADER + RECORD_LIMIT + 1], texts[TEXTS];
static size_t used, texts_used;

void setup_open(void)
{
	inlet_open(&inlet, SETUP, NULL, WINDOW);
	inlet.credit += SETUP_CREDIT;
}

static const void *keep(const void *bytes, size_t size)
{
	/* Aligned: a seccomp program is read as structures. */
	size_t at = (texts_used + 7) & ~(size_t)7;
	NEED(at <= TEXTS && size <= TEXTS - at, FAILED_SETUP, "arguments and environment are over 2 MiB");
	texts_used = at + size;
	return memcpy(texts + at, bytes, size);
}

static void keep_text(const char **list, size_t *count, const char *text)
{
	NEED(*count < COUNT(workload.arguments) - 1, FAILED_SETUP, "there are too many arguments or variables");
	list[(*count)++] = keep(text, strlen(text) + 1);
}

static void add_listeners(const struct record *record)
{
	for (size_t at = 0; at < record->size; at += LISTENER_SIZE) {
		struct sockaddr_in6 address;
		int on = 1, fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		NEED(listener_read(record->bytes + at, record->size - at, &address), FAILED_SETUP, "a listener that is not on the loopback");
		NEED(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
		     bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, BACKLOG) == 0, FAILED_SETUP,
		     "a listener on the loopback could not be opened: %m");
		connections_listen(fd);
	}
}

static void set_user(const uint64_t ids[2])
{
	/* Without the machine's user 0 nothing of the machine itself can be written, whatever else goes wrong. */
	NEED(ids[0] - 1 < INT32_MAX && ids[1] - 1 < INT32_MAX, FAILED_SETUP, "a workload does not run as user or group 0");
	workload.user = (uid_t)ids[0];
	workload.group = (gid_t)ids[1];
}

static void execute(const struct record *record)
{
	const char *text = record->texts[0];
	if (strchr("dflrtkwbyx", record->kind) != NULL && (strchr("dflr", record->kind) != NULL) == root_composed)
		fail(FAILED_SETUP, "the record %c comes on the wrong side of r", record->kind);
	switch (record->kind) {
	case 'd': case 'f': case 'l': return root_make(record);
	case 'r': return root_compose();
	case 't': case 'k': case 'w': case 'b': case 'y': return root_mount(record);
	case 'p': workload.wants_proc = true; break;
	case 'n': return add_listeners(record);
	case 'h': NEED(sethostname(text, strlen(text)) == 0, FAILED_SETUP, "the host name: %m"); break;
	case 'u': return set_user(record->numbers);
	case 'c': workload.directory = keep(text, strlen(text) + 1); break;
	case 'e':
		NEED(strchr(text, '=') != NULL, FAILED_SETUP, "a variable without a value");
		return keep_text(workload.environment, &workload.environment_count, text);
	case 'a': return keep_text(workload.arguments, &workload.argument_count, text);
	case 'm': memcpy(&workload.limits, record->numbers, sizeof workload.limits); break;
	case 's':
		workload.filter = keep(record->bytes, record->size);
		workload.filter_size = record->size;
		break;
	case 'T':
		workload.has_terminal = true;
		workload.rows = (uint16_t)record->numbers[0];
		workload.columns = (uint16_t)record->numbers[1];
		break;
	case 'x': return workload_start();
	}
}

void setup_take(const uint8_t *bytes, size_t size)
{
	inlet_take(&inlet, bytes, size);
	inlet_grant(&inlet, size);
	while (size > 0) {
		struct record record;
		const char *wrong;
		size_t wanted;
		int whole;
		if (workload_state != NOT_YET) violation("setup records after RUN");
		/* As far as its header first, then as far as that says. */
		while ((whole = record_read(bytes_of_record, used, &record, &wanted, &wrong)) == 0 && size > 0) {
			size_t count = wanted - used < size ? wanted - used : size;
			memcpy(bytes_of_record + used, bytes, count);
			used += count;
			bytes += count;
			size -= count;
		}
		if (whole < 0) violation("%s", wrong);
		if (whole == 0) return;
		used = 0;
		execute(&record);
	}
}
