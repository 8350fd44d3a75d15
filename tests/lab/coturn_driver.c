/*
 * The shell around engine/path for coturn_relay.sh: real sockets and a real clock, one scenario a run. Exit status 0 if it
 * went as it should. Usage: coturn_driver allocate|stale|wrong-password|connect
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/endian.h"
#include "path/demux.h"
#include "path/paths.h"

#define SERVER "10.99.0.1:3478"

#define NEED(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static fz_time now(void)
{
	struct timespec ts;
	NEED(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (fz_time){ (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec };
}

static void random_bytes(void *user, struct fz_span out)
{
	(void)user;
	NEED(getrandom(out.p, out.n, 0) == (ssize_t)out.n);
}

static struct fz_addr addr(const char *text)
{
	struct fz_addr a;
	NEED(fz_addr_parse(text, &a) == 0);
	return a;
}

static struct sockaddr_in to_sockaddr(const struct fz_addr *a)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	memcpy(&sin.sin_addr, a->ip.b, 4);
	return sin;
}

static int socket_at(const struct fz_addr *a)
{
	struct sockaddr_in sin = to_sockaddr(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	NEED(fd >= 0);
	NEED(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	return fd;
}

static void send_to(int fd, const struct fz_addr *to, struct fz_bytes pkt)
{
	struct sockaddr_in sin = to_sockaddr(to);
	/* A refused datagram is a lost datagram: coturn may not listen yet. */
	(void)!sendto(fd, pkt.p, pkt.n, 0, (struct sockaddr *)&sin, sizeof(sin));
}

/* A datagram within `ms`, or false. */
static bool receive(
	int fd, int ms, struct fz_addr *ret_from, uint8_t *buf, size_t cap, size_t *ret_len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct sockaddr_in sin = { 0 };
	socklen_t sin_len = sizeof(sin);
	if (poll(&p, 1, ms) <= 0)
		return false;
	ssize_t n = recvfrom(fd, buf, cap, MSG_DONTWAIT, (struct sockaddr *)&sin, &sin_len);
	if (n < 0)
		return false;
	*ret_from = (struct fz_addr){ .ip = fz_ip_of(FZ_IP4, &sin.sin_addr),
		.port = ntohs(sin.sin_port) };
	*ret_len = (size_t)n;
	return true;
}

/* ---- one allocation ------------------------------------------------------------------------------------------ */

struct client {
	struct fz_turn *turn;
	struct fz_addr local, server;
	int fd;
	uint8_t data[1500];
	size_t n_data; /* of the last channel data */
};

static void client_start(struct client *c, const char *password)
{
	c->local = addr("10.99.0.2:52625");
	c->server = addr(SERVER);
	c->fd = socket_at(&c->local);
	struct fz_turn_params tp = { .random = random_bytes,
		.server4 = c->server,
		.username = "alice",
		.password = password };
	c->turn = fz_turn_new(&tp, now());
	NEED(c->turn);
}

static void client_step(struct client *c)
{
	uint8_t buf[2048];
	struct fz_addr to, from, peer, relayed;
	struct fz_stun m;
	struct fz_bytes payload;
	size_t len;
	while ((len = fz_turn_poll(c->turn, now(), (struct fz_span){ buf, sizeof(buf) }, &to)) > 0)
		send_to(c->fd, &to, fz_bytes_of(buf, len));
	if (!receive(c->fd, 20, &from, buf, sizeof(buf), &len))
		return;
	struct fz_bytes pkt = fz_bytes_of(buf, len);
	if (fz_stun_parse(pkt, &m) == FZ_STUN_OK) {
		(void)!fz_turn_receive(c->turn, now(), &c->local, &from, &m);
	} else if (fz_turn_unwrap(c->turn, now(), pkt, &peer, &relayed, &payload) ==
		   FZ_TURN_TAKEN) {
		memcpy(c->data, payload.p, payload.n);
		c->n_data = payload.n;
	}
}

static void client_run(struct client *c, fz_dur length, bool until_settled)
{
	fz_time until = fz_time_add(now(), length);
	while (!fz_time_reached(now(), until)) {
		enum fz_turn_state s = fz_turn_state(c->turn);
		if (until_settled && (s == FZ_TURN_ALLOCATED || s == FZ_TURN_FAILED))
			return;
		client_step(c);
	}
}

static void client_stop(struct client *c)
{
	fz_turn_release(c->turn, now());
	client_run(c, FZ_MILLISECONDS(100), false);
	fz_turn_free(c->turn);
	close(c->fd);
}

