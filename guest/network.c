/*
 * A network without a card. Routes make every address in the world the loopback's own, and a program at socket lookup
 * (BPF_PROG_TYPE_SK_LOOKUP) hands every TCP connection and DNS datagram that is not to the loopback to our sockets, whose
 * own address is then the one that was asked for. Any other datagram finds nobody, as if its port were closed; the kernel
 * says so to its sender, and a packet socket tells us.
 */
#include "guest.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* The same addresses as in every other kind of sandbox: src/egress/network-plan.ts. */
enum { DNS_PORT = 53, CAPTURE_PORT = 9081, LOOPBACK = 1, QUEUE = 512, SOCKET_BYTES = 256 << 10 };
static const uint8_t own[2][16] = { { 10, 0, 2, 2 }, { 0xfd, 0, 0x76, 0x6f, [15] = 2 } };
static const uint8_t gate[16] = { [10] = 255, 255, 10, 0, 2, 1 };

/* rtnetlink(7): one request, with attributes whose values are at most 16 bytes. */
static void request(int netlink, unsigned short type, const void *body, size_t body_size, const struct rtattr *attributes,
                    const void *const *values)
{
	uint8_t message[256] = { 0 };
	struct { struct nlmsghdr head; struct nlmsgerr error; uint8_t rest[256]; } answer = { 0 };
	size_t size = NLMSG_LENGTH(body_size);
	memcpy(message + NLMSG_HDRLEN, body, body_size);
	for (; attributes->rta_len > 0; size += RTA_SPACE(attributes->rta_len), attributes++, values++) {
		struct rtattr head = { (unsigned short)RTA_LENGTH(attributes->rta_len), attributes->rta_type };
		memcpy(message + size, &head, sizeof head);
		memcpy(message + size + RTA_LENGTH(0), *values, attributes->rta_len);
	}
	struct nlmsghdr head = { (uint32_t)size, type, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 0, 0 };
	memcpy(message, &head, sizeof head);
	bool done = send(netlink, message, size, 0) > 0 && recv(netlink, &answer, sizeof answer, 0) > 0;
	if (done) errno = -answer.error.error;
	NEED(done && errno == 0, FAILED_INTERNAL, "an address or a route could not be added: %m");
}

static void make_routes(void)
{
	struct ifreq flags = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	NEED(ioctl(netlink, SIOCSIFFLAGS, &flags) == 0, FAILED_INTERNAL, "the loopback could not be started: %m");
	for (int i = 0; i < 2; i++) {
		const int interface = LOOPBACK;
		const unsigned short size = i == 0 ? 4 : 16;
		const uint8_t family = i == 0 ? AF_INET : AF_INET6;
		/* Without looking for duplicates: for as long as that takes no route may prefer it. */
		struct ifaddrmsg address = { family, (uint8_t)(size * 8), IFA_F_NODAD, RT_SCOPE_UNIVERSE, LOOPBACK };
		request(netlink, RTM_NEWADDR, &address, sizeof address, (struct rtattr[]){ { size, IFA_LOCAL }, { size, IFA_ADDRESS }, { 0 } },
		        (const void *[]){ own[i], own[i] });
		struct rtmsg route = { .rtm_family = family, .rtm_table = RT_TABLE_LOCAL, .rtm_scope = RT_SCOPE_HOST, .rtm_type = RTN_LOCAL };
		request(netlink, RTM_NEWROUTE, &route, sizeof route, (struct rtattr[]){ { 4, RTA_OIF }, { size, RTA_PREFSRC }, { 0 } },
		        (const void *[]){ &interface, own[i] });
	}
	close(netlink);
}

/* A socket that everything of its kind is handed to. Bound to a mapped address it takes both families. */
static int open_socket(int type, uint16_t port)
{
	int on = 1, bytes = SOCKET_BYTES, fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	memcpy(&address.sin6_addr, gate, sizeof gate);
	/* Ours, and so not the workload's to fill without bound: what a connection inherits is all it may hold. */
	NEED(fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) == 0 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0 &&
	     setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0 &&
	     setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0 &&
	     bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && (type != SOCK_STREAM || listen(fd, QUEUE) == 0),
	     FAILED_INTERNAL, "a socket of the network could not be opened: %m");
	return fd;
}

