/* A plane with several peers (plane_ends.h): what comes of each, and what goes to those behind one address. */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "unit/plane_ends.h"

/* ---- several senders: what comes of each in one turn is few, and is opened all at once ---- */

#define N_SENDERS 4

struct star {
	struct end e[1 + N_SENDERS]; /* the first is the one that all send to */
	uint32_t sent[1 + N_SENDERS], received[1 + N_SENDERS];
};

static void send_from(struct star *s, int from)
{
	uint8_t buf[600];
	size_t n =
		make_packet(buf, 100 + 100 * (size_t)from, from, (uint32_t)from, s->sent[from]++);
	CHECK_INT(send(s->e[from].host, buf, n, 0), n);
}

static void receive_one(struct star *s)
{
	uint8_t buf[600], want[600];
	CHECK(host_is_ready(&s->e[0]));
	ssize_t n = recv(s->e[0].host, buf, sizeof(buf), 0);
	CHECK(n >= 100);
	uint32_t from = fz_be32_load(buf + 20);
	CHECK(from >= 1 && from <= N_SENDERS);
	make_packet(want, (size_t)n, (int)from, from, s->received[from]++);
	CHECK_MEM(buf, want, (size_t)n);
}

/* 10.0.0.NUMBER is `spoke`, and 10.0.0.0 the hub: each knows the other as what is given for it. */
static void introduce_both(struct end *hub, struct end *spoke, const struct end *hub_as,
	const struct end *spoke_as, int number)
{
	char prefix[] = "10.0.0.0/32";
	prefix[7] = (char)('0' + number);
	introduce(hub, spoke_as, prefix);
	introduce(spoke, hub_as, "10.0.0.0/32");
}

TEST(plane_peers, packets_of_several_senders_arrive_in_order)
{
	struct star s = { 0 };
	enter_netns();
	make_end(&s.e[0], FZ_IO_AUTO, 1, NULL);
	for (int i = 1; i <= N_SENDERS; i++) {
		make_end(&s.e[i], FZ_IO_AUTO, 1, NULL);
		introduce_both(&s.e[0], &s.e[i], &s.e[0], &s.e[i], i);
		send_from(&s, i);
		receive_one(&s);
	}
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 3 * N_SENDERS; i++)
			send_from(&s, 1 + i % N_SENDERS);
		for (int i = 0; i < 3 * N_SENDERS; i++)
			receive_one(&s);
	}
	for (int i = 0; i <= N_SENDERS; i++)
		free_end(&s.e[i]);
}

/* ---- several receivers behind one address, as behind one relay, with channels or without: their packets share trains ---- */

#define N_BEHIND 2
#define CHANNEL  0x4000 /* of the hub's own; those of the others follow */

struct behind {
	struct end e[1 + N_BEHIND]; /* the first sends to the others */
	int relay, stop;
	uint32_t n_by_channel; /* the relay's */
};

static void send_to_port(int fd, const uint8_t *msg, size_t n, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK_INT(sendto(fd, msg, n, 0, (struct sockaddr *)&to, sizeof(to)), n);
}

/* What is in a channel is for one of them; what is not is for whoever understands it. */
static void hand_down(struct behind *b, const uint8_t *msg, size_t n)
{
	if (msg[0] != CHANNEL >> 8) {
		for (int i = 1; i <= N_BEHIND; i++)
			send_to_port(b->relay, msg, n, b->e[i].udp.port);
		return;
	}
	int to = fz_be16_load(msg) - CHANNEL;
	CHECK(to >= 1 && to <= N_BEHIND);
	CHECK_UINT(fz_be16_load(msg + 2), n - 4);
	b->n_by_channel++;
	send_to_port(b->relay, msg + 4, n - 4, b->e[to].udp.port);
}

