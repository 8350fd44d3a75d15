/*
 * The other end of a tunnel, made for loading one: thousands of WireGuard peers behind one UDP socket, without a TUN and without
 * an engine, so that one side of ours can be measured alone. For benchmarks only. Peer i's keys follow from SEED and i, its inner
 * address is 10.64.0.0 + i.
 *
 *	wg_load peers SEED N                                        a configuration of them, for wg setconf
 *	wg_load data ADDRESS PORT KEY SEED N SECONDS SIZE PPS FLOWS INNER   sealed UDP packets to INNER; prints how many it sent
 *	wg_load sink ADDRESS PORT KEY SEED N SECONDS SOCKETS        counts data messages; prints "ready", then the count. The peers are
 *	                                                            behind so many ports, in turn
 *	wg_load spread DEVICE WAY FROM TO SECONDS SIZE PPS FLOWS N  UDP packets into a TUN, to N addresses from TO on in turn; prints
 *	                                                            how many. WAY: queued, as they are due, or direct, in bursts
 *	wg_load handshakes ADDRESS PORT KEY SEED N SECONDS          initiations as fast as they are answered; prints answers
 *	wg_load flood ADDRESS PORT KEY SECONDS PPS FROM N           initiations with a right mac1 and nothing else right, from N
 *	                                                            addresses in turn, which have to be this host's
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "base/endian.h"
#include "crypto/aead.h"
#include "crypto/x25519.h"
#include "offload/csum.h"
#include "wg/cookie.h"
#include "wg/noise.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define PEERS_MAX   65536
#define SOCKETS_MAX 1000
#define TRAIN       32
#define WINDOW      128 /* handshakes under way */
#define PACKET_MAX  2048

struct peer {
	struct wg_noise_self self;
	struct wg_noise_peer noise;
	struct wg_cookie_maker macs;
	struct wg_keys keys;
	uint32_t remote_index;
	uint64_t counter;
	bool is_up;
};

struct load {
	int fds[SOCKETS_MAX];
	uint32_t n_fds;
	uint64_t seed;
	uint32_t n_peers;
	uint8_t target[WG_PUBLIC_LEN];
	struct peer *peers;
	uint32_t n_up;
};

static void die(const char *what)
{
	fprintf(stderr, "wg_load: %s\n", what);
	exit(1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1'000'000'000u + (uint64_t)t.tv_nsec;
}

static void pause_us(long us)
{
	struct timespec t = { .tv_nsec = us * 1000 };
	nanosleep(&t, NULL);
}

/* How many more than `n` packets `pps` a second make in so many nanoseconds; less than none if they are ahead of it. */
static double due(uint64_t n, double pps, uint64_t ns)
{
	return (double)ns * pps / 1e9 - (double)n;
}

static bool is_ahead(uint64_t n, double pps, uint64_t ns)
{
	return due(n, pps, ns) < 0;
}

/* splitmix64 of seed and number: keys for measuring, nothing else. */
static void fill(uint64_t state, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t z = state += 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		out[i] = (uint8_t)(z ^ z >> 31);
	}
}

static struct fz_key private_of(uint64_t seed, uint32_t i)
{
	struct fz_key key;
	fill(seed * 1'000'003 + i, key.b, sizeof(key.b));
	fz_x25519_clamp(&key);
	return key;
}

