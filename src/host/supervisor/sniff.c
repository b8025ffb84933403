/*
 * Whatever reaches the gate's interface and is neither TCP nor a DNS query to the resolver. Nothing answers it, so it
 * is refused by nature: it is read only to be reported, summed up per protocol, destination and port.
 */
#include "supervisor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SNAP = 192, FLOWS = 256, QUEUE_BYTES = 16 << 20, BATCH = 256, EXTENSIONS = 8, OVERFLOW_PROTOCOL = 255 };

struct flow {
	uint32_t protocol;
	struct sockaddr_storage source, destination;
	uint64_t bytes, packets;
};
static struct watch sniffer = { .fd = -1 };
static struct flow flows[FLOWS + 1]; /* the last one stands for all that found no place */
static size_t flow_count;

static void tell(const struct flow *flow, uint64_t bytes, uint64_t packets)
{
	char source[46], destination[46];
	uint16_t port;
	address_text(&flow->source, source, &port);
	address_text(&flow->destination, destination, &port);
	control_send("{\"event\":\"datagram\",\"protocol\":%u,\"source\":\"%s\",\"destination\":\"%s\",\"port\":%u,"
	             "\"bytes\":%llu,\"packets\":%llu}", flow->protocol, source, destination, port,
	             (unsigned long long)bytes, (unsigned long long)packets);
}

/* Reported at first sight; what comes after is added up until the end. */
static void note(const struct flow *seen)
{
	size_t i = 0;
	while (i < flow_count && (flows[i].protocol != seen->protocol ||
	                          memcmp(&flows[i].destination, &seen->destination, sizeof seen->destination) != 0))
		i++;
	if (i == flow_count && flow_count <= FLOWS) {
		flows[i] = *seen;
		if (flow_count++ == FLOWS) {
			flows[i].protocol = OVERFLOW_PROTOCOL;
			flows[i].destination = (struct sockaddr_storage){ .ss_family = AF_INET };
		}
		tell(&flows[i], seen->bytes, seen->packets);
		flows[i].bytes = flows[i].packets = 0;
		return;
	}
	if (i > FLOWS) i = FLOWS;
	flows[i].bytes += seen->bytes;
	flows[i].packets += seen->packets;
}

static void set_address(struct sockaddr_storage *address, int family, const unsigned char *bytes, uint16_t port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	memset(address, 0, sizeof *address);
	address->ss_family = (sa_family_t)family;
	*(family == AF_INET ? &v4->sin_port : &v6->sin6_port) = htons(port);
	if (family == AF_INET) memcpy(&v4->sin_addr, bytes, 4);
	else memcpy(&v6->sin6_addr, bytes, 16);
}

static uint16_t word(const unsigned char *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Steps over IPv6 extension headers (RFC 8200 section 4): the protocol, with `at` moved to its header. */
static unsigned final_protocol(const unsigned char *frame, size_t size, size_t *at, bool *fragment)
{
	unsigned protocol = frame[ETH_HLEN + 6];
	for (int i = 0; i < EXTENSIONS && *at + 8 <= size; i++) {
		bool is_fragment = protocol == IPPROTO_FRAGMENT;
		if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING && protocol != IPPROTO_DSTOPTS && !is_fragment)
			break;
		protocol = frame[*at];
		if (is_fragment && (word(frame + *at + 2) & 0xfff8)) *fragment = true;
		*at += is_fragment ? 8 : ((size_t)frame[*at + 1] + 1) * 8;
	}
	return protocol;
}

/* Group membership and neighbour discovery are the kernel's own; they are small and go no further than this link. */
static bool is_link_chatter(unsigned protocol, const unsigned char *destination, const unsigned char *header, size_t length)
{
	bool link_scope = destination[0] == 0xff && destination[1] == 2;
	return protocol == IPPROTO_ICMPV6 && length <= 200 && (link_scope || (header[0] >= 135 && header[0] <= 136));
}

