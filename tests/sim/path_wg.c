/*
 * Real WireGuard devices over simulated paths: how a shell joins wg/device.h and path/paths.h. The device's own idea of an
 * endpoint is not used; whatever it has to say goes by the connection's way.
 */
#include "sim/engine.h"
#include "sim/path_net.h"

#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			TEST_FAIL("%s (seed %" PRIu64 ", at %.3f s)", #cond, net->seed,            \
				(double)net->now.ns / 1e9);                                        \
	} while (0)

/* Started anew by every test. */
static struct net *net;
static struct sim_engine engines[2];
static struct wg_peer *remotes[2]; /* as each device knows the other */
static unsigned n_sent[2], n_delivered[2], n_initiations, n_unsendable;
static struct fz_way arrivals[2]; /* of the last message */
static fz_time next_packet[2], first_delivery;
static bool has_packets;

static size_t index_of(const struct net_peer *p)
{
	return (size_t)(p - net->peers);
}

static struct fz_now present(void)
{
	return (struct fz_now){ .at = net->now, .wall = { (int64_t)net->now.ns } };
}

static void sent(void *user, struct sim_engine *from, const struct sim_datagram *d)
{
	(void)user;
	n_initiations += d->bytes[0] == 1;
	struct net_peer *p = &net->peers[from - engines];
	struct fz_way way;
	bool has_way = p->conn && fz_conn_way(p->conn, &way);
	bool has_arrival = arrivals[from - engines].remote.port != 0;
	n_unsendable += !has_way && !has_arrival;
	if (has_way || has_arrival)
		net_send(p, &arrivals[from - engines], fz_bytes_of(d->bytes, d->len));
}

static void delivered(void *user, struct sim_engine *to, struct wg_peer *p, struct fz_bytes inner)
{
	(void)user;
	(void)inner;
	size_t i = (size_t)(to - engines);
	CHECK(p == remotes[i]);
	if (n_delivered[0] + n_delivered[1] == 0)
		first_delivery = net->now;
	n_delivered[i]++;
	fz_conn_packet(net->peers[i].conn, net->now);
}

static void on_receive(struct net_peer *p, const struct fz_paths_rx *rx)
{
	struct sim_datagram d = { .from = rx->way.peer, .to = rx->way.local, .len = rx->payload.n };
	arrivals[index_of(p)] = rx->way;
	CHECK(d.len <= sizeof(d.bytes));
	memcpy(d.bytes, rx->payload.p, d.len);
	(void)!sim_engine_receive(&engines[index_of(p)], present(), &d);
	(void)sim_engine_poll(&engines[index_of(p)], present());
}

static void on_way(struct net_peer *p, const struct fz_way *way)
{
	wg_peer_set_endpoint(remotes[index_of(p)], &way->peer);
}

static void on_handshake(struct net_peer *p)
{
	wg_peer_start_handshake(remotes[index_of(p)], present());
}

static void on_serve(struct net_peer *p)
{
	size_t i = index_of(p);
	if (has_packets && p->conn && fz_time_reached(net->now, next_packet[i])) {
		uint8_t inner[128];
		size_t len = sim_write_ip4(fz_span_of(inner, sizeof(inner)), (uint8_t)(1 + i),
			(uint8_t)(2 - i), 40, 7);
		next_packet[i] = fz_time_add(net->now, FZ_MILLISECONDS(100));
		n_sent[i]++;
		fz_conn_packet(p->conn, net->now);
		(void)!sim_engine_send(&engines[i], present(), fz_bytes_of(inner, len));
	}
	(void)sim_engine_poll(&engines[i], present());
}

static fz_time on_deadline(const struct net_peer *p)
{
	size_t i = index_of(p);
	fz_time at = wg_device_deadline(engines[i].device);
	return has_packets && p->conn ? fz_time_min(at, next_packet[i]) : at;
}

static const struct net_wireguard wireguard = { on_receive, on_way, on_handshake, on_serve,
	on_deadline };