/* ---- base64, as wg(8) writes keys ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void print_key(const uint8_t key[static 32])
{
	for (size_t i = 0; i < 30; i += 3) {
		uint32_t v = (uint32_t)key[i] << 16 | (uint32_t)key[i + 1] << 8 | key[i + 2];
		printf("%c%c%c%c", digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63],
			digits[v & 63]);
	}
	uint32_t v = (uint32_t)key[30] << 16 | (uint32_t)key[31] << 8;
	printf("%c%c%c=", digits[v >> 18], digits[v >> 12 & 63], digits[v >> 6 & 63]);
}

static void read_key(const char *text, uint8_t ret_key[static 33])
{
	if (strlen(text) != 44)
		die("not a key");
	for (size_t i = 0; i < 44; i += 4) {
		uint32_t v = 0;
		for (size_t k = 0; k < 4; k++) {
			const char *d = strchr(digits, text[i + k]);
			v = v << 6 | (d ? (uint32_t)(d - digits) & 63 : 0);
		}
		ret_key[i / 4 * 3] = (uint8_t)(v >> 16);
		ret_key[i / 4 * 3 + 1] = (uint8_t)(v >> 8);
		ret_key[i / 4 * 3 + 2] = (uint8_t)v;
	}
}

static void print_peers(uint64_t seed, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct fz_key key = private_of(seed, i);
		uint8_t public[32];
		fz_x25519_public(public, &key);
		uint32_t ip = 0x0a400000u + i;
		printf("[Peer]\nPublicKey = ");
		print_key(public);
		printf("\nAllowedIPs = %u.%u.%u.%u/32\n", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
			ip & 255);
	}
}

/* ---- handshakes ---- */

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };
	int big = 64 << 20, one = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || inet_pton(AF_INET, address, &in.sin_addr) != 1 ||
		connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0)
		die("cannot connect");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	(void)setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
	return fd;
}

static int fd_of(const struct load *l, uint32_t peer)
{
	return l->fds[peer % l->n_fds];
}

static void make_peers(struct load *l)
{
	l->peers = calloc(l->n_peers, sizeof(*l->peers));
	if (!l->peers)
		die("no memory");
	for (uint32_t i = 0; i < l->n_peers; i++) {
		struct peer *p = &l->peers[i];
		struct fz_key key = private_of(l->seed, i);
		wg_noise_self_set(&p->self, &key);
		memcpy(p->noise.public, l->target, WG_PUBLIC_LEN);
		wg_cookie_maker_set(&p->macs, l->target);
	}
}

static void make_initiation(struct peer *p, uint32_t i, struct wg_msg_initiation *ret)
{
	struct fz_key ephemeral;
	if (getrandom(ephemeral.b, sizeof(ephemeral.b), 0) != sizeof(ephemeral.b))
		die("no randomness");
	fz_x25519_clamp(&ephemeral);
	fz_wall wall = { (int64_t)now_ns(CLOCK_REALTIME) };
	if (!wg_noise_write_initiation(&p->self, &p->noise, &ephemeral, wall, ret))
		die("a bad key");
	ret->sender = fz_le32_of(i);
	wg_cookie_stamp(&p->macs, (fz_time){ now_ns(CLOCK_BOOTTIME) },
		fz_span_of((uint8_t *)ret, sizeof(*ret)));
}

static void send_one(const struct load *l, uint32_t peer, const void *msg, size_t n)
{
	(void)!send(fd_of(l, peer), msg, n, 0);
}

/* An empty message proves the key to the responder, which may then send. */
static void confirm(struct load *l, struct fz_aead *aead, uint32_t i)
{
	struct peer *p = &l->peers[i];
	uint8_t msg[32];
	fz_le32_store(msg, 4);
	fz_le32_store(msg + 4, p->remote_index);
	fz_le64_store(msg + 8, p->counter);
	struct fz_aead_job job = { .key = &p->keys.send,
		.counter = p->counter++,
		.src = msg + 16,
		.dst = msg + 16,
		.tag = msg + 16 };
	fz_aead_seal_many(aead, &job, 1);
	send_one(l, i, msg, sizeof(msg));
}

static void take_answer(struct load *l, const uint8_t *msg, struct fz_aead *aead)
{
	struct wg_msg_response r;
	memcpy(&r, msg, sizeof(r));
	uint32_t i = fz_le32_get(r.receiver);
	if (i >= l->n_peers || l->peers[i].is_up)
		return;
	struct peer *p = &l->peers[i];
	if (!wg_noise_read_response(&p->self, &p->noise, &r))
		return;
	p->remote_index = fz_le32_get(r.sender);
	wg_noise_derive(&p->noise, true, &p->keys);
	p->is_up = true;
	l->n_up++;
	confirm(l, aead, i);
}

