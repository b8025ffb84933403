/*
 * The spec: records `key NUL decimal-length NUL bytes`, the last of them `end`. Vouch writes it, and still nothing here
 * is taken on trust: an unknown key, a repeated one, a value out of bounds or a missing one ends the run unstarted.
 */
#include "supervisor.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct spec spec;

enum { WAIT_MS = 10000, TEXTS_LIMIT = 65536, TOOL_TEXT_LIMIT = 32768 };

static char *copy(const char *bytes, size_t size)
{
	char *text = allocate(size + 1);
	memcpy(text, bytes, size);
	return text;
}

static bool add_text(struct texts *texts, const char *bytes, size_t size)
{
	if (texts->count >= TEXTS_LIMIT) return false;
	/* Doubles at powers of two, and keeps room for the NULL at the end. */
	if ((texts->count & (texts->count + 1)) == 0) {
		texts->items = realloc(texts->items, (texts->count + 1) * 2 * sizeof *texts->items);
		if (texts->items == NULL) abort();
	}
	texts->items[texts->count++] = copy(bytes, size);
	texts->items[texts->count] = NULL;
	return true;
}

static bool parse_number(const char *bytes, size_t size, uint64_t most, uint64_t *number)
{
	if (size == 0 || size > 19 || (size > 1 && bytes[0] == '0')) return false;
	*number = 0;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] < '0' || bytes[i] > '9') return false;
		*number = *number * 10 + (uint64_t)(bytes[i] - '0');
	}
	return *number <= most;
}

/* `name NUL value`: the size of the name, or SIZE_MAX. */
static size_t name_size(const char *bytes, size_t size)
{
	const char *nul = memchr(bytes, 0, size);
	return nul == NULL || nul == bytes ? SIZE_MAX : (size_t)(nul - bytes);
}

static bool parse_address(const char *text, uint16_t port, struct endpoint *endpoint)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&endpoint->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&endpoint->address;
	memset(endpoint, 0, sizeof *endpoint);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		endpoint->length = sizeof *v4;
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return false;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	endpoint->length = sizeof *v6;
	return true;
}

static bool take_group(char *value, size_t size)
{
	if (spec.group_count == COUNT(spec.groups) || size < 2 || value[0] != '/' || strstr(value, "/../")) return false;
	spec.groups[spec.group_count++].path = copy(value, size);
	return true;
}

static bool take_group_file(char *value, size_t size)
{
	size_t name = name_size(value, size);
	if (spec.group_count == 0 || name == SIZE_MAX || strchr(value, '/')) return false;
	struct group *group = &spec.groups[spec.group_count - 1];
	if (group->file_count == COUNT(group->files)) return false;
	group->files[group->file_count++] =
		(struct pair){ copy(value, name), copy(value + name + 1, size - name - 1) };
	return true;
}

static bool take_limit(char *value, size_t size)
{
	static const struct { const char *name; int resource; } known[] = {
		{ "AS", RLIMIT_AS }, { "CORE", RLIMIT_CORE }, { "CPU", RLIMIT_CPU }, { "DATA", RLIMIT_DATA },
		{ "FSIZE", RLIMIT_FSIZE }, { "LOCKS", RLIMIT_LOCKS }, { "MEMLOCK", RLIMIT_MEMLOCK },
		{ "MSGQUEUE", RLIMIT_MSGQUEUE }, { "NICE", RLIMIT_NICE }, { "NOFILE", RLIMIT_NOFILE },
		{ "NPROC", RLIMIT_NPROC }, { "RSS", RLIMIT_RSS }, { "RTPRIO", RLIMIT_RTPRIO }, { "RTTIME", RLIMIT_RTTIME },
		{ "SIGPENDING", RLIMIT_SIGPENDING }, { "STACK", RLIMIT_STACK },
	};
	size_t name = name_size(value, size);
	if (name == SIZE_MAX || spec.limit_count == COUNT(spec.limits)) return false;
	for (size_t i = 0; i < COUNT(known); i++) {
		if (strcmp(known[i].name, value) != 0) continue;
		struct limit *limit = &spec.limits[spec.limit_count++];
		limit->resource = known[i].resource;
		return parse_number(value + name + 1, size - name - 1, INT64_MAX, &limit->value);
	}
	return false;
}

