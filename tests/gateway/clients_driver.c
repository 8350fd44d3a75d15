/*
 * Many clients of one gateway in one thread: for each a WireGuard device, its paths and a UDP socket, no TUN. Told by lines,
 * tells by lines; a client is a number.
 *
 *   in   gateway KEY_HEX              candidate N TEXT             ping COUNT    (each client, one after the other)
 *   out  key N HEX    candidate N TEXT    up N    failed N    answered TOTAL   (after each COUNT * clients)
 *
 * Usage: clients_driver COUNT ADDRESS TARGET
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/endian.h"
#include "io/clock.h"
#include "io/rng.h"
#include "path/paths.h"
#include "wg/device.h"
#include "wg/packet.h"

#define PACKET_LEN 84 /* an echo request with 56 bytes, as ping(8) sends it */
#define EVENTS_MAX 256
/* Echoes at most: fewer than the receive queue of a gateway's socket holds. */
#define ON_THE_WAY 1024
/* Without room for another: too much is lost, and no total is told. */
#define PATIENCE   FZ_SECONDS(1)

struct client {
	uint32_t number;
	int fd;
	struct wg_device *wg;
	struct wg_peer *peer;
	struct fz_paths *paths;
	struct fz_conn *conn;
};

static struct client *clients;
static uint32_t n_clients;
static struct fz_aead *aead;
static struct in_addr target;
static uint64_t n_answered, n_wanted;
static int poller;
static struct wg_rx_train train;

static void say(const char *what, uint32_t number, const char *text)
{
	printf("%s %u %s\n", what, number, text);
	fflush(stdout);
}

static void random_fill(void *user, struct fz_span out)
{
	fz_rng_fill(user, out);
}

/* ---- datagrams ---- */

static void send_to(const struct client *c, const struct fz_addr *to, struct fz_bytes pkt)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	memcpy(&sin.sin_addr, to->ip.b, 4);
	(void)sendto(c->fd, pkt.p, pkt.n, MSG_DONTWAIT, (const struct sockaddr *)&sin, sizeof(sin));
}

static void take_events(struct client *c, struct fz_now now)
{
	struct fz_paths_event e;
	struct fz_way way;
	while (fz_paths_take_event(c->paths, &e)) {
		if (e.kind == FZ_PATHS_CANDIDATE)
			say("candidate", c->number, e.text);
		if (e.kind == FZ_PATHS_WAY && fz_conn_way(e.conn, &way))
			wg_peer_set_way(c->peer, &(struct wg_endpoint){ .remote = way.remote });
		if (e.kind == FZ_PATHS_HANDSHAKE)
			wg_peer_start_handshake(c->peer, now);
		if (e.kind == FZ_PATHS_FAILED)
			say("failed", c->number, "");
	}
}

static void settle(struct client *c, struct fz_now now)
{
	struct fz_paths_datagram d;
	struct wg_output o;
	enum wg_event_kind kind;
	struct wg_peer *peer;
	uint32_t budget = 16;
	bool more = true;
	while (more) {
		more = fz_paths_poll(c->paths, now.at, &d);
		if (more)
			send_to(c, &d.remote, d.pkt);
		take_events(c, now);
	}
	while (wg_device_poll(c->wg, now, &budget, &o)) {
		send_to(c, &o.to.remote, o.pkt);
		if (o.has_data)
			wg_output_sent(c->wg, now, now.at, o.session);
	}
	while (wg_device_take_event(c->wg, &kind, &peer))
		if (kind == WG_EVENT_SESSION_UP)
			say("up", c->number, "");
}

static void count(struct fz_span inner)
{
	if (inner.n < 28 || inner.p[9] != IPPROTO_ICMP || inner.p[20] != 0)
		return;
	if (++n_answered == n_wanted)
		say("answered", (uint32_t)n_answered, "");
}