static uint32_t hear_on(struct load *l, int fd, struct fz_aead *aead)
{
	static uint8_t buf[65536];
	uint32_t n_answers = 0;
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0)
			return n_answers;
		size_t step = sizeof(struct wg_msg_response);
		/* Answers of one train are equally long. */
		for (size_t at = 0; at + step <= (size_t)n && buf[at] == 2; at += step) {
			n_answers++;
			if (aead)
				take_answer(l, buf + at, aead);
		}
	}
}

/* Whatever has come: answers to initiations are counted and, with an AEAD, taken. */
static uint32_t hear(struct load *l, struct fz_aead *aead)
{
	uint32_t n_answers = 0;
	for (uint32_t i = 0; i < l->n_fds; i++)
		n_answers += hear_on(l, l->fds[i], aead);
	return n_answers;
}

static void bring_up(struct load *l, struct fz_aead *aead)
{
	make_peers(l);
	uint64_t end = now_ns(CLOCK_MONOTONIC) + 60'000'000'000u;
	while (l->n_up < l->n_peers) {
		uint32_t n_sent = 0;
		for (uint32_t i = 0; i < l->n_peers; i++) {
			if (l->peers[i].is_up)
				continue;
			struct wg_msg_initiation msg;
			make_initiation(&l->peers[i], i, &msg);
			send_one(l, i, &msg, sizeof(msg));
			if (++n_sent % WINDOW == 0)
				for (int k = 0; k < 20; k++, pause_us(1000))
					(void)hear(l, aead);
		}
		for (int k = 0; k < 50 && l->n_up < l->n_peers; k++, pause_us(2000))
			(void)hear(l, aead);
		if (now_ns(CLOCK_MONOTONIC) > end)
			die("the target does not answer");
	}
	fprintf(stderr, "wg_load: %u sessions\n", l->n_up);
}

/* ---- data ---- */