static bool take_descriptor(char *value, size_t size)
{
	size_t name = name_size(value, size);
	uint64_t fd;
	if (name == SIZE_MAX || spec.descriptor_count == COUNT(spec.descriptors)) return false;
	if (!parse_number(value, name, 255, &fd) || fd < 3) return false;
	for (size_t i = 0; i < spec.descriptor_count; i++)
		if (spec.descriptors[i].fd == (int)fd) return false;
	size_t bytes = size - name - 1;
	spec.descriptors[spec.descriptor_count++] = (struct descriptor){ (int)fd, copy(value + name + 1, bytes), bytes };
	return true;
}

static bool take_listener(char *value, size_t size)
{
	size_t name = name_size(value, size);
	uint64_t port;
	if (name == SIZE_MAX || spec.listener_count == COUNT(spec.listeners)) return false;
	if (!parse_number(value + name + 1, size - name - 1, 65535, &port) || port == 0) return false;
	return parse_address(value, (uint16_t)port, &spec.listeners[spec.listener_count++]);
}

static bool take_resolver(char *value, size_t size)
{
	return size > 0 && spec.resolver.length == 0 && parse_address(value, 53, &spec.resolver);
}

static bool take_afterwards(char *value, size_t size)
{
	if (spec.afterwards_count == COUNT(spec.afterwards) || size < 2 || value[0] != '/' || value[size - 1] != 0)
		return false;
	struct texts *command = &spec.afterwards[spec.afterwards_count++];
	for (size_t at = 0; at < size; at += strlen(value + at) + 1)
		if (!add_text(command, value + at, strlen(value + at))) return false;
	return true;
}

static bool take_signal_target(char *value, size_t size)
{
	spec.signals_descendants = size == 11 && strcmp(value, "descendants") == 0;
	return spec.signals_descendants || (size == 7 && strcmp(value, "program") == 0);
}

static bool take_environment(char *value, size_t size)
{
	return value[0] != '=' && strchr(value, '=') != NULL && strlen(value) == size &&
	       add_text(&spec.environment, value, size);
}

/* One row per key: a text, a list of texts, a number, or a reader of its own. */
static const struct key {
	const char *name;
	char **text;
	size_t most_bytes;
	struct texts *texts;
	uint64_t *number, most;
	bool (*take)(char *value, size_t size);
} keys[] = {
	{ .name = "argv", .texts = &spec.argv },
	{ .name = "environment", .take = take_environment },
	{ .name = "directory", .text = &spec.directory, .most_bytes = 4095 },
	{ .name = "unmount", .texts = &spec.unmount },
	{ .name = "group", .take = take_group },
	{ .name = "group-file", .take = take_group_file },
	{ .name = "limit", .take = take_limit },
	{ .name = "descriptor", .take = take_descriptor },
	{ .name = "held", .number = &spec.held, .most = 1 },
	{ .name = "start-descriptor", .number = &spec.start_fd, .most = 255 },
	{ .name = "terminal-descriptor", .number = &spec.terminal_fd, .most = 254 },
	{ .name = "terminal-rows", .number = &spec.terminal_rows, .most = 65535 },
	{ .name = "terminal-columns", .number = &spec.terminal_columns, .most = 65535 },
	{ .name = "signal-target", .take = take_signal_target },
	{ .name = "disk-write-bytes", .number = &spec.disk_write_bytes, .most = INT64_MAX },
	{ .name = "afterwards", .take = take_afterwards },
	{ .name = "ip", .text = &spec.ip, .most_bytes = 4095 },
	{ .name = "nft", .text = &spec.nft, .most_bytes = 4095 },
	{ .name = "gate-commands", .text = &spec.gate_commands, .most_bytes = TOOL_TEXT_LIMIT },
	{ .name = "sandbox-commands", .text = &spec.sandbox_commands, .most_bytes = TOOL_TEXT_LIMIT },
	{ .name = "firewall", .text = &spec.firewall, .most_bytes = TOOL_TEXT_LIMIT },
	{ .name = "redirect-port", .number = &spec.redirect_port, .most = 65535 },
	{ .name = "resolver-address", .take = take_resolver },
	{ .name = "gate-interface", .text = &spec.gate_interface, .most_bytes = 15 },
	{ .name = "sandbox-interface", .text = &spec.sandbox_interface, .most_bytes = 15 },
	{ .name = "listener", .take = take_listener },
	{ .name = "gate-socket", .text = &spec.gate_socket, .most_bytes = 107 },
	{ .name = "max-connections", .number = &spec.max_connections, .most = 100000 },
};
static bool seen[COUNT(keys)];