/* Two devices that know each other's keys, and the authorization of the moment. */
static void start(const struct net_options *o)
{
	struct sim_hooks hooks = { sent, delivered, NULL };
	struct fz_key psk = { { 5 } };
	net = net_new(o);
	memset(n_sent, 0, sizeof(n_sent));
	memset(arrivals, 0, sizeof(arrivals));
	memset(n_delivered, 0, sizeof(n_delivered));
	n_initiations = n_unsendable = 0;
	has_packets = true;
	for (size_t i = 0; i < 2; i++) {
		sim_engine_init(&engines[i], o->seed + i, net->peers[i].socket, hooks, present());
		net->peers[i].wireguard = &wireguard;
		next_packet[i] = net->now;
	}
	for (size_t i = 0; i < 2; i++) {
		remotes[i] = sim_engine_add(&engines[i], &engines[1 - i], (uint8_t)(2 - i), NULL);
		wg_peer_set_psk(remotes[i], &psk);
	}
	/* Only the client has something to send before there is a session. */
	next_packet[1] = FZ_NEVER;
	net_connect(net);
}

static void stop(void)
{
	net_free(net);
	sim_engine_done(&engines[0]);
	sim_engine_done(&engines[1]);
}

static bool has_delivered(const struct net *n)
{
	(void)n;
	return n_delivered[1] > 0;
}

TEST(path_wg, the_first_packet_arrives_within_four_round_trips_of_the_authorization)
{
	double worst = 0;
	for (uint64_t seed = 1; seed <= 16; seed++) {
		struct net_options o = { .seed = seed,
			.nats = { NET_PORT_RESTRICTED, NET_PUBLIC },
			.has_gateway = true };
		start(&o);
		fz_time begin = net->now;
		ASSERT(net_run(net, FZ_SECONDS(2), has_delivered));
		double ms = (double)fz_time_since(first_delivery, begin).ns / 1e6;
		worst = ms > worst ? ms : worst;
		/* 20 to 40 ms each; candidates' way through the portal, a check, the handshake, the packet. */
		if (ms > 200)
			TEST_FAIL("first packet after %.0f ms (seed %" PRIu64 ")", ms, seed);
		stop();
	}
	printf("first packet after %.0f ms at most (one way 10 to 20 ms)\n", worst);
}

TEST(path_wg, nothing_is_sent_before_a_way_is_nominated)
{
	struct net_options o = { .seed = 21, .nats = { NET_SYMMETRIC, NET_SYMMETRIC } };
	start(&o);
	ASSERT(net_run(net, FZ_SECONDS(5), has_delivered));
	CHECK_UINT(n_unsendable, 0);
	CHECK(n_initiations >= 1);
	stop();
}

TEST(path_wg, the_session_outlives_the_move_from_the_direct_path_to_the_relay_and_back)
{
	struct net_options o = {
		.seed = 31, .nats = { NET_RESTRICTED, NET_PORT_RESTRICTED }, .has_gateway = true
	};
	start(&o);
	ASSERT(net_run(net, FZ_SECONDS(2), has_delivered));
	next_packet[1] = net->now;
	net_run(net, FZ_SECONDS(20), NULL);
	ASSERT(net_is_direct(net));
	net->is_direct_cut = true;
	net_run(net, FZ_SECONDS(30), NULL);
	unsigned before[2] = { n_delivered[0], n_delivered[1] };
	net_run(net, FZ_SECONDS(5), NULL);
	ASSERT(n_delivered[0] - before[0] > 40 && n_delivered[1] - before[1] > 40);
	net->is_direct_cut = false;
	ASSERT(net_run(net, FZ_SECONDS(60), net_is_direct));
	net_run(net, FZ_SECONDS(5), NULL);
	ASSERT(!net->peers[0].has_failed && !net->peers[1].has_failed);
	stop();
}

TEST(path_wg, an_hour_of_rekeys_over_the_relay_with_loss_keeps_the_data_flowing)
{
	struct net_options o = { .seed = 41,
		.nats = { NET_SYMMETRIC, NET_PORT_RESTRICTED },
		.loss_percent = 2,
		.has_gateway = true };
	start(&o);
	ASSERT(net_run(net, FZ_SECONDS(30), has_delivered));
	next_packet[1] = net->now;
	net_run(net, FZ_SECONDS(3600), NULL);
	for (size_t i = 0; i < 2; i++) {
		double share = (double)n_delivered[i] / n_sent[1 - i];
		if (share < 0.80)
			TEST_FAIL("only %.0f %% of peer %zu's packets arrived", share * 100, 1 - i);
	}
	ASSERT(n_initiations >= 29); /* every two minutes */
	ASSERT(!net->peers[0].has_failed && !net->peers[1].has_failed);
	stop();
}