/* An IPv4 UDP packet of `size` bytes of payload, flow by flow; checksums are right. */
static size_t write_inner(uint8_t *p, uint32_t from, const uint8_t to[static 4], uint16_t flow,
	size_t size, uint16_t id)
{
	size_t udp_len = 8 + size, len = 20 + udp_len;
	memset(p, 0, 28);
	p[0] = 0x45;
	fz_be16_store(p + 2, (uint16_t)len);
	fz_be16_store(p + 4, id);
	p[6] = 0x40;
	p[8] = 64;
	p[9] = FZ_PROTO_UDP;
	fz_be32_store(p + 12, from);
	memcpy(p + 16, to, 4);
	fz_native16_store(p + 10, fz_csum_finish(fz_csum_add(0, fz_bytes_of(p, 20))));
	fz_be16_store(p + 20, (uint16_t)(20'000 + flow));
	fz_be16_store(p + 22, 7001);
	fz_be16_store(p + 24, (uint16_t)udp_len);
	uint64_t sum = fz_csum_pseudo4(p + 12, FZ_PROTO_UDP, (uint32_t)udp_len);
	fz_native16_store(
		p + 26, fz_csum_finish_udp(fz_csum_add(sum, fz_bytes_of(p + 20, udp_len))));
	return len;
}

struct data {
	size_t size, padded, len;
	uint32_t n_flows;
	uint8_t to[4];
	uint64_t n_sent;
	uint8_t train[TRAIN][PACKET_MAX]; /* used as one run of `len` each */
	struct fz_aead_job jobs[TRAIN];
};

static void fill_train(const struct load *l, struct data *d)
{
	for (uint32_t k = 0; k < TRAIN; k++) {
		uint64_t n = d->n_sent + k;
		uint32_t i = (uint32_t)(n % l->n_peers);
		struct peer *p = &l->peers[i];
		uint8_t *at = &d->train[0][0] + k * d->len;
		fz_le32_store(at, 4);
		fz_le32_store(at + 4, p->remote_index);
		fz_le64_store(at + 8, p->counter);
		size_t plain = write_inner(at + 16, 0x0a400000u + i, d->to,
			(uint16_t)(n % d->n_flows), d->size, (uint16_t)n);
		memset(at + 16 + plain, 0, d->padded - plain);
		d->jobs[k] = (struct fz_aead_job){ .key = &p->keys.send,
			.counter = p->counter++,
			.src = at + 16,
			.dst = at + 16,
			.tag = at + 16 + d->padded,
			.len = (uint32_t)d->padded };
	}
}

static void send_train(const struct load *l, struct data *d)
{
	_Alignas(8) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = { 0 };
	struct iovec iov = { d->train, TRAIN * d->len };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	uint16_t segment = (uint16_t)d->len;
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	if (sendmsg(l->fds[0], &m, 0) > 0)
		d->n_sent += TRAIN;
}

static void data(struct load *l, struct fz_aead *aead, char **args)
{
	static struct data d;
	double seconds = strtod(args[0], NULL), pps = strtod(args[2], NULL);
	d.size = strtoul(args[1], NULL, 10);
	d.n_flows = (uint32_t)strtoul(args[3], NULL, 10);
	d.padded = (28 + d.size + 15) & ~(size_t)15;
	d.len = d.padded + 32;
	if (d.len > PACKET_MAX || TRAIN * d.len > 65000 || d.n_flows == 0 ||
		inet_pton(AF_INET, args[4], d.to) != 1)
		die("bad size, flows or address");
	puts("ready");
	fflush(stdout);
	uint64_t start = now_ns(CLOCK_MONOTONIC), end = start + (uint64_t)(seconds * 1e9);
	for (uint64_t t = start; t < end; t = now_ns(CLOCK_MONOTONIC)) {
		if (is_ahead(d.n_sent, pps, t - start)) {
			pause_us(20);
			continue;
		}
		fill_train(l, &d);
		fz_aead_seal_many(aead, d.jobs, TRAIN);
		send_train(l, &d);
	}
	printf("%llu\n", (unsigned long long)d.n_sent);
}

/* Data messages in what a socket has, up to a bound: the others want their turn. */
static uint64_t count_on(int fd)
{
	static uint8_t buf[65536];
	uint64_t n_got = 0;
	for (int tries = 0; tries < 256; tries++) {
		_Alignas(8) uint8_t control[64];
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = { .msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
		if (n < 0)
			break;
		if (n <= 32 || buf[0] != 4)
			continue;
		int segment = (int)n;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
			if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
				memcpy(&segment, CMSG_DATA(c), sizeof(segment));
		n_got += (uint64_t)((n + segment - 1) / segment);
	}
	return n_got;
}

/* Looks now and then: who waits has to be woken by the engine, for each packet if it is quick enough. */
static void sink(const struct load *l, double seconds)
{
	puts("ready");
	fflush(stdout);
	uint64_t end = now_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9), n_got = 0;
	while (now_ns(CLOCK_MONOTONIC) < end) {
		for (uint32_t i = 0; i < l->n_fds; i++)
			n_got += count_on(l->fds[i]);
		pause_us(l->n_fds > 1 ? 5000 : 500);
	}
	printf("%llu\n", (unsigned long long)n_got);
}

/*
 * Into a TUN without a UDP socket's way through the stack, which costs more than the tunnel that is to be measured. What finds a queue
 * full is lost and counts as sent.
 */
static void spread(char **args)
{
	static uint8_t packets[TRAIN][PACKET_MAX];
	struct mmsghdr m[TRAIN];
	struct iovec iov[TRAIN];
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex(args[0]) };
	struct in_addr from, first;
	double seconds = strtod(args[4], NULL), pps = strtod(args[6], NULL);
	size_t size = strtoul(args[5], NULL, 10);
	uint32_t n_flows = (uint32_t)strtoul(args[7], NULL, 10),
		 n_peers = (uint32_t)strtoul(args[8], NULL, 10);
	int is_direct = strcmp(args[1], "direct") == 0,
	    fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (to.sll_ifindex == 0 || (!is_direct && strcmp(args[1], "queued") != 0) ||
		inet_pton(AF_INET, args[2], &from) != 1 ||
		inet_pton(AF_INET, args[3], &first) != 1 || n_flows == 0 || n_peers == 0 ||
		size + 28 > PACKET_MAX)
		die("bad device, way, address, size, flows or peers");
	if (fd < 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &is_direct, sizeof(is_direct)) != 0)
		die("no packet socket");
	memset(m, 0, sizeof(m));
	uint64_t start = now_ns(CLOCK_MONOTONIC), end = start + (uint64_t)(seconds * 1e9), n = 0;
	for (uint64_t t = start; t < end; t = now_ns(CLOCK_MONOTONIC)) {
		if (is_ahead(n, pps, t - start)) {
			pause_us(20);
			continue;
		}
		double wanted = is_direct ? TRAIN : due(n, pps, t - start);
		uint32_t n_now = wanted >= TRAIN ? TRAIN : (uint32_t)wanted + 1;
		for (uint32_t k = 0; k < n_now; k++) {
			uint8_t peer[4];
			fz_be32_store(peer, ntohl(first.s_addr) + (uint32_t)((n + k) % n_peers));
			iov[k] = (struct iovec){ packets[k],
				write_inner(packets[k], ntohl(from.s_addr), peer,
					(uint16_t)((n + k) % n_flows), size, (uint16_t)(n + k)) };
			m[k].msg_hdr = (struct msghdr){ .msg_name = &to,
				.msg_namelen = sizeof(to),
				.msg_iov = &iov[k],
				.msg_iovlen = 1 };
		}
		for (uint32_t k = 0; k < n_now;) {
			int r = sendmmsg(fd, m + k, n_now - k, 0);
			if (r < 0 && errno != ENOBUFS)
				die("cannot send into the device");
			k += r > 0 ? (uint32_t)r : 1; /* the one that was refused is lost */
		}
		n += n_now;
	}
	printf("%llu\n", (unsigned long long)n);
}

