/*
 * The kernel as the judge of splitting and gathering: two network namespaces with a TUN each, and between them a wire
 * that splits every frame, gathers the packets again and writes them to the other side. A TCP connection and a UDP
 * flow (sent with UDP_SEGMENT) cross it; every byte and every datagram must arrive, in order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "offload/coalesce.h"
#include "offload/split.h"
#include "offload/vnet.h"
#include "tests/support/packet.h"
#include "tests/support/test.h"

#define MTU        1420
#define N_TURNS    20000
#define STREAM_LEN (3u << 20)
#define SEGMENT    1000

struct wire {
	int tun[2];
	bool has_uso;
	struct fz_coalesce *coalesce;
	uint64_t n_frames, n_super, n_packets, n_writes, n_merged;
};

static void set_up_link(const char *name, unsigned host)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	struct ifreq r = { 0 };
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x0a090000u | host) };
	memcpy(&r.ifr_addr, &a, sizeof(a));
	CHECK_INT(ioctl(fd, SIOCSIFADDR, &r), 0);
	a.sin_addr.s_addr = htonl(0xffffff00u);
	memcpy(&r.ifr_netmask, &a, sizeof(a));
	CHECK_INT(ioctl(fd, SIOCSIFNETMASK, &r), 0);
	r.ifr_mtu = MTU;
	CHECK_INT(ioctl(fd, SIOCSIFMTU, &r), 0);
	CHECK_INT(ioctl(fd, SIOCGIFFLAGS, &r), 0);
	r.ifr_flags |= IFF_UP;
	CHECK_INT(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	struct in6_ifreq six = { .ifr6_prefixlen = 64, .ifr6_ifindex = (int)if_nametoindex(name) };
	six.ifr6_addr.s6_addr[0] = 0xfd;
	six.ifr6_addr.s6_addr[15] = (uint8_t)host;
	if (fd6 >= 0) {
		CHECK_INT(ioctl(fd6, SIOCSIFADDR, &six), 0);
		close(fd6);
	}
	close(fd);
}

/* A namespace of its own with a TUN; sockets made from now on belong to it. */
static int enter_side(unsigned host, bool *ret_has_uso)
{
	if (unshare(CLONE_NEWNET) < 0)
		TEST_SKIP("no right to make network namespaces");
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		TEST_SKIP("no /dev/net/tun");
	struct ifreq r = { .ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR) };
	snprintf(r.ifr_name, sizeof(r.ifr_name), "side%u", host);
	CHECK_INT(ioctl(fd, TUNSETIFF, &r), 0);
	unsigned long tcp = FZ_TUN_CSUM | FZ_TUN_TSO4 | FZ_TUN_TSO6 | FZ_TUN_TSO_ECN;
	*ret_has_uso = ioctl(fd, TUNSETOFFLOAD, tcp | FZ_TUN_USO4 | FZ_TUN_USO6) == 0;
	if (!*ret_has_uso)
		CHECK_INT(ioctl(fd, TUNSETOFFLOAD, tcp), 0);
	set_up_link(r.ifr_name, host);
	return fd;
}

static void flush(struct wire *w, int to)
{
	size_t n = fz_coalesce_end(w->coalesce);
	for (size_t i = 0; i < n; i++) {
		const struct fz_coalesce_item *it = fz_coalesce_item(w->coalesce, i);
		CHECK_INT(writev(to, it->iov, (int)it->n_iov), it->len);
		w->n_writes++;
		w->n_merged += it->n_packets > 1;
	}
}

/* Everything that one side has to say, to the other. False: nothing. */
static bool carry(struct wire *w, int from)
{
	static uint8_t frame[FZ_VNET_FRAME_MAX + 1], slab[512][MTU];
	uint32_t n = 0;
	fz_coalesce_begin(w->coalesce, FZ_COALESCE_VNET | FZ_COALESCE_TCP4 | FZ_COALESCE_TCP6 |
					       (w->has_uso ? FZ_COALESCE_USO : 0u));
	for (ssize_t len; n < 256 && (len = read(w->tun[from], frame, sizeof(frame))) > 0;) {
		struct fz_split s;
		CHECK_INT(fz_split_init(&s, fz_bytes_of(frame, (size_t)len)), FZ_SPLIT_OK);
		w->n_frames++;
		w->n_super += s.n > 1;
		for (uint32_t i = 0; i < s.n; i++, n++) {
			CHECK(n < 512 && fz_split_len(&s, i) <= MTU);
			fz_split_write(&s, i, slab[n]);
			CHECK(fz_coalesce_add(
				w->coalesce, fz_span_of(slab[n], fz_split_len(&s, i))));
		}
	}
	w->n_packets += n;
	flush(w, w->tun[!from]);
	return n > 0;
}

static void turn(struct wire *w)
{
	bool is_busy = carry(w, 0);
	is_busy |= carry(w, 1);
	struct pollfd p[2] = { { w->tun[0], POLLIN, 0 }, { w->tun[1], POLLIN, 0 } };
	if (!is_busy)
		(void)poll(p, 2, 1);
}

static struct sockaddr_storage address(bool is_v6, unsigned host, uint16_t port, socklen_t *ret_len)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(0x0a090000u | host) };
	struct sockaddr_in6 b = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	b.sin6_addr.s6_addr[0] = 0xfd;
	b.sin6_addr.s6_addr[15] = (uint8_t)host;
	*ret_len = is_v6 ? sizeof(b) : sizeof(a);
	if (is_v6)
		memcpy(&s, &b, sizeof(b));
	else
		memcpy(&s, &a, sizeof(a));
	return s;
}

