/*
 * Counts what arrives at a UDP port, lighter than iperf3: batches of recvmmsg.
 *   udp_sink ADDRESS PORT SECONDS     prints "ready", then how many packets it received
 * For benchmarks only; IPv4 or IPv6.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH          64
#define SIZE_MAX_BYTES 9000
#define ROOM           (32 << 20) /* for all that comes between two looks, and more */

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1'000'000'000u + (uint64_t)t.tv_nsec;
}

static int open_at(const char *address, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = in.sin_port };
	const struct sockaddr *at = (const struct sockaddr *)&in6;
	socklen_t len = sizeof(in6);
	int big = ROOM;
	if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
		at = (const struct sockaddr *)&in;
		len = sizeof(in);
	} else if (inet_pton(AF_INET6, address, &in6.sin6_addr) != 1) {
		fprintf(stderr, "udp_sink: not an address: %s\n", address);
		return -1;
	}
	int fd = socket(at->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)) != 0 ||
		bind(fd, at, len) != 0) {
		perror("udp_sink");
		return -1;
	}
	return fd;
}

/* Looks twice a millisecond: who waits has to be woken, for each packet if they come slowly enough. */
static uint64_t count(int fd, double seconds)
{
	static uint8_t trash[BATCH][SIZE_MAX_BYTES];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	memset(m, 0, sizeof(m));
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ trash[i], SIZE_MAX_BYTES };
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	const struct timespec pause = { .tv_nsec = 500'000 };
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), got = 0;
	while (now_ns() < end) {
		int r = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
		if (r > 0)
			got += (uint64_t)r;
		if (r < BATCH)
			nanosleep(&pause, NULL);
	}
	return got;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fputs("usage: udp_sink ADDRESS PORT SECONDS\n", stderr);
		return 2;
	}
	int fd = open_at(argv[1], argv[2]);
	if (fd < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	printf("%llu\n", (unsigned long long)count(fd, strtod(argv[3], NULL)));
	return 0;
}