/* ---- handshakes as the load ---- */

static void handshakes(struct load *l, double seconds)
{
	make_peers(l);
	struct wg_msg_initiation *msgs = calloc(l->n_peers, sizeof(*msgs));
	if (!msgs)
		die("no memory");
	for (uint32_t i = 0; i < l->n_peers; i++)
		make_initiation(&l->peers[i], i, &msgs[i]);
	puts("ready");
	fflush(stdout);
	uint64_t start = now_ns(CLOCK_MONOTONIC), end = start + (uint64_t)(seconds * 1e9),
		 t = start, heard_at = start;
	uint32_t n_sent = 0, n_answers = 0, n_lost = 0;
	for (; t < end && n_answers < l->n_peers; t = now_ns(CLOCK_MONOTONIC)) {
		uint32_t n = hear(l, NULL);
		n_answers += n;
		heard_at = n > 0 ? t : heard_at;
		if (t - heard_at > 50'000'000u) { /* what is not answered by now is lost */
			n_lost = n_sent - n_answers;
			heard_at = t;
		}
		if (n_sent == l->n_peers || n_sent - n_answers - n_lost >= WINDOW) {
			pause_us(20);
			continue;
		}
		send_one(l, n_sent, &msgs[n_sent], sizeof(msgs[0]));
		n_sent++;
	}
	printf("%.0f\n", n_answers / ((double)(t - start) / 1e9));
	free(msgs);
}