static int make_socket(bool is_v6, int type, unsigned host)
{
	socklen_t len;
	struct sockaddr_storage a = address(is_v6, host, 5000, &len);
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	/* The kernel makes an IPv6 address usable a moment after it was given. */
	int r = -1;
	for (int i = 0; i < 1000 && r < 0; i++) {
		r = bind(fd, (struct sockaddr *)&a, len);
		if (r < 0)
			(void)poll(NULL, 0, 1);
	}
	CHECK_INT(r, 0);
	return fd;
}

static void start_connect(int fd, bool is_v6, unsigned host)
{
	socklen_t len;
	struct sockaddr_storage a = address(is_v6, host, 5000, &len);
	CHECK(connect(fd, (struct sockaddr *)&a, len) == 0 || errno == EINPROGRESS);
}

static void send_stream(int fd, uint32_t *at)
{
	static uint8_t buf[65536];
	size_t n = STREAM_LEN - *at < sizeof(buf) ? STREAM_LEN - *at : sizeof(buf);
	for (size_t i = 0; i < n; i++)
		buf[i] = test_packet_payload(*at + (uint32_t)i);
	ssize_t sent = n > 0 ? send(fd, buf, n, MSG_NOSIGNAL) : 0;
	*at += sent > 0 ? (uint32_t)sent : 0;
}

static void receive_stream(int fd, uint32_t *at)
{
	static uint8_t buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	for (ssize_t i = 0; i < n; i++)
		CHECK(buf[i] == test_packet_payload((*at)++));
}

static void run_tcp(struct wire *w, const int sides[2], bool is_v6)
{
	uint32_t n_sent = 0, n_received = 0;
	int accepted = -1;
	start_connect(sides[0], is_v6, 2);
	for (int i = 0; i < N_TURNS && n_received < STREAM_LEN; i++) {
		turn(w);
		send_stream(sides[0], &n_sent);
		if (accepted < 0)
			accepted = accept4(sides[1], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		else
			receive_stream(accepted, &n_received);
	}
	CHECK_UINT(n_received, STREAM_LEN);
	close(accepted);
}

static void run_udp(struct wire *w, const int sides[2], bool is_v6)
{
	const uint32_t lens[] = { 10 * SEGMENT, 3 * SEGMENT + 1, SEGMENT, 40 * SEGMENT + 999 };
	int segment = SEGMENT;
	CHECK_INT(setsockopt(sides[0], SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)), 0);
	start_connect(sides[0], is_v6, 2);
	for (size_t k = 0; k < 4; k++) {
		static uint8_t buf[65536];
		uint32_t at = 0;
		for (uint32_t i = 0; i < lens[k]; i++)
			buf[i] = test_packet_payload(i);
		CHECK_INT(send(sides[0], buf, lens[k], 0), lens[k]);
		for (int i = 0; i < N_TURNS && at < lens[k]; i++) {
			turn(w);
			for (ssize_t n; (n = recv(sides[1], buf, sizeof(buf), 0)) > 0;) {
				uint32_t want = lens[k] - at < SEGMENT ? lens[k] - at : SEGMENT;
				CHECK_INT(n, want);
				for (ssize_t b = 0; b < n; b++)
					CHECK(buf[b] == test_packet_payload(at++));
			}
		}
		CHECK_UINT(at, lens[k]);
	}
}

static void run(bool is_v6, int type)
{
	struct wire w = { .coalesce = fz_coalesce_new() };
	int sides[2];
	CHECK(w.coalesce);
	for (unsigned i = 0; i < 2; i++) {
		bool has_uso;
		w.tun[i] = enter_side(i + 1, &has_uso);
		w.has_uso = has_uso;
		sides[i] = make_socket(is_v6, type, i + 1);
	}
	if (type == SOCK_STREAM) {
		CHECK_INT(listen(sides[1], 1), 0);
		run_tcp(&w, sides, is_v6);
	} else {
		run_udp(&w, sides, is_v6);
	}
	fprintf(stderr,
		"%" PRIu64 " frames, %" PRIu64 " of them super-packets; %" PRIu64
		" packets; %" PRIu64 " writes, %" PRIu64 " of them merged\n",
		w.n_frames, w.n_super, w.n_packets, w.n_writes, w.n_merged);
	if (type == SOCK_STREAM || w.has_uso)
		CHECK(w.n_super > 0 && w.n_merged > 0 && w.n_writes < w.n_packets);
	for (unsigned i = 0; i < 2; i++) {
		close(sides[i]);
		close(w.tun[i]);
	}
	fz_coalesce_free(w.coalesce);
}

TEST(offload_kernel, a_tcp_stream_crosses_over_ipv4)
{
	run(false, SOCK_STREAM);
}

TEST(offload_kernel, a_tcp_stream_crosses_over_ipv6)
{
	run(true, SOCK_STREAM);
}

TEST(offload_kernel, datagram_trains_cross_over_ipv4)
{
	run(false, SOCK_DGRAM);
}

TEST(offload_kernel, datagram_trains_cross_over_ipv6)
{
	run(true, SOCK_DGRAM);
}