/* Hands what the first says to the others, and what they say to the first. */
static void *relay(void *user)
{
	struct behind *b = user;
	for (;;) {
		struct pollfd pfds[2] = { { b->relay, POLLIN, 0 }, { b->stop, POLLIN, 0 } };
		CHECK(poll(pfds, 2, 20'000) > 0);
		if (pfds[1].revents)
			return NULL;
		uint8_t msg[2048];
		struct sockaddr_in from = { 0 };
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(b->relay, msg, sizeof(msg), 0, (struct sockaddr *)&from, &len);
		CHECK(n > 0);
		if (ntohs(from.sin_port) == b->e[0].udp.port)
			hand_down(b, msg, (size_t)n);
		else
			send_to_port(b->relay, msg, (size_t)n, b->e[0].udp.port);
	}
}

static enum fz_plane_outbound claim_by_channel(void *user, struct fz_now now,
	struct fz_bytes packet, uint32_t n, struct fz_span out, struct wg_tx_claim *ret_claim,
	size_t *ret_len)
{
	struct behind *b = user;
	(void)out;
	(void)ret_len;
	enum wg_drop r = wg_tx_claim(b->e[0].device, now, packet, n, ret_claim);
	if (r == WG_DROP_STAGE)
		return FZ_PLANE_STAGE;
	if (r != WG_KEEP)
		return FZ_PLANE_REFUSE;
	ret_claim->to.channel = (uint16_t)(CHANNEL + packet.p[19]);
	return FZ_PLANE_CARRY;
}

static void make_behind(struct behind *b, const struct fz_plane_hooks *hooks)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int room = 4 << 20;
	b->relay = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK_INT(bind(b->relay, (struct sockaddr *)&at, len), 0);
	CHECK_INT(getsockname(b->relay, (struct sockaddr *)&at, &len), 0);
	CHECK_INT(setsockopt(b->relay, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	b->stop = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i <= N_BEHIND; i++)
		make_end(&b->e[i], FZ_IO_AUTO, 1, i == 0 ? hooks : NULL);
	struct end hub = b->e[0];
	hub.udp.port = ntohs(at.sin_port);
	for (int i = 1; i <= N_BEHIND; i++) {
		struct end far = b->e[i];
		far.udp.port = hub.udp.port;
		introduce_both(&b->e[0], &b->e[i], &hub, &far, i);
	}
}

/* Each packet to another one than that before. */
static size_t packet_to(uint8_t *out, uint32_t number)
{
	size_t n = make_packet(out, 200, 0, 0, number);
	out[19] = (uint8_t)(1 + number % N_BEHIND);
	return n;
}

static void pass(struct behind *b, uint32_t first, uint32_t n)
{
	uint8_t buf[300], want[300];
	for (uint32_t i = first; i < first + n; i++)
		CHECK_INT(send(b->e[0].host, buf, packet_to(buf, i), 0), 200);
	for (uint32_t i = first; i < first + n; i++) {
		const struct end *e = &b->e[1 + i % N_BEHIND];
		CHECK(host_is_ready(e));
		CHECK_INT(recv(e->host, buf, sizeof(buf), 0), 200);
		packet_to(want, i);
		CHECK_MEM(buf, want, 200);
	}
}

static void share_trains(bool with_channels)
{
	struct behind b = { 0 };
	struct fz_plane_hooks hooks = { .user = &b, .outbound = claim_by_channel };
	pthread_t thread;
	enter_netns();
	make_behind(&b, with_channels ? &hooks : NULL);
	CHECK_INT(pthread_create(&thread, NULL, relay, &b), 0);
	uint32_t number = 0;
	for (; number < N_BEHIND; number++)
		pass(&b, number, 1); /* sessions, one by one */
	/* How many the plane finds in one turn is the machine's affair. */
	struct fz_plane_counters c = { 0 };
	for (int tries = 0; tries < 200 && c.tx_packets <= c.tx_trains; tries++) {
		pass(&b, number, 60);
		number += 60;
		fz_plane_counters(b.e[0].plane, &c);
	}
	CHECK(c.tx_packets > c.tx_trains);
	uint64_t one = 1;
	CHECK_INT(write(b.stop, &one, sizeof(one)), sizeof(one));
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK(with_channels == (b.n_by_channel > 0));
	for (int i = 0; i <= N_BEHIND; i++)
		free_end(&b.e[i]);
	close(b.relay);
	close(b.stop);
}

TEST(plane_peers, packets_to_several_behind_one_address_share_trains)
{
	share_trains(false);
}

TEST(plane_peers, packets_to_several_behind_one_relay_share_trains_each_in_its_channel)
{
	share_trains(true);
}