/* One datagram from an address of choice; ip(7). */
static void send_from(const struct load *l, uint32_t from, const void *msg, size_t n)
{
	_Alignas(8) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))] = { 0 };

	union {
		const void *in;
		void *out;
	} data = { msg };
	struct iovec iov = { data.out, n };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct in_pktinfo info = { .ipi_spec_dst.s_addr = htonl(from) };
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	if (sendmsg(l->fds[0], &m, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
		die("cannot send from there");
}

static void flood(struct load *l, char **args)
{
	enum { N = 4096 };
	static struct wg_msg_initiation msgs[N];
	double seconds = strtod(args[0], NULL), pps = strtod(args[1], NULL);
	uint32_t n_sources = (uint32_t)strtoul(args[3], NULL, 10);
	struct in_addr first;
	struct wg_cookie_maker macs = { 0 };
	if (inet_pton(AF_INET, args[2], &first) != 1 || n_sources == 0)
		die("bad addresses");
	wg_cookie_maker_set(&macs, l->target);
	for (uint32_t i = 0; i < N; i++) {
		fill(i, (uint8_t *)&msgs[i], sizeof(msgs[i]));
		msgs[i].type = fz_le32_of(1);
		wg_cookie_stamp(
			&macs, (fz_time){ 1 }, fz_span_of((uint8_t *)&msgs[i], sizeof(msgs[i])));
	}
	puts("ready");
	fflush(stdout);
	uint64_t start = now_ns(CLOCK_MONOTONIC), end = start + (uint64_t)(seconds * 1e9), n = 0;
	for (uint64_t t = start; t < end; t = now_ns(CLOCK_MONOTONIC)) {
		if (is_ahead(n, pps, t - start)) {
			pause_us(100);
			continue;
		}
		uint32_t from = ntohl(first.s_addr) + (uint32_t)(n % n_sources);
		send_from(l, from, &msgs[n % N], sizeof(msgs[0]));
		n++;
	}
	printf("%llu\n", (unsigned long long)n);
}

static void run(struct load *l, const char *verb, int argc, char **argv)
{
	uint8_t key[33];
	struct fz_aead *aead = NULL;
	bool is_sink = strcmp(verb, "sink") == 0 && argc == 9;
	l->n_fds = is_sink ? (uint32_t)strtoul(argv[8], NULL, 10) : 1;
	if (l->n_fds == 0 || l->n_fds > SOCKETS_MAX)
		die("bad number of sockets");
	for (uint32_t i = 0; i < l->n_fds; i++)
		l->fds[i] = connect_to(argv[2], argv[3]);
	read_key(argv[4], key);
	memcpy(l->target, key, sizeof(l->target));
	if (strcmp(verb, "flood") == 0 && argc == 9) {
		flood(l, argv + 5);
		return;
	}
	l->seed = strtoull(argv[5], NULL, 10);
	l->n_peers = (uint32_t)strtoul(argv[6], NULL, 10);
	if (l->n_peers == 0 || l->n_peers > PEERS_MAX || fz_aead_new(FZ_AEAD_AUTO, &aead) < 0)
		die("bad number of peers");
	if (strcmp(verb, "handshakes") == 0 && argc == 8) {
		handshakes(l, strtod(argv[7], NULL));
	} else if (strcmp(verb, "data") == 0 && argc == 12) {
		bring_up(l, aead);
		data(l, aead, argv + 7);
	} else if (is_sink) {
		bring_up(l, aead);
		sink(l, strtod(argv[7], NULL));
	} else {
		die("what to do?");
	}
	fz_aead_free(aead);
	free(l->peers);
}

int main(int argc, char **argv)
{
	static struct load l;
	if (argc == 4 && strcmp(argv[1], "peers") == 0) {
		print_peers(strtoull(argv[2], NULL, 10), (uint32_t)strtoul(argv[3], NULL, 10));
		return 0;
	}
	if (argc == 11 && strcmp(argv[1], "spread") == 0) {
		spread(argv + 2);
		return 0;
	}
	if (argc < 7) {
		fputs("usage: see the head of bench/wg_load.c\n", stderr);
		return 2;
	}
	run(&l, argv[1], argc, argv);
	return 0;
}