static void receive(struct client *c, struct fz_now now)
{
	static uint8_t buf[2048];
	struct sockaddr_in from = { 0 }, at = { 0 };
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(c->fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n <= 0)
		return;
	struct fz_addr remote = { .ip = fz_ip_of(FZ_IP4, &from.sin_addr),
		.port = ntohs(from.sin_port) };
	len = sizeof(at);
	fz_assert(getsockname(c->fd, (struct sockaddr *)&at, &len) == 0);
	struct fz_addr local = { .ip = fz_ip_of(FZ_IP4, &at.sin_addr), .port = ntohs(at.sin_port) };
	struct fz_paths_rx rx;
	if (fz_paths_receive(c->paths, now.at, &local, &remote, fz_bytes_of(buf, (size_t)n), &rx) ==
		FZ_PATHS_WIREGUARD) {
		train.from = (struct wg_endpoint){ .remote = remote };
		train.ecn = 0;
		train.n = 1;
		train.pkt[0] = fz_span_of(buf, (size_t)n);
		wg_rx_begin(c->wg, now, &train);
		(void)fz_aead_open_many(aead, train.jobs, train.n_jobs);
		wg_rx_finish(c->wg, now, &train);
		if (train.owner[0] && train.inner[0].n > 0)
			count(train.inner[0]);
	}
	settle(c, now);
}

/* ---- commands ---- */

static void unhex(const char *text, uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], '\0' };
		ret[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static void connect_one(struct client *c, const uint8_t key[static FZ_KEY_LEN])
{
	struct fz_ice_credentials mine = { 0 }, theirs = { 0 };
	struct fz_key psk;
	memset(psk.b, 5, sizeof(psk.b));
	snprintf(mine.ufrag, sizeof(mine.ufrag), "c%07u", c->number);
	snprintf(theirs.ufrag, sizeof(theirs.ufrag), "g%07u", c->number);
	snprintf(mine.password, sizeof(mine.password), "clientpassword0123456789");
	snprintf(theirs.password, sizeof(theirs.password), "gatewaypassword0123456789");
	struct fz_conn_params params = { .id = "gateway",
		.is_controlling = true,
		.local = &mine,
		.remote = &theirs,
		.public_key = key,
		.preshared_key = &psk };
	struct fz_now now = fz_clock_now();
	fz_assert(wg_device_add_peer(c->wg, key, &c->peer) == 0);
	wg_peer_set_managed(c->peer, 20);
	wg_peer_set_psk(c->peer, &psk);
	int r = fz_paths_upsert(c->paths, &params, now.at, &c->conn);
	fz_assert(r >= 0);
	settle(c, now);
}

static void ping_one(struct client *c, uint16_t sequence)
{
	struct fz_now now = fz_clock_now();
	uint8_t p[PACKET_LEN] = { 0x45, 0, 0, PACKET_LEN, 0, 0, 0x40, 0, 64, IPPROTO_ICMP };
	uint32_t source = htonl(0x64410000u + c->number); /* 100.65.0.0 and up */
	memcpy(p + 12, &source, 4);
	memcpy(p + 16, &target, 4);
	fz_be16_store(p + 10, wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(p, 20))));
	p[20] = 8;
	fz_be16_store(p + 24, (uint16_t)c->number);
	fz_be16_store(p + 26, sequence);
	fz_be16_store(p + 22, wg_checksum_finish(wg_checksum_add(0, fz_bytes_of(p + 20, 64))));
	fz_conn_packet(c->conn, now.at);
	wg_tx_stage(c->wg, c->peer, fz_bytes_of(p, sizeof(p)), now);
	settle(c, now);
}

static void turn(int timeout_ms);

/* False if there is none in time. */
static bool wait_for_room(uint64_t n_sent)
{
	fz_time until = fz_time_add(fz_clock_boot(), PATIENCE);
	while (n_sent - n_answered >= ON_THE_WAY) {
		if (fz_time_reached(fz_clock_boot(), until))
			return false;
		turn(1);
	}
	return true;
}

static void ping_all(unsigned rounds)
{
	uint64_t n_sent = 0;
	n_answered = 0;
	n_wanted = (uint64_t)rounds * n_clients;
	for (unsigned i = 0; i < rounds; i++)
		for (uint32_t k = 0; k < n_clients; k++) {
			if (!wait_for_room(n_sent))
				return;
			ping_one(&clients[k], (uint16_t)i);
			n_sent++;
			if (k % 16 == 0)
				turn(0);
		}
}