static bool take(const char *name, char *value, size_t size)
{
	for (size_t i = 0; i < COUNT(keys); i++) {
		const struct key *key = &keys[i];
		if (strcmp(key->name, name) != 0) continue;
		bool again = seen[i];
		seen[i] = true;
		if (key->take) return key->take(value, size);
		if (key->texts) return strlen(value) == size && add_text(key->texts, value, size);
		if (again) return false;
		if (key->number) return parse_number(value, size, key->most, key->number);
		if (size == 0 || size > key->most_bytes || strlen(value) != size) return false;
		*key->text = copy(value, size);
		return true;
	}
	return false;
}

static bool was_seen(const char *name)
{
	for (size_t i = 0; i < COUNT(keys); i++)
		if (strcmp(keys[i].name, name) == 0) return seen[i];
	return false;
}

/* This program itself, as the sandbox is given it. */
static void give_own_program(void)
{
	struct stat own;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &own) < 0 || spec.descriptor_count == COUNT(spec.descriptors) || spec.terminal_fd < 3)
		fail_start("The program that makes the terminal could not be given.");
	char *bytes = allocate((size_t)own.st_size);
	if (read(fd, bytes, (size_t)own.st_size) != own.st_size) fail_start("The supervisor's own program could not be read: %m.");
	close(fd);
	spec.descriptors[spec.descriptor_count++] = (struct descriptor){ (int)spec.terminal_fd, bytes, (size_t)own.st_size };
}

static void check_whole(void)
{
	static const char *const always[] = { "argv", "directory", "signal-target" };
	static const char *const network[] = { "ip", "nft", "gate-commands", "sandbox-commands", "firewall", "redirect-port",
		"resolver-address", "gate-interface", "sandbox-interface", "gate-socket", "max-connections" };
	for (size_t i = 0; i < COUNT(always); i++)
		if (!was_seen(always[i])) fail_start("The supervisor's instructions lack %s.", always[i]);
	for (size_t i = 0; i < COUNT(network); i++)
		if (was_seen(network[i])) spec.wants_network = true;
	for (size_t i = 0; i < COUNT(network) && spec.wants_network; i++)
		if (!was_seen(network[i])) fail_start("The supervisor's network instructions lack %s.", network[i]);
	if (spec.listener_count > 0 && !spec.wants_network) fail_start("A listener needs network instructions.");
	if (was_seen("terminal-descriptor")) give_own_program();
	for (size_t i = 0; i < spec.descriptor_count; i++)
		if ((uint64_t)spec.descriptors[i].fd == spec.start_fd) fail_start("The start descriptor holds something else.");
	if (was_seen("start-descriptor") && spec.start_fd < 3) fail_start("The start descriptor is a standard stream.");
	if (spec.directory[0] != '/') fail_start("The working directory is not an absolute path.");
	spec.watches_disk = was_seen("disk-write-bytes");
	if (spec.environment.items == NULL) spec.environment.items = allocate(sizeof(char *));
}

/* Takes one whole record off the front of the input; 0 when it is not all there yet, -1 when it is malformed. */
static int take_record(size_t *start, bool *ended)
{
	char *bytes = control_input.bytes + *start;
	size_t left = control_input.used - *start, name, digits;
	uint64_t size;
	if ((name = strnlen(bytes, left < 32 ? left : 32)) == left) return 0;
	if (name == 0 || name == 32) return -1;
	char *length = bytes + name + 1;
	left -= name + 1;
	if ((digits = strnlen(length, left < 9 ? left : 9)) == left) return digits < 9 ? 0 : -1;
	if (!parse_number(length, digits, INPUT_LIMIT, &size)) return -1;
	char *value = length + digits + 1;
	left -= digits + 1;
	if (left < size) return 0;
	*start = (size_t)(value - control_input.bytes) + size;
	if (strcmp(bytes, "end") == 0) {
		*ended = true;
		return size == 0 ? 1 : -1;
	}
	char *text = copy(value, size);
	bool taken = take(bytes, text, size);
	free(text);
	return taken ? 1 : -1;
}

void spec_read(void)
{
	size_t start = 0;
	bool ended = false;
	/* The first of them comes when the run is decided, which a person may be asked about. */
	if (!control_fill(-1)) control_clear_away();
	int64_t deadline = now_ms() + WAIT_MS;
	while (!ended) {
		int taken = start < control_input.used ? take_record(&start, &ended) : 0;
		if (taken < 0) fail_start("The supervisor's instructions are malformed.");
		if (taken > 0) continue;
		int64_t left = deadline - now_ms();
		if (left <= 0 || !control_fill((int)left)) fail_start("The supervisor's instructions did not come whole.");
	}
	control_consume(start);
	check_whole();
}
