/*
 * A UDP source and sink for small-packet rates, lighter than iperf3: batches of sendmmsg at a wanted rate, counted by recvmmsg.
 *   udp_load sink ADDRESS PORT SECONDS            prints packets received
 *   udp_load source ADDRESS PORT SECONDS SIZE PPS prints packets sent
 * For benchmarks only; IPv4 or IPv6.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH          64
#define SIZE_MAX_BYTES 9000

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1'000'000'000u + (uint64_t)t.tv_nsec;
}

static int open_socket(
	const char *address, const char *port, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = in.sin_port };
	int big = 32 << 20;
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
		memcpy(ret, &in, sizeof(in));
		*ret_len = sizeof(in);
	} else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1) {
		memcpy(ret, &in6, sizeof(in6));
		*ret_len = sizeof(in6);
	} else {
		fprintf(stderr, "udp_load: not an address: %s\n", address);
		return -1;
	}
	int fd = socket(ret->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	}
	return fd;
}

static uint8_t payload[SIZE_MAX_BYTES];

static void fill(struct mmsghdr *m, struct iovec *iov, size_t size)
{
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ payload, size };
		memset(&m[i], 0, sizeof(m[i]));
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
}

static int source(int fd, const struct sockaddr_storage *to, socklen_t len, double seconds,
	size_t size, double pps)
{
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	fill(m, iov, size);
	if (connect(fd, (const struct sockaddr *)to, len) != 0) {
		perror("udp_load: connect");
		return 1;
	}
	uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), sent = 0;
	for (uint64_t t = start; t < end; t = now_ns()) {
		/* In step with the clock, at most one batch ahead. */
		uint64_t due = (uint64_t)((double)(t - start) * pps / 1e9) + 1;
		if (sent >= due) {
			struct timespec pause = { .tv_nsec = 20'000 };
			nanosleep(&pause, NULL);
			continue;
		}
		unsigned n = due - sent < BATCH ? (unsigned)(due - sent) : BATCH;
		int r = sendmmsg(fd, m, n, 0);
		if (r > 0)
			sent += (uint64_t)r;
	}
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}

static int sink(int fd, const struct sockaddr_storage *at, socklen_t len, double seconds)
{
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	static uint8_t trash[BATCH][SIZE_MAX_BYTES];
	fill(m, iov, 0);
	for (int i = 0; i < BATCH; i++)
		iov[i] = (struct iovec){ trash[i], SIZE_MAX_BYTES };
	struct timeval limit = { .tv_usec = 100'000 };
	if (bind(fd, (const struct sockaddr *)at, len) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
		perror("udp_load: bind");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), got = 0;
	while (now_ns() < end) {
		int r = recvmmsg(fd, m, BATCH, MSG_WAITFORONE, NULL);
		if (r > 0)
			got += (uint64_t)r;
	}
	printf("%llu\n", (unsigned long long)got);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage ss;
	socklen_t len;
	bool is_source = argc == 7 && strcmp(argv[1], "source") == 0,
	     is_sink = argc == 5 && strcmp(argv[1], "sink") == 0;
	if (!is_source && !is_sink) {
		fputs("usage: udp_load sink ADDRESS PORT SECONDS | source ADDRESS PORT SECONDS "
		      "SIZE PPS\n",
			stderr);
		return 2;
	}
	int fd = open_socket(argv[2], argv[3], &ss, &len);
	if (fd < 0)
		return 1;
	double seconds = strtod(argv[4], NULL);
	if (is_sink)
		return sink(fd, &ss, len, seconds);
	size_t size = strtoul(argv[5], NULL, 10);
	return source(fd, &ss, len, seconds, size < SIZE_MAX_BYTES ? size : SIZE_MAX_BYTES,
		strtod(argv[6], NULL));
}