static void note_frame(const unsigned char *frame, size_t size, size_t length)
{
	struct flow seen = { .packets = 1, .bytes = length > ETH_HLEN ? length - ETH_HLEN : 0 };
	unsigned type = size >= ETH_HLEN ? word(frame + 12) : 0, protocol;
	bool v4 = type == ETHERTYPE_IP && size >= ETH_HLEN + 20, v6 = type == ETHERTYPE_IPV6 && size >= ETH_HLEN + 40;
	bool fragment = false;
	if (!v4 && !v6) {
		seen.protocol = type + 65536;
		seen.source.ss_family = seen.destination.ss_family = AF_INET;
		note(&seen);
		return;
	}
	size_t at = ETH_HLEN + (v4 ? (size_t)(frame[ETH_HLEN] & 15) * 4 : 40);
	if (v4) protocol = frame[ETH_HLEN + 9];
	else protocol = final_protocol(frame, size, &at, &fragment);
	if (v4) fragment = word(frame + ETH_HLEN + 6) & 0x1fff;
	/* Carried, not refused: its connection counts it. */
	if (protocol == IPPROTO_TCP) return;
	bool has_header = at + 8 <= size;
	const unsigned char *source = frame + ETH_HLEN + (v4 ? 12 : 8), *destination = frame + ETH_HLEN + (v4 ? 16 : 24);
	if (v6 && has_header && is_link_chatter(protocol, destination, frame + at, length)) return;
	bool udp = protocol == IPPROTO_UDP && has_header && !fragment;
	set_address(&seen.source, v4 ? AF_INET : AF_INET6, source, 0);
	set_address(&seen.destination, v4 ? AF_INET : AF_INET6, destination, udp ? word(frame + at + 2) : 0);
	seen.protocol = protocol;
	seen.bytes = length > at ? length - at - (udp ? 8 : 0) : 0;
	if (udp && memcmp(&seen.destination, &spec.resolver.address, sizeof seen.destination) == 0) return;
	note(&seen);
}

void sniff_refuse(const struct sockaddr_storage *source, const struct sockaddr_storage *destination, size_t bytes)
{
	note(&(struct flow){ IPPROTO_UDP, *source, *destination, bytes, 1 });
}

static bool note_next(void)
{
	unsigned char frame[SNAP];
	ssize_t length = recv(sniffer.fd, frame, sizeof frame, MSG_TRUNC | MSG_DONTWAIT);
	if (length >= 0) note_frame(frame, (size_t)length < sizeof frame ? (size_t)length : sizeof frame, (size_t)length);
	return length >= 0 || errno == EINTR;
}

static void frames_ready(struct watch *watch, uint32_t events)
{
	(void)watch, (void)events;
	for (int i = 0; i < BATCH && note_next(); i++) continue;
}

void sniff_open(const char *interface)
{
	/* Drops what the gate itself sends, ARP, and TCP without extension headers; hands up the first bytes of the rest. */
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 8, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_ARP, 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IPV6, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 9),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0x40000),
	};
	struct sock_fprog filter = { COUNT(code), code };
	int queue = QUEUE_BYTES;
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	at.sll_ifindex = (int)if_nametoindex(interface);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue);
	sniffer = (struct watch){ fd, frames_ready };
	if (fd < 0 || at.sll_ifindex == 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || !loop_add(&sniffer, EPOLLIN))
		fail_start("The gate's interface could not be watched: %m.");
}

void sniff_close(void)
{
	struct tpacket_stats lost = { 0 };
	socklen_t length = sizeof lost;
	if (sniffer.fd < 0) return;
	while (note_next()) continue;
	getsockopt(sniffer.fd, SOL_PACKET, PACKET_STATISTICS, &lost, &length);
	for (size_t i = 0; i < flow_count; i++)
		if (flows[i].packets > 0) tell(&flows[i], flows[i].bytes, flows[i].packets);
	/* Counted by the kernel, never seen by us: their bytes stay unexplained, and Vouch is told that there were some. */
	struct flow unseen = { .protocol = OVERFLOW_PROTOCOL, .source.ss_family = AF_INET, .destination.ss_family = AF_INET };
	if (lost.tp_drops > 0) tell(&unseen, 0, lost.tp_drops);
}