static int bpf(int command, union bpf_attr attributes)
{
	int result = (int)syscall(SYS_bpf, command, &attributes, sizeof attributes);
	NEED(result >= 0, FAILED_INTERNAL, "the program at socket lookup could not be set up: %m");
	return result;
}

/* Each instruction stands at its number, and jumps name the number they go to. */
#define AT(number, ...) [number] = { __VA_ARGS__ }
#define LOAD(number, to, field) AT(number, BPF_LDX | BPF_W | BPF_MEM, to, BPF_REG_6, offsetof(struct bpf_sk_lookup, field), 0)
#define IF(number, how, left, right, target) AT(number, BPF_JMP32 | (how), left, 0, (target) - (number) - 1, (int32_t)(right))
#define SET(number, to, value) AT(number, BPF_ALU64 | BPF_MOV, to, 0, 0, value)
#define COPY(number, to, from) AT(number, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0)
#define CALL(number, function) AT(number, BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define LEAVE(number) AT(number, BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* 127/8, ::1 and this machine's own two addresses are left to whoever listens there. */
static int load_program(int sockets)
{
	enum { PASS = 2, DROP = 4, START = 6, IPV6 = 12, OURS = 20, CARRIED = 22, FOUND = 28 };
	struct bpf_insn program[] = {
		COPY(0, BPF_REG_6, BPF_REG_1), AT(1, BPF_JMP | BPF_JA, 0, 0, START - 2, 0),
		SET(PASS, BPF_REG_0, SK_PASS), LEAVE(PASS + 1),
		/* Nobody else gets it. */
		SET(DROP, BPF_REG_0, SK_DROP), LEAVE(DROP + 1),
		LOAD(START, BPF_REG_1, family), LOAD(7, BPF_REG_2, local_ip4), IF(8, BPF_JNE, BPF_REG_1, AF_INET, IPV6),
		IF(9, BPF_JEQ, BPF_REG_2, get32(own[0]), PASS), AT(10, BPF_ALU | BPF_AND, BPF_REG_2, 0, 0, 255),
		IF(11, BPF_JEQ, BPF_REG_2, 127, PASS),
		/* The middle words of both of IPv6's are zero. */
		LOAD(IPV6, BPF_REG_2, local_ip6[1]), LOAD(13, BPF_REG_3, local_ip6[2]), AT(14, BPF_ALU | BPF_OR | BPF_X, BPF_REG_2, BPF_REG_3),
		LOAD(15, BPF_REG_3, local_ip6[0]), LOAD(16, BPF_REG_4, local_ip6[3]), IF(17, BPF_JNE, BPF_REG_2, 0, CARRIED),
		IF(18, BPF_JNE, BPF_REG_3, 0, OURS), IF(19, BPF_JEQ, BPF_REG_4, htonl(1), PASS),
		IF(OURS, BPF_JNE, BPF_REG_3, get32(own[1]), CARRIED), IF(21, BPF_JEQ, BPF_REG_4, htonl(2), PASS),
		/* The socket's place: 0 TCP, 1 DNS. */
		LOAD(CARRIED, BPF_REG_2, protocol), LOAD(23, BPF_REG_3, local_port), SET(24, BPF_REG_7, 0),
		IF(25, BPF_JEQ, BPF_REG_2, IPPROTO_TCP, FOUND), IF(26, BPF_JNE, BPF_REG_3, DNS_PORT, DROP), SET(27, BPF_REG_7, 1),
		AT(FOUND, BPF_STX | BPF_W | BPF_MEM, BPF_REG_10, BPF_REG_7, -4, 0),
		AT(29, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, sockets), AT(30, 0),
		COPY(31, BPF_REG_2, BPF_REG_10), AT(32, BPF_ALU64 | BPF_ADD, BPF_REG_2, 0, 0, -4), CALL(33, BPF_FUNC_map_lookup_elem),
		AT(34, BPF_JMP | BPF_JEQ, BPF_REG_0, 0, DROP - 35, 0), COPY(35, BPF_REG_8, BPF_REG_0),
		COPY(36, BPF_REG_1, BPF_REG_6), COPY(37, BPF_REG_2, BPF_REG_0), SET(38, BPF_REG_3, 0), CALL(39, BPF_FUNC_sk_assign),
		COPY(40, BPF_REG_9, BPF_REG_0), COPY(41, BPF_REG_1, BPF_REG_8), CALL(42, BPF_FUNC_sk_release),
		IF(43, BPF_JEQ, BPF_REG_9, 0, PASS), AT(44, BPF_JMP | BPF_JA, 0, 0, DROP - 45, 0),
	};
	return bpf(BPF_PROG_LOAD, (union bpf_attr){ .prog_type = BPF_PROG_TYPE_SK_LOOKUP, .expected_attach_type = BPF_SK_LOOKUP,
	                                            .insns = (uintptr_t)program, .insn_cnt = COUNT(program),
	                                            .license = (uintptr_t)"Dual MIT/GPL" });
}