/* n bytes to the peer and back. */
static void echo_once(struct client *c, uint16_t channel, int peer_fd, size_t n)
{
	uint8_t out[1500], in[1500];
	struct fz_addr from;
	size_t len;
	for (size_t i = 0; i < n; i++)
		out[4 + i] = (uint8_t)(n + i);
	fz_turn_channel_header(channel, (uint16_t)n, out);
	c->n_data = SIZE_MAX;
	send_to(c->fd, &c->server, fz_bytes_of(out, 4 + n));
	NEED(receive(peer_fd, 2000, &from, in, sizeof(in), &len));
	NEED(len == n && memcmp(in, out + 4, n) == 0);
	NEED(fz_addr_equal(&from, fz_turn_relayed(c->turn, FZ_IP4)));
	send_to(peer_fd, &from, fz_bytes_of(in, len));
	for (unsigned i = 0; i < 100 && c->n_data == SIZE_MAX; i++)
		client_step(c);
	NEED(c->n_data == n && memcmp(c->data, out + 4, n) == 0);
}

static void allocate(void)
{
	static struct client c;
	char text[FZ_ADDR_TEXT_LEN];
	client_start(&c, "secret");
	client_run(&c, FZ_SECONDS(8), true);
	NEED(fz_turn_state(c.turn) == FZ_TURN_ALLOCATED);
	printf("relayed %s, rtt %.2f ms\n", fz_addr_format(fz_turn_relayed(c.turn, FZ_IP4), text),
		(double)fz_turn_rtt(c.turn).ns / 1e6);
	struct fz_addr peer = addr("10.99.0.3:4000");
	int peer_fd = socket_at(&peer);
	uint16_t channel = fz_turn_channel(c.turn, &peer, now());
	NEED(channel == FZ_TURN_CHANNEL_FIRST);
	client_run(&c, FZ_MILLISECONDS(200), false);
	for (size_t n = 0; n <= 1316; n += 47)
		echo_once(&c, channel, peer_fd, n);
	close(peer_fd);
	client_stop(&c);
}

static void stale(void)
{
	static struct client c;
	client_start(&c, "secret");
	client_run(&c, FZ_SECONDS(8), true);
	NEED(fz_turn_state(c.turn) == FZ_TURN_ALLOCATED);
	struct fz_addr before = *fz_turn_relayed(c.turn, FZ_IP4);
	client_run(&c, FZ_SECONDS(3), false); /* longer than a nonce lives there */
	fz_turn_probe(c.turn, now());
	client_run(&c, FZ_MILLISECONDS(1500), false);
	NEED(fz_turn_state(c.turn) == FZ_TURN_ALLOCATED);
	NEED(fz_addr_equal(&before, fz_turn_relayed(c.turn, FZ_IP4)));
	client_stop(&c);
}

static void wrong_password(void)
{
	static struct client c;
	client_start(&c, "wrong");
	client_run(&c, FZ_SECONDS(8), true);
	NEED(fz_turn_state(c.turn) == FZ_TURN_FAILED);
	NEED(fz_turn_failure(c.turn) == FZ_TURN_FAILURE_CREDENTIALS);
	client_stop(&c);
}

/* ---- two devices that can talk to the relay alone ------------------------------------------------------------- */

struct device {
	struct fz_paths *paths;
	struct fz_conn *conn;
	struct device *other;
	struct fz_addr local;
	int fd;
	bool got_handshake;
	unsigned n_got;
};

static void device_start(
	struct device *d, struct device *other, const char *local, const char *user)
{
	d->other = other;
	d->local = addr(local);
	d->fd = socket_at(&d->local);
	struct fz_paths_params pp = { .random = random_bytes };
	d->paths = fz_paths_new(&pp);
	NEED(d->paths);
	struct fz_paths_relay r = {
		.id = "coturn", .v4 = addr(SERVER), .username = user, .password = "secret"
	};
	NEED(fz_paths_set_relay(d->paths, &r, now()) == 0);
}

static void device_send_wireguard(struct device *d, uint32_t type, size_t len)
{
	uint8_t buf[4 + 148] = { 0 };
	struct fz_way way;
	if (!d->conn || !fz_conn_way(d->conn, &way))
		return;
	NEED(way.channel != 0);
	fz_turn_channel_header(way.channel, (uint16_t)len, buf);
	fz_le32_store(buf + 4, type);
	send_to(d->fd, &way.remote, fz_bytes_of(buf, 4 + len));
}

