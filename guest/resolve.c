/*
 * The workload's DNS questions: each becomes a connection of its own, as if it had been asked over TCP, whose other end
 * is here. And what the workload sends that goes nowhere.
 */
#include "guest.h"

enum { QUERIES = 64, QUESTION_SIZE = 4096, ANSWER_SIZE = 65535, ANSWER_MS = 10000, BATCH = 64, REPORTS = 256, REPORT_MS = 1000,
	MANY = 255 };

static struct query {
	struct port port; /* our end */
	bool waits;
	struct sockaddr_in6 client, asked;
	int64_t deadline_ms;
	size_t used;
	uint8_t answer[2 + ANSWER_SIZE];
} queries[QUERIES];
static struct port resolver, refused;

/* As REFUSED-DATAGRAM has it. */
struct report { uint8_t protocol, family; uint16_t port; uint32_t bytes; uint8_t address[16]; };
/* In this second; what comes after the first of them is summed up, and one stands for it. */
static size_t reports;
static uint32_t unreported_bytes;
static int64_t reported_ms;

void resolve_open(int dns_fd, int refused_fd)
{
	port_open(&resolver, dns_fd);
	port_open(&refused, refused_fd);
}

static void refuse(bool four, const uint8_t *address, uint16_t port, size_t bytes)
{
	struct report report = { IPPROTO_UDP, four ? 4 : 6, port, (uint32_t)bytes, { 0 } };
	memcpy(report.address, address, four ? 4 : 16);
	if (reports++ < REPORTS && channel_has_room()) channel_send(REFUSED_DATAGRAM, CONTROL, &report, sizeof report);
	else unreported_bytes += report.bytes;
}

void resolve_report(void)
{
	struct report others = { MANY, 4, 0, unreported_bytes, { 0 } };
	reported_ms = now_ms();
	reports = 0;
	if (unreported_bytes == 0 || !channel_has_room()) return;
	channel_send(REFUSED_DATAGRAM, CONTROL, &others, sizeof others);
	unreported_bytes = 0;
}

/* What comes to this machine's own addresses left nothing: mostly it is our answers. */
static bool is_own(bool four, const uint8_t *address)
{
	static const uint8_t own[2][16] = { { 10, 0, 2, 2 }, { 0xfd, 0, 0x76, 0x6f, [15] = 2 } };
	return memcmp(address, own[!four], four ? 4 : 16) == 0;
}

/* A datagram that the kernel has refused; questions are carried, or refused where that is known. */
static bool take_refused(void)
{
	uint8_t packet[80];
	ssize_t size = recv(refused.fd, packet, sizeof packet, MSG_TRUNC);
	if (size < 0) return refused.readable = errno != EAGAIN;
	bool four = packet[0] >> 4 == 4;
	ssize_t head = four ? (packet[0] & 15) * 4 : 40;
	if (size < head + 8) return true;
	uint16_t port = (uint16_t)(packet[head + 2] << 8 | packet[head + 3]);
	if (port != 53 && !is_own(four, packet + (four ? 16 : 24))) refuse(four, packet + (four ? 16 : 24), port, (size_t)(size - head - 8));
	return true;
}

/* For recvmsg and sendmsg: bytes, and the address that was asked, and that therefore answers. */
struct letter {
	struct iovec bytes;
	struct msghdr head;
	union { struct cmsghdr note; uint8_t space[CMSG_SPACE(sizeof(struct in6_pktinfo))]; } control;
};

static struct msghdr *prepare(struct letter *letter, struct sockaddr_in6 *client, void *bytes, size_t size)
{
	letter->bytes = (struct iovec){ bytes, size };
	letter->control.note = (struct cmsghdr){ CMSG_LEN(sizeof(struct in6_pktinfo)), IPPROTO_IPV6, IPV6_PKTINFO };
	letter->head = (struct msghdr){ client, sizeof *client, &letter->bytes, 1, &letter->control, sizeof letter->control, 0 };
	return &letter->head;
}

/* A question to another server is not ours to answer. */
static bool is_resolver(const struct in6_addr *asked)
{
	static const uint8_t resolvers[2][16] = { { [10] = 255, 255, 10, 0, 2, 1 }, { 0xfd, 0, 0x76, 0x6f, [15] = 1 } };
	return memcmp(asked, resolvers[0], 16) == 0 || memcmp(asked, resolvers[1], 16) == 0;
}

static bool take_question(void)
{
	static uint8_t message[2 + 65536];
	struct letter letter;
	struct sockaddr_in6 client, asked = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
	struct query *query = queries;
	int ends[2];
	if (!channel_has_room()) return false;
	ssize_t size = recvmsg(resolver.fd, prepare(&letter, &client, message + 2, sizeof message - 2), 0);
	if (size < 0) return resolver.readable = errno != EAGAIN;
	memcpy(&asked.sin6_addr, CMSG_DATA(&letter.control.note), sizeof asked.sin6_addr);
	bool four = IN6_IS_ADDR_V4MAPPED(&asked.sin6_addr);
	while (query < queries + QUERIES && query->waits) query++;
	memcpy(message, &(uint16_t){ htons((uint16_t)size) }, 2);
	if (query == queries + QUERIES || size > QUESTION_SIZE || !is_resolver(&asked.sin6_addr) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		return refuse(four, asked.sin6_addr.s6_addr + (four ? 12 : 0), 53, (size_t)size), true;
	*query = (struct query){ .client = client, .asked = asked, .deadline_ms = now_ms() + ANSWER_MS };
	port_open(&query->port, ends[0]);
	/* A new pair takes a question at once. */
	query->waits = write(ends[0], message, (size_t)size + 2) == size + 2 && connections_add(ends[1], CARRIED_DNS, &client, &asked);
	if (!query->waits) port_close(&query->port);
	return true;
}

static void take_answer(struct query *query)
{
	ssize_t count = query->port.readable ? read(query->port.fd, query->answer + query->used, sizeof query->answer - query->used) : -1;
	if (count > 0) query->used += (size_t)count;
	else if (query->port.readable && errno == EAGAIN) query->port.readable = false;
	size_t whole = query->used < 2 ? SIZE_MAX : 2 + (size_t)(query->answer[0] << 8 | query->answer[1]);
	if (query->used < whole && count != 0 && now_ms() < query->deadline_ms) return;
	if (query->used >= whole) {
		struct letter letter;
		prepare(&letter, &query->client, query->answer + 2, whole - 2);
		memcpy(CMSG_DATA(&letter.control.note), &(struct in6_pktinfo){ .ipi6_addr = query->asked.sin6_addr }, sizeof(struct in6_pktinfo));
		sendmsg(resolver.fd, &letter.head, MSG_NOSIGNAL);
	}
	port_close(&query->port);
	query->waits = false;
}

bool resolve_pump(void)
{
	bool more = false;
	for (int turn = 0; turn < BATCH && resolver.readable && take_question(); turn++) more = true;
	for (size_t i = 0; i < QUERIES; i++)
		if (queries[i].waits) take_answer(&queries[i]);
	for (int turn = 0; turn < BATCH && refused.readable && take_refused(); turn++) more = true;
	if (now_ms() >= reported_ms + REPORT_MS) resolve_report();
	return more;
}
