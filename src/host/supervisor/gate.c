/* Streams to the gate: each carries one conversation of the sandbox and begins with one line that says which. */
#include "supervisor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

uint32_t next_conversation_id(void)
{
	static uint32_t last;
	return ++last;
}

void address_text(const struct sockaddr_storage *address, char text[46], uint16_t *port)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	bool is_v4 = address->ss_family == AF_INET;
	inet_ntop(address->ss_family, is_v4 ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr, text, 46);
	*port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
}

int gate_connect(const char *kind, uint32_t id, const struct sockaddr_storage *source,
                 const struct sockaddr_storage *destination)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char header[200], source_text[46], destination_text[46];
	uint16_t source_port, destination_port;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) return -1;
	strcpy(address.sun_path, spec.gate_socket);
	address_text(source, source_text, &source_port);
	address_text(destination, destination_text, &destination_port);
	int length = snprintf(header, sizeof header, "VOUCH1 %s %u %s %u %s %u\n", kind, id, source_text, source_port,
	                      destination_text, destination_port);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
	    send(fd, header, (size_t)length, MSG_NOSIGNAL) == length)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}
