/*
 * Tries to get bytes out of a sandbox: streams and datagrams to any address, and what else the kernel may be asked for.
 * Prints what came of it; whether something got out is for the servers outside to say.
 * Statically linked, as it runs in any root file system.
 */
#define _GNU_SOURCE
#include "network-attack.h"

enum { LIFE_S = 25 };

static int argument_count;
static char **arguments;
const char *argument(int index) { return index < argument_count ? arguments[index] : ""; }
int number(int index) { return atoi(argument(index)); }

unsigned char payload[1 << 20];
size_t payload_size;

/* Bytes written as hexadecimal; `@N` after them repeats the whole N times. */
void read_payload(const char *text)
{
	payload_size = 0;
	for (; text[0] && text[0] != '@' && text[1]; text += 2) {
		unsigned byte = 0;
		sscanf(text, "%2x", &byte);
		payload[payload_size++] = (unsigned char)byte;
	}
	size_t once = payload_size, times = text[0] == '@' ? (size_t)atoi(text + 1) : 1;
	for (size_t i = 1; i < times && payload_size + once <= sizeof payload; i++, payload_size += once)
		memcpy(payload + payload_size, payload, once);
}

socklen_t address_of(const char *text, int port, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	char plain[64];
	memset(address, 0, sizeof *address);
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof *v4;
	}
	snprintf(plain, sizeof plain, "%.*s", (int)strcspn(text, "%"), text);
	if (inet_pton(AF_INET6, plain, &v6->sin6_addr) != 1) {
		printf("not an address: %s\n", text);
		exit(64);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	if (strchr(text, '%')) v6->sin6_scope_id = if_nametoindex(strchr(text, '%') + 1);
	return sizeof *v6;
}

long say(const char *what, long result)
{
	if (result < 0) printf("%s: refused %d\n", what, errno);
	else printf("%s: DONE\n", what);
	return result;
}

/* Whatever comes back until the other side ends or the time is over. */
void print_reply(int fd)
{
	char bytes[4096];
	struct pollfd ready = { fd, POLLIN, 0 };
	const char *given = getenv("REPLY_MS");
	int patience_ms = given == NULL ? 1300 : atoi(given);
	while (poll(&ready, 1, patience_ms) > 0) {
		ssize_t count = recv(fd, bytes, sizeof bytes, 0);
		if (count <= 0) return;
		fwrite(bytes, 1, (size_t)count, stdout);
	}
}

int connected(int fd, const struct sockaddr *to, socklen_t length)
{
	struct timeval patience = { 3, 0 };
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return say("connect", connect(fd, to, length)) < 0 ? -1 : fd;
}

static int open_stream(const char *host, int port, int protocol)
{
	struct sockaddr_storage to;
	socklen_t length = address_of(host, port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM, protocol);
	return fd < 0 ? (int)say("socket", fd) : connected(fd, (struct sockaddr *)&to, length);
}

void send_all(int fd)
{
	for (size_t at = 0; at < payload_size;) {
		ssize_t count = send(fd, payload + at, payload_size - at, MSG_NOSIGNAL);
		if (count <= 0) return;
		at += (size_t)count;
	}
}

/* tcp ADDRESS PORT HEX [PROTOCOL] */
static void tcp(void)
{
	int fd = open_stream(argument(2), number(3), number(5));
	if (fd < 0) return;
	read_payload(argument(4));
	send_all(fd);
	print_reply(fd);
}

/* udp ADDRESS PORT HEX [PROTOCOL] */
static void udp(void)
{
	struct sockaddr_storage to;
	int on = 1;
	socklen_t length = address_of(argument(2), number(3), &to);
	int fd = socket(to.ss_family, SOCK_DGRAM, number(5));
	read_payload(argument(4));
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	/* Connected, a refusal comes back at once. */
	if (connect(fd, (struct sockaddr *)&to, length) < 0) say("connect", -1);
	if (say("send", send(fd, payload, payload_size, 0)) >= 0) print_reply(fd);
}

