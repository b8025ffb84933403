/* What both halves of the helper share: the words it was called with, the bytes it tries to get out, and how it says so. */
#ifndef NETWORK_ATTACK_H
#define NETWORK_ATTACK_H
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>


extern unsigned char payload[1 << 20];
extern size_t payload_size;

const char *argument(int index);
int number(int index);
void read_payload(const char *text);
socklen_t address_of(const char *text, int port, struct sockaddr_storage *address);
long say(const char *what, long result);
void print_reply(int fd);
int connected(int fd, const struct sockaddr *to, socklen_t length);
void send_all(int fd);

void pass_descriptors(void);
void descriptors(void);
void ping(void);
void neighbour(void);
void raw(void);
void packet(void);
void families(void);
void transports(void);
void vsock(void);
void tun(void);
void options(void);
void first_packet(void);
void bind_to(void);
void route_netlink(void);
void other_netlink(void);
void interface_ioctl(void);
void namespaces(void);
void frames(void);
#endif