static void device_events(struct device *d)
{
	struct fz_paths_event e;
	while (fz_paths_take_event(d->paths, &e)) {
		if (e.kind == FZ_PATHS_CANDIDATE)
			(void)!fz_conn_add_candidate(d->other->conn, e.text, now());
		NEED(e.kind != FZ_PATHS_FAILED && e.kind != FZ_PATHS_NO_RELAYS);
		if (e.kind == FZ_PATHS_HANDSHAKE)
			device_send_wireguard(d, 1, 148);
	}
}

static void device_step(struct device *d)
{
	struct fz_paths_datagram out;
	struct fz_paths_rx rx;
	uint8_t buf[2048];
	struct fz_addr from;
	size_t len;
	while (fz_paths_poll(d->paths, now(), &out)) {
		if (out.remote.port == FZ_TURN_PORT)
			send_to(d->fd, &out.remote, out.pkt);
	}
	device_events(d);
	if (!receive(d->fd, 5, &from, buf, sizeof(buf), &len))
		return;
	if (fz_paths_receive(d->paths, now(), &d->local, &from, fz_bytes_of(buf, len), &rx) !=
		FZ_PATHS_WIREGUARD)
		return;
	NEED(rx.way.channel != 0);
	uint32_t type = fz_le32_load(rx.payload.p);
	d->got_handshake = d->got_handshake || type == 1 || type == 2;
	d->n_got += type == 4;
	if (type == 1)
		device_send_wireguard(d, 2, 92);
}

static void device_authorize(struct device *d, bool is_controlling)
{
	static const struct fz_ice_credentials creds[2] = {
		{ "abcd", "0123456789abcdefghijkl" },
		{ "efgh", "lkjihgfedcba9876543210" },
	};
	static const uint8_t public_key[FZ_KEY_LEN];
	static const struct fz_key psk;
	struct fz_conn_params cp = { .id = "other",
		.is_controlling = is_controlling,
		.local = &creds[is_controlling],
		.remote = &creds[!is_controlling],
		.public_key = public_key,
		.preshared_key = &psk };
	NEED(fz_paths_upsert(d->paths, &cp, now(), &d->conn) == FZ_PATHS_CREATED);
}

static bool is_allocated(const struct device *d)
{
	struct fz_paths_relay_info info;
	return fz_paths_relay_info(d->paths, 0, &info) && info.state == FZ_TURN_ALLOCATED;
}

static void connect_through(void)
{
	static struct device d[2];
	device_start(&d[0], &d[1], "10.99.0.2:52625", "alice");
	device_start(&d[1], &d[0], "10.99.0.3:52625", "bob");
	for (unsigned i = 0; i < 500 && !(is_allocated(&d[0]) && is_allocated(&d[1])); i++) {
		device_step(&d[0]);
		device_step(&d[1]);
	}
	NEED(is_allocated(&d[0]) && is_allocated(&d[1]));
	fz_time start = now();
	device_authorize(&d[1], false);
	device_authorize(&d[0], true);
	for (unsigned i = 0; i < 500 && !(d[0].got_handshake && d[1].got_handshake); i++) {
		device_step(&d[0]);
		device_step(&d[1]);
	}
	NEED(d[0].got_handshake && d[1].got_handshake);
	printf("handshake through both allocations after %.0f ms\n",
		(double)fz_time_since(now(), start).ns / 1e6);
	for (unsigned i = 0; i < 200 && (d[0].n_got < 20 || d[1].n_got < 20); i++) {
		device_send_wireguard(&d[0], 4, 96);
		device_send_wireguard(&d[1], 4, 96);
		device_step(&d[0]);
		device_step(&d[1]);
	}
	NEED(d[0].n_got >= 20 && d[1].n_got >= 20);
	for (size_t i = 0; i < 2; i++) {
		fz_paths_free(d[i].paths);
		close(d[i].fd);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenarios[] = { { "allocate", allocate }, { "stale", stale },
		{ "wrong-password", wrong_password }, { "connect", connect_through } };

	for (size_t i = 0; argc == 2 && i < FZ_ARRAY_LEN(scenarios); i++) {
		if (strcmp(argv[1], scenarios[i].name) == 0) {
			scenarios[i].run();
			return 0;
		}
	}
	fprintf(stderr, "usage: coturn_driver allocate|stale|wrong-password|connect\n");
	return 2;
}