/* IP packets on their way in that are UDP and not to 127/8 or ::/32, where ::1 is; whoever reads them looks at the rest. */
static int open_refused(void)
{
	enum { V6 = 8, TAKE = 12, SKIP = 13 };
#define TEST(number, value, then, otherwise) \
	[number] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (then) - (number) - 1, (otherwise) - (number) - 1)
#define FETCH(number, size, offset) [number] = BPF_STMT(BPF_LD | (size) | BPF_ABS, (uint32_t)(offset))
	struct sock_filter filter[] = {
		FETCH(0, BPF_W, SKF_AD_OFF + SKF_AD_PKTTYPE), TEST(1, PACKET_OUTGOING, SKIP, 2),
		FETCH(2, BPF_W, SKF_AD_OFF + SKF_AD_PROTOCOL), TEST(3, ETH_P_IP, 4, V6),
		FETCH(4, BPF_B, 9), TEST(5, IPPROTO_UDP, 6, SKIP), FETCH(6, BPF_B, 16), TEST(7, 127, SKIP, TAKE),
		FETCH(V6, BPF_B, 6), TEST(9, IPPROTO_UDP, 10, SKIP), FETCH(10, BPF_W, 24), TEST(11, 0, SKIP, TAKE),
		[TAKE] = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX), [SKIP] = BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { COUNT(filter), filter };
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = LOOPBACK };
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	NEED(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 &&
	     bind(fd, (struct sockaddr *)&address, sizeof address) == 0, FAILED_INTERNAL, "what is refused could not be watched: %m");
	return fd;
}

struct listeners network_open(void)
{
	make_routes();
	struct listeners listeners = { open_socket(SOCK_STREAM, CAPTURE_PORT), open_socket(SOCK_DGRAM, DNS_PORT), open_refused() };
	const uint64_t sockets[] = { (uint64_t)listeners.tcp, (uint64_t)listeners.dns };
	uint32_t network = (uint32_t)open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	uint32_t map = (uint32_t)bpf(BPF_MAP_CREATE, (union bpf_attr){ .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 8,
	                                                               .max_entries = COUNT(sockets) });
	for (uint32_t i = 0; i < COUNT(sockets); i++)
		bpf(BPF_MAP_UPDATE_ELEM, (union bpf_attr){ .map_fd = map, .key = (uintptr_t)&i, .value = (uintptr_t)&sockets[i] });
	/* Holds for as long as the link's descriptor, which is never closed. */
	bpf(BPF_LINK_CREATE, (union bpf_attr){ .link_create = { (uint32_t)load_program((int)map), { network }, BPF_SK_LOOKUP } });
	return listeners;
}