/* The address that the sandbox's resolver gives a name, or false. */
static int look_up(const char *name, char answer[16])
{
	unsigned char message[512] = { 0x12, 0x34, 1, 0, 0, 1 }, reply[512];
	size_t at = 12;
	for (const char *label = name; *label;) {
		size_t size = strcspn(label, ".");
		message[at++] = (unsigned char)size;
		memcpy(message + at, label, size);
		at += size;
		label += size + (label[size] == '.');
	}
	message[at + 2] = message[at + 4] = 1;
	struct sockaddr_storage to;
	socklen_t length = address_of("10.0.2.1", 53, &to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	sendto(fd, message, at + 5, 0, (struct sockaddr *)&to, length);
	struct pollfd ready = { fd, POLLIN, 0 };
	ssize_t count = poll(&ready, 1, 3000) > 0 ? recv(fd, reply, sizeof reply, 0) : -1;
	if (count < 16 || (reply[3] & 15) || !reply[7]) return 0;
	inet_ntop(AF_INET, reply + count - 4, answer, 16);
	return 1;
}

/* name NAME PORT HEX: looked up, then connected to, as programs without proxy settings do. */
static void name(void)
{
	char answer[16];
	if (!look_up(argument(2), answer)) {
		printf("no address\n");
		return;
	}
	int fd = open_stream(answer, number(3), 0);
	if (fd < 0) return;
	read_payload(argument(4));
	send_all(fd);
	print_reply(fd);
}

/* unix PATH|@NAME HEX [TYPE] */
static void unix_socket(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t length = strlen(argument(2));
	if (length >= sizeof to.sun_path) length = sizeof to.sun_path - 1;
	memcpy(to.sun_path, argument(2), length);
	if (to.sun_path[0] == '@') to.sun_path[0] = 0;
	int fd = socket(AF_UNIX, number(4) ? number(4) : SOCK_STREAM, 0);
	if (connected(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0) return;
	read_payload(argument(3));
	send_all(fd);
	print_reply(fd);
}

static void more_files(void)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* flood ADDRESS PORT COUNT HEX HOLD_MS: as many connections at once as it gets. */
static void flood(void)
{
	struct sockaddr_storage to;
	socklen_t length = address_of(argument(2), number(3), &to);
	int made = 0;
	more_files();
	read_payload(argument(5));
	for (int i = 0; i < number(4); i++) {
		int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (fd < 0) break;
		if (connect(fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS) continue;
		struct pollfd ready = { fd, POLLOUT, 0 };
		if (poll(&ready, 1, 200) > 0) send(fd, payload, payload_size, MSG_NOSIGNAL);
		made++;
	}
	printf("made %d\n", made);
	usleep((useconds_t)number(6) * 1000);
}

/* resets ADDRESS PORT COUNT HEX: connections cut as soon as they stand. */
static void resets(void)
{
	struct linger at_once = { 1, 0 };
	struct sockaddr_storage to;
	socklen_t length = address_of(argument(2), number(3), &to);
	read_payload(argument(5));
	for (int i = 0; i < number(4); i++) {
		int fd = socket(to.ss_family, SOCK_STREAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		if (connect(fd, (struct sockaddr *)&to, length) == 0) send(fd, payload, payload_size, MSG_NOSIGNAL);
		close(fd);
	}
}

/* drip ADDRESS PORT HEX GAP_MS: one byte at a time until somebody has had enough. */
static void drip(void)
{
	int fd = open_stream(argument(2), number(3), 0);
	read_payload(argument(4));
	for (size_t i = 0; fd >= 0 && i < payload_size; i++) {
		if (send(fd, payload + i, 1, MSG_NOSIGNAL) <= 0) {
			printf("cut after %zu\n", i);
			return;
		}
		usleep((useconds_t)number(5) * 1000);
	}
	print_reply(fd);
}

/* datagrams ADDRESS PORT COUNT HEX SPREAD: a flood, to SPREAD neighbouring ports in turn. */
static void datagrams(void)
{
	struct sockaddr_storage to;
	int fd = -1;
	read_payload(argument(5));
	for (int i = 0; i < number(4); i++) {
		int spread = number(6) > 0 ? number(6) : 1;
		socklen_t length = address_of(argument(2), number(3) + i % spread, &to);
		if (fd < 0) fd = socket(to.ss_family, SOCK_DGRAM, 0);
		sendto(fd, payload, payload_size, MSG_DONTWAIT, (struct sockaddr *)&to, length);
	}
}

/* half ADDRESS PORT HEX: says everything, ends its side, reads on. */
static void half(void)
{
	int fd = open_stream(argument(2), number(3), 0);
	if (fd < 0) return;
	read_payload(argument(4));
	send_all(fd);
	shutdown(fd, SHUT_WR);
	print_reply(fd);
}

/* urgent ADDRESS PORT HEX: the payload out of band. */
static void urgent(void)
{
	int fd = open_stream(argument(2), number(3), 0);
	if (fd < 0) return;
	read_payload(argument(4));
	say("urgent", send(fd, payload, payload_size, MSG_OOB | MSG_NOSIGNAL));
	print_reply(fd);
}

static int open_named(void)
{
	char answer[16];
	return look_up(argument(2), answer) ? open_stream(answer, number(3), 0) : -1;
}

/* push NAME PORT MIB: so much of one stream, that is no HTTP. */
static void push(void)
{
	int fd = open_named();
	payload_size = sizeof payload;
	for (int i = 0; fd >= 0 && i < number(4); i++) send_all(fd);
	shutdown(fd, SHUT_WR);
	if (fd >= 0) print_reply(fd);
}

/* pull NAME PORT MIB: so much by one request, and how much came. */
static void pull(void)
{
	int fd = open_named();
	unsigned long long total = 0;
	ssize_t count;
	dprintf(fd, "GET /download/%d HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n", number(4) << 20, argument(2), argument(3));
	while ((count = recv(fd, payload, sizeof payload, 0)) > 0) total += (unsigned long long)count;
	printf("pulled %llu\n", total);
}

static const struct { const char *name; void (*run)(void); } attacks[] = {
#define ATTACK(name) { #name, name }
	ATTACK(tcp), ATTACK(udp), ATTACK(name), ATTACK(unix_socket), ATTACK(pass_descriptors), ATTACK(descriptors),
	ATTACK(ping), ATTACK(neighbour), ATTACK(raw), ATTACK(packet), ATTACK(families), ATTACK(transports), ATTACK(vsock),
	ATTACK(tun), ATTACK(options), ATTACK(first_packet), ATTACK(bind_to), ATTACK(route_netlink), ATTACK(other_netlink),
	ATTACK(interface_ioctl), ATTACK(namespaces), ATTACK(flood), ATTACK(resets), ATTACK(drip), ATTACK(datagrams),
	ATTACK(half), ATTACK(urgent), ATTACK(frames), ATTACK(push), ATTACK(pull),
};

int main(int count, char **values)
{
	argument_count = count;
	arguments = values;
	alarm(LIFE_S);
	setvbuf(stdout, NULL, _IONBF, 0);
	for (size_t i = 0; i < sizeof attacks / sizeof *attacks; i++) {
		if (strcmp(attacks[i].name, argument(1)) != 0) continue;
		attacks[i].run();
		return 0;
	}
	printf("unknown attack %s\n", argument(1));
	return 64;
}