static void obey(char *line)
{
	unsigned number = 0;
	int at = 0;
	uint8_t key[FZ_KEY_LEN];
	if (strncmp(line, "gateway ", 8) == 0 && strlen(line) >= 8 + sizeof(key) * 2) {
		unhex(line + 8, key, sizeof(key));
		for (uint32_t i = 0; i < n_clients; i++)
			connect_one(&clients[i], key);
	} else if (sscanf(line, "candidate %u %n", &number, &at) == 1 && number < n_clients) {
		struct fz_now now = fz_clock_now();
		(void)fz_conn_add_candidate(clients[number].conn, line + at, now.at);
		settle(&clients[number], now);
	} else if (sscanf(line, "ping %u", &number) == 1) {
		ping_all(number);
	}
}

/* ---- the loop ---- */

static bool read_commands(void)
{
	static char buf[65'536];
	static size_t have;
	ssize_t n = read(STDIN_FILENO, buf + have, sizeof(buf) - 1 - have);
	if (n <= 0)
		return false;
	have += (size_t)n;
	char *end;
	while ((end = memchr(buf, '\n', have))) {
		*end = '\0';
		size_t len = (size_t)(end - buf) + 1;
		obey(buf);
		have -= len;
		memmove(buf, buf + len, have);
	}
	return true;
}

static bool stdin_is_ready;

static void turn(int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(poller, events, EVENTS_MAX, timeout_ms);
	struct fz_now now = fz_clock_now();
	for (int i = 0; i < n; i++) {
		if (events[i].data.u32 == UINT32_MAX)
			stdin_is_ready = true;
		else
			receive(&clients[events[i].data.u32], now);
	}
}

static void make_client(struct client *c, uint32_t number, struct in_addr address)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = address };
	socklen_t len = sizeof(at);
	struct fz_now now = fz_clock_now();
	struct fz_key key;
	uint8_t public[FZ_KEY_LEN];
	char text[2 * FZ_KEY_LEN + 1];
	c->number = number;
	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	fz_assert(c->fd >= 0 && bind(c->fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
		  getsockname(c->fd, (struct sockaddr *)&at, &len) == 0);
	fz_rng_fill(NULL, fz_span_of(key.b, sizeof(key.b)));
	c->wg = wg_device_new(&(struct wg_device_params){ .random = random_fill, .max_peers = 1 });
	c->paths = fz_paths_new(&(struct fz_paths_params){ .random = random_fill, .max_conns = 1 });
	fz_assert(c->wg && c->paths);
	wg_device_set_private_key(c->wg, &key, now);
	wg_device_up(c->wg, now);
	struct fz_addr host = { .ip = fz_ip_of(FZ_IP4, &at.sin_addr), .port = ntohs(at.sin_port) };
	fz_assert(fz_paths_add_host(c->paths, &host, now.at) == 0);
	fz_assert(wg_device_public_key(c->wg, public));
	for (size_t i = 0; i < sizeof(public); i++)
		snprintf(text + 2 * i, 3, "%02x", public[i]);
	say("key", number, text);
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = number };
	fz_assert(epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e) == 0);
}

int main(int argc, char **argv)
{
	struct in_addr address;
	if (argc != 4 || inet_aton(argv[2], &address) == 0 || inet_aton(argv[3], &target) == 0)
		return 2;
	n_clients = (uint32_t)strtoul(argv[1], NULL, 10);
	clients = fz_new_array(struct client, n_clients);
	poller = epoll_create1(EPOLL_CLOEXEC);
	fz_assert(clients && poller >= 0 && fz_aead_new(FZ_AEAD_AUTO, &aead) == 0);
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = UINT32_MAX };
	fz_assert(epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &e) == 0);
	for (uint32_t i = 0; i < n_clients; i++)
		make_client(&clients[i], i, address);
	say("ready", n_clients, "");
	uint32_t next = 0;
	for (;;) {
		turn(5);
		if (stdin_is_ready && !read_commands())
			return 0;
		stdin_is_ready = false;
		/* Timers: a share of the clients each time. */
		for (uint32_t i = 0; i < 1 + n_clients / 8; i++, next = (next + 1) % n_clients)
			if (clients[next].conn)
				settle(&clients[next], fz_clock_now());
	}
}
