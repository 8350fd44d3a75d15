/* Two whole data planes (plane_ends.h): order, content, faults, and what a plane's hooks are told. */
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <stdatomic.h>

#include "unit/plane_ends.h"

#define N_FLOWS   4
#define N_PACKETS 4000 /* each way */
#define WINDOW    100 /* packets on their way: fewer than any queue between holds */

struct pair {
	struct end e[2];
};

static void free_pair(struct pair *p)
{
	free_end(&p->e[0]);
	free_end(&p->e[1]);
}

/*
 * The first packet each way by itself: if both ends called at once, each would throw its own handshake away for the other's, and
 * try again after five seconds.
 */
static void greet(struct pair *p)
{
	for (int from = 0; from < 2; from++) {
		uint8_t buf[64];
		CHECK_INT(send(p->e[from].host, buf, make_packet(buf, 40, from, 0, 0), 0), 40);
		CHECK(host_is_ready(&p->e[!from]));
		CHECK_INT(recv(p->e[!from].host, buf, sizeof(buf), 0), 40);
	}
}

static struct pair make_pair(
	enum fz_io_kind io, unsigned threads, const struct fz_plane_hooks *hooks)
{
	struct pair p = { 0 };
	enter_netns();
	make_end(&p.e[0], io, threads, hooks);
	make_end(&p.e[1], io, threads, NULL);
	introduce(&p.e[0], &p.e[1], "10.0.0.1/32");
	introduce(&p.e[1], &p.e[0], "10.0.0.0/32");
	greet(&p);
	return p;
}

/* ---- traffic ---- */

struct traffic {
	uint32_t sent[N_FLOWS], received[N_FLOWS];
	uint32_t n_sent, n_received;
};

static void send_some(struct pair *p, int from, struct traffic *t, struct test_rng *rng)
{
	uint8_t buf[1420];
	while (t->n_sent < N_PACKETS && t->n_sent - t->n_received < WINDOW) {
		uint32_t flow = (uint32_t)test_rng_below(rng, N_FLOWS);
		/* Runs of full packets with short ones between, as trains have them. */
		size_t len = test_rng_below(rng, 8) ? sizeof(buf)
						    : 28 + test_rng_below(rng, sizeof(buf) - 28);
		size_t n = make_packet(buf, len, from, flow, t->sent[flow]);
		CHECK_INT(send(p->e[from].host, buf, n, 0), n);
		t->sent[flow]++;
		t->n_sent++;
	}
}

static void receive_some(struct pair *p, int at, struct traffic *t)
{
	uint8_t buf[2048], want[2048];
	for (ssize_t n; (n = recv(p->e[at].host, buf, sizeof(buf), MSG_DONTWAIT)) > 0;) {
		CHECK(n >= 28);
		uint32_t flow = fz_be32_load(buf + 20), number = fz_be32_load(buf + 24);
		CHECK(flow < N_FLOWS);
		CHECK_UINT(number, t->received[flow]);
		make_packet(want, (size_t)n, !at, flow, number);
		CHECK_MEM(buf, want, (size_t)n);
		t->received[flow]++;
		t->n_received++;
	}
}

static void run_traffic(struct pair *p, uint64_t seed)
{
	struct traffic t[2] = { 0 };
	struct test_rng rng = { seed };
	while (t[0].n_received < N_PACKETS || t[1].n_received < N_PACKETS) {
		struct pollfd pfd[2] = { { .fd = p->e[0].host, .events = POLLIN },
			{ .fd = p->e[1].host, .events = POLLIN } };
		send_some(p, 0, &t[0], &rng);
		send_some(p, 1, &t[1], &rng);
		if (poll(pfd, 2, 10'000) <= 0)
			TEST_FAIL(
				"stuck after %u and %u packets", t[0].n_received, t[1].n_received);
		receive_some(p, 1, &t[0]);
		receive_some(p, 0, &t[1]);
	}
}

static void keeps_order(enum fz_io_kind io, unsigned threads)
{
	struct pair p = make_pair(io, threads, NULL);
	run_traffic(&p, 11);
	struct fz_plane_counters c;
	fz_plane_counters(p.e[0].plane, &c);
	CHECK(c.tx_packets > 0 && c.rx_packets > 0 && c.tx_trains > 0);
	CHECK(c.tx_trains < c.tx_packets); /* there were trains */
	free_pair(&p);
}

TEST(plane, keeps_order_and_content_on_epoll_with_one_thread)
{
	keeps_order(FZ_IO_EPOLL, 1);
}

TEST(plane, keeps_order_and_content_on_epoll_with_two_threads)
{
	keeps_order(FZ_IO_EPOLL, 2);
}

TEST(plane, keeps_order_and_content_on_epoll_with_more_threads)
{
	keeps_order(FZ_IO_EPOLL, 4);
}

TEST(plane, keeps_order_and_content_on_io_uring_with_one_thread)
{
	keeps_order(FZ_IO_URING, 1);
}

TEST(plane, keeps_order_and_content_on_io_uring_with_two_threads)
{
	keeps_order(FZ_IO_URING, 2);
}

TEST(plane, keeps_order_and_content_on_io_uring_with_more_threads)
{
	keeps_order(FZ_IO_URING, 4);
}

static _Atomic bool moves_end;

static void *move_tun(void *user)
{
	struct pair *p = user;
	for (unsigned n = 0; !atomic_load(&moves_end); n++) {
		fz_plane_move_tun(p->e[0].plane, n % 2);
		fz_plane_move_tun(p->e[1].plane, n / 2 % 2);
		usleep(200); /* between two turns, or in the middle of many */
	}
	return NULL;
}

/* Each lane takes the TUN over from the other, again and again, while packets flow. */
static void keeps_order_while_lanes_change(enum fz_io_kind io)
{
	struct pair p = make_pair(io, 2, NULL);
	pthread_t mover;
	atomic_store(&moves_end, false);
	CHECK_INT(pthread_create(&mover, NULL, move_tun, &p), 0);
	for (uint64_t seed = 1; seed <= 3; seed++)
		run_traffic(&p, seed);
	atomic_store(&moves_end, true);
	CHECK_INT(pthread_join(mover, NULL), 0);
	free_pair(&p);
}

TEST(plane, keeps_order_while_the_tun_moves_between_lanes_on_epoll)
{
	keeps_order_while_lanes_change(FZ_IO_EPOLL);
}

TEST(plane, keeps_order_while_the_tun_moves_between_lanes_on_io_uring)
{
	keeps_order_while_lanes_change(FZ_IO_URING);
}

TEST(plane, keeps_order_with_as_many_threads_as_the_load_asks_for)
{
	keeps_order(FZ_IO_AUTO, 0);
}

/* ---- faults: what the kernel reports is made worse on its way to the lane (the linker puts this in between) ---- */

static const struct fz_backend_ops *kernel_ops;
static _Atomic uint32_t
	n_chances; /* sends and writes that passed by here; each seventh became a fault */
static bool has_faults, is_watched;
static _Atomic uint32_t longest_train;

int __real_fz_backend_choose(enum fz_io_kind kind, const struct fz_backend_ops **ret_ops);
int __wrap_fz_backend_choose(enum fz_io_kind kind, const struct fz_backend_ops **ret_ops);

/*
 * Every seventh send, the very first handshake message to begin with, is refused (as on a black-holed route, to port 0, on a path
 * too narrow), finds no memory or is cut short; every seventh write is cut short or finds the device's queue full.
 */
static void turn_badly(
	struct fz_backend *b, enum fz_io_mode mode, fz_time until, struct fz_io_turn *t)
{
	static const int sends[] = { -EINVAL, -EMSGSIZE, -ENOBUFS, -EINVAL, -ENOMEM, -EIO, -EAGAIN,
		-EPERM, 1 };
	static const int writes[] = { -ENOBUFS, -EAGAIN, -ENOMEM, 1 };
	kernel_ops->turn(b, mode, until, t);
	for (uint32_t i = 0; i < t->n_sends; i++) {
		uint32_t n = atomic_fetch_add(&n_chances, 1);
		if (n % 7 == 0)
			t->sends[i].result = sends[n / 7 % FZ_ARRAY_LEN(sends)];
	}
	for (uint32_t i = 0; i < t->n_writes; i++) {
		uint32_t n = atomic_fetch_add(&n_chances, 1);
		if (n % 7 == 0)
			t->writes[i].result = writes[n / 7 % FZ_ARRAY_LEN(writes)];
	}
}

static void turn_watched(
	struct fz_backend *b, enum fz_io_mode mode, fz_time until, struct fz_io_turn *t)
{
	for (uint32_t i = 0; i < t->n_sends; i++)
		if (t->sends[i].data.n > atomic_load(&longest_train))
			atomic_store(&longest_train, (uint32_t)t->sends[i].data.n);
	kernel_ops->turn(b, mode, until, t);
}

int __wrap_fz_backend_choose(enum fz_io_kind kind, const struct fz_backend_ops **ret_ops)
{
	static struct fz_backend_ops other;
	int r = __real_fz_backend_choose(kind, ret_ops);
	if (r < 0 || (!has_faults && !is_watched))
		return r;
	/* Written once: for the second plane it is all there, and the first one runs. */
	if (kernel_ops != *ret_ops || other.turn != (has_faults ? turn_badly : turn_watched)) {
		kernel_ops = *ret_ops;
		other = **ret_ops;
		other.turn = has_faults ? turn_badly : turn_watched;
	}
	*ret_ops = &other;
	return r;
}

static void bears_faults(enum fz_io_kind io, unsigned threads)
{
	has_faults = true;
	struct pair p = make_pair(io, threads, NULL);
	has_faults = false;
	/* How many sends that takes is the machine's affair: trains are long where it is quick. */
	uint64_t lost = 0, unsent = 0;
	for (uint64_t seed = 5;
		seed < 45 && (atomic_load(&n_chances) < 700 || lost == 0 || unsent == 0); seed++) {
		run_traffic(&p, seed);
		fz_plane_lock(p.e[0].plane);
		lost = wg_device_drops(p.e[0].device)[WG_DROP_TUN_WRITE];
		unsent = wg_device_drops(p.e[0].device)[WG_DROP_TX_FAILED];
		fz_plane_unlock(p.e[0].plane);
	}
	CHECK(atomic_load(&n_chances) >= 700);
	CHECK(lost > 0 && unsent > 0); /* and counted */
	free_pair(&p);
}

TEST(plane, goes_on_whatever_the_kernel_says_of_sends_and_writes_on_epoll)
{
	bears_faults(FZ_IO_EPOLL, 2);
}

TEST(plane, goes_on_whatever_the_kernel_says_of_sends_and_writes_on_io_uring)
{
	bears_faults(FZ_IO_URING, 2);
}

/* ---- control ---- */

static void goes_on_after_a_rebind(enum fz_io_kind io)
{
	struct pair p = make_pair(io, 2, NULL);
	run_traffic(&p, 1);
	for (int i = 0; i < 5; i++) {
		struct fz_udp next, old = p.e[0].udp;
		CHECK_INT(fz_udp_open(0, 0, &next), 0);
		p.e[0].udp = next;
		fz_plane_set_udp(p.e[0].plane, &p.e[0].udp);
		fz_udp_close(&old);
		/* The other side roams once it hears from the new port. */
		uint8_t buf[64];
		CHECK(send(p.e[0].host, buf, make_packet(buf, 40, 0, 0, 0), 0) == 40);
		CHECK(host_is_ready(&p.e[1]));
		CHECK_INT(recv(p.e[1].host, buf, sizeof(buf), 0), 40);
		run_traffic(&p, (uint64_t)i + 2);
	}
	free_pair(&p);
}

TEST(plane, goes_on_after_a_rebind_on_epoll)
{
	goes_on_after_a_rebind(FZ_IO_EPOLL);
}

TEST(plane, goes_on_after_a_rebind_on_io_uring)
{
	goes_on_after_a_rebind(FZ_IO_URING);
}

TEST(plane, can_be_stopped_and_started_again)
{
	struct pair p = make_pair(FZ_IO_AUTO, 2, NULL);
	run_traffic(&p, 1);
	fz_plane_stop(p.e[0].plane);
	fz_plane_stop(p.e[0].plane);
	CHECK_INT(fz_plane_start(p.e[0].plane), 0);
	run_traffic(&p, 2);
	free_pair(&p);
}

TEST(plane, without_sockets_packets_wait_and_nothing_breaks)
{
	struct pair p = make_pair(FZ_IO_AUTO, 2, NULL);
	struct fz_udp none = { .v4 = -1, .v6 = -1 };
	uint8_t buf[64];
	run_traffic(&p, 1);
	fz_plane_set_udp(p.e[0].plane, &none);
	CHECK(send(p.e[0].host, buf, make_packet(buf, 40, 0, 0, 0), 0) == 40);
	fz_plane_set_udp(p.e[0].plane, &p.e[0].udp);
	CHECK_INT(fz_plane_fatal(p.e[0].plane), 0);
	free_pair(&p);
}

/* ---- no train is so long that the kernel would cut it up: from 64 KiB on, with all its headers ---- */

TEST(plane, trains_stay_below_what_devices_take_in_one_piece)
{
	is_watched = true;
	struct pair p = make_pair(FZ_IO_AUTO, 1, NULL);
	is_watched = false;
	uint8_t buf[1392]; /* 1,424 with WireGuard's overhead: 46 of them are 65,504 */
	uint32_t number = 0;
	for (int tries = 0; tries < 200 && atomic_load(&longest_train) < 46 * 1424 - 1424;
		tries++) {
		for (int i = 0; i < 150; i++) {
			make_packet(buf, sizeof(buf), 0, 0, number++);
			CHECK_INT(send(p.e[0].host, buf, sizeof(buf), 0), sizeof(buf));
		}
		for (int i = 0; i < 150; i++) {
			CHECK(host_is_ready(&p.e[1]));
			CHECK_INT(recv(p.e[1].host, buf, sizeof(buf), 0), sizeof(buf));
		}
	}
	CHECK_UINT(atomic_load(&longest_train), 45 * 1424);
	free_pair(&p);
}

/* ---- a path narrower than the trains: the kernel refuses GSO, fragments do ---- */

TEST(plane, sends_singly_what_does_not_fit_the_path_as_a_train)
{
	struct pair p = make_pair(FZ_IO_AUTO, 1, NULL);
	run_traffic(&p, 1);
	set_link("lo", 1000);
	/* What is refused as a train may be overtaken that once. */
	for (int from = 0; from < 2; from++) {
		uint8_t buf[1420];
		for (uint32_t i = 0; i < WINDOW; i++)
			CHECK_INT(send(p.e[from].host, buf,
					  make_packet(buf, sizeof(buf), from, 0, i), 0),
				sizeof(buf));
		for (uint32_t i = 0; i < WINDOW; i++) {
			CHECK(host_is_ready(&p.e[!from]));
			CHECK_INT(recv(p.e[!from].host, buf, sizeof(buf), 0), sizeof(buf));
		}
	}
	run_traffic(&p, 2);
	struct fz_plane_counters c;
	fz_plane_counters(p.e[0].plane, &c);
	CHECK(c.gso_refused > 0);
	free_pair(&p);
}

/* ---- hooks ---- */

struct seen {
	int event;
	size_t len;
	uint16_t port;
	_Atomic uint32_t n_filtered;
};

static bool note_other(
	void *user, struct fz_now now, const struct wg_endpoint *from, struct fz_span *datagram)
{
	struct seen *s = user;
	(void)now;
	s->len = datagram->n;
	s->port = from->remote.port;
	uint64_t one = 1;
	CHECK(write(s->event, &one, sizeof(one)) == sizeof(one));
	return false;
}

/* Drops what is longer than 100 bytes. */
static void drop_long(void *user, struct fz_now now, struct wg_rx_train *t)
{
	struct seen *s = user;
	(void)now;
	for (uint16_t i = 0; i < t->n; i++)
		if (t->inner[i].n > 100) {
			t->inner[i].n = 0;
			s->n_filtered++;
		}
}

TEST(plane, hands_what_is_not_wireguard_to_its_hook)
{
	int fds[2];
	CHECK_INT(pipe(fds), 0);
	struct seen seen = { .event = fds[1] };
	struct fz_plane_hooks hooks = { .user = &seen, .other = note_other };
	struct pair p = make_pair(FZ_IO_AUTO, 2, &hooks);
	FZ_CLEANUP(fz_closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage to;
	struct fz_addr at = { .ip = fz_ip4(127, 0, 0, 1), .port = p.e[0].udp.port };
	socklen_t len = fz_sockaddr_of_addr(&at, &to);
	uint8_t stun[20] = { 0, 1 };
	CHECK_INT(sendto(s, stun, sizeof(stun), 0, (struct sockaddr *)&to, len), sizeof(stun));
	struct pollfd pfd = { .fd = fds[0], .events = POLLIN };
	CHECK_INT(poll(&pfd, 1, 10'000), 1);
	fz_plane_lock(p.e[0].plane);
	CHECK_UINT(seen.len, sizeof(stun));
	CHECK(seen.port != 0);
	fz_plane_unlock(p.e[0].plane);
	free_pair(&p);
	close(fds[0]);
	close(fds[1]);
}

TEST(plane, delivers_only_what_its_filter_leaves)
{
	struct seen seen = { 0 };
	struct fz_plane_hooks hooks = { .user = &seen, .filter = drop_long };
	struct pair p = make_pair(FZ_IO_AUTO, 2, &hooks);
	uint8_t buf[2048];
	CHECK(send(p.e[1].host, buf, make_packet(buf, 500, 1, 0, 7), 0) == 500);
	CHECK(send(p.e[1].host, buf, make_packet(buf, 100, 1, 0, 8), 0) == 100);
	CHECK(host_is_ready(&p.e[0]));
	CHECK_INT(recv(p.e[0].host, buf, sizeof(buf), 0), 100);
	CHECK_UINT(fz_be32_load(buf + 24), 8);
	CHECK_UINT(seen.n_filtered, 1);
	free_pair(&p);
}

/* Two ends that do not know each other: what happens, hooks do. */
static struct pair make_strangers(
	enum fz_io_kind io, unsigned threads, const struct fz_plane_hooks *hooks)
{
	struct pair p = { 0 };
	enter_netns();
	make_end(&p.e[0], io, threads, hooks);
	make_end(&p.e[1], io, threads, NULL);
	return p;
}

/* By length: 100 is answered by itself, 200 is kept, the rest is refused. */
static enum fz_plane_outbound judge_by_length(void *user, struct fz_now now, struct fz_bytes packet,
	uint32_t n, struct fz_span out, struct wg_tx_claim *ret_claim, size_t *ret_len)
{
	struct seen *s = user;
	(void)now;
	(void)n;
	(void)ret_claim;
	s->n_filtered += packet.n == 200;
	if (packet.n != 100 || out.n < packet.n)
		return packet.n == 200 ? FZ_PLANE_HELD : FZ_PLANE_REFUSE;
	memcpy(out.p, packet.p, packet.n);
	*ret_len = packet.n;
	return FZ_PLANE_ANSWER;
}

static void answers_and_holds(enum fz_io_kind io)
{
	struct seen seen = { 0 };
	struct fz_plane_hooks hooks = { .user = &seen, .outbound = judge_by_length };
	struct pair p = make_strangers(io, 1, &hooks);
	uint8_t buf[2048], want[100];
	CHECK(send(p.e[0].host, buf, make_packet(buf, 300, 0, 0, 6), 0) == 300);
	CHECK(send(p.e[0].host, buf, make_packet(buf, 200, 0, 0, 7), 0) == 200);
	CHECK(send(p.e[0].host, want, make_packet(want, 100, 0, 0, 8), 0) == 100);
	CHECK(host_is_ready(&p.e[0]));
	CHECK_INT(recv(p.e[0].host, buf, sizeof(buf), 0), 100);
	CHECK(memcmp(buf, want, sizeof(want)) == 0);
	CHECK_UINT(seen.n_filtered, 1);
	CHECK(recv(p.e[0].host, buf, sizeof(buf), MSG_DONTWAIT) < 0);
	free_pair(&p);
}

TEST(plane, answers_into_the_tun_what_its_hook_answers_and_keeps_what_it_holds_on_epoll)
{
	answers_and_holds(FZ_IO_EPOLL);
}

TEST(plane, answers_into_the_tun_what_its_hook_answers_and_keeps_what_it_holds_on_io_uring)
{
	answers_and_holds(FZ_IO_URING);
}

struct outbox {
	bool is_due; /* with the lock */
	struct wg_output out;
};

static bool say_once(void *user, struct fz_now now, struct wg_output *ret_out)
{
	struct outbox *o = user;
	(void)now;
	bool was_due = o->is_due;
	o->is_due = false;
	*ret_out = o->out;
	return was_due;
}

static fz_time when_due(void *user)
{
	const struct outbox *o = user;
	fz_time at = FZ_NEVER;
	if (o->is_due)
		at.ns = 0;
	return at;
}

TEST(plane, sends_what_its_poll_hook_has_behind_a_channel_header)
{
	static const uint8_t word[] = "hello";
	struct outbox box = { .out = { .pkt = fz_bytes_of(word, sizeof(word)) } };
	struct fz_plane_hooks hooks = { .user = &box, .poll = say_once, .deadline = when_due };
	struct pair p = make_strangers(FZ_IO_AUTO, 2, &hooks);
	FZ_CLEANUP(fz_closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	struct fz_addr at = { .ip = fz_ip4(127, 0, 0, 1), .port = 3478 };
	socklen_t len = fz_sockaddr_of_addr(&at, &ss);
	CHECK_INT(bind(s, (struct sockaddr *)&ss, len), 0);
	uint8_t buf[64];
	static const uint16_t channels[] = { 0, 0x4001 };
	for (size_t i = 0; i < FZ_ARRAY_LEN(channels); i++) {
		uint16_t channel = channels[i];
		fz_plane_lock(p.e[0].plane);
		box.out.to = (struct wg_endpoint){ .remote = at, .channel = channel };
		box.is_due = true;
		fz_plane_unlock(p.e[0].plane);
		struct pollfd pfd = { .fd = s, .events = POLLIN };
		CHECK_INT(poll(&pfd, 1, 10'000), 1);
		size_t head = channel ? 4 : 0;
		CHECK_INT(recv(s, buf, sizeof(buf), 0), head + sizeof(word));
		CHECK(memcmp(buf + head, word, sizeof(word)) == 0);
		CHECK(channel == 0 ||
			(fz_be16_load(buf) == channel && fz_be16_load(buf + 2) == sizeof(word)));
	}
	free_pair(&p);
}

/* ---- the device goes ---- */

static void says_when_the_device_is_gone(enum fz_io_kind io, unsigned threads)
{
	enter_netns();
	struct end e = { 0 };
	struct fz_tun tun;
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		TEST_SKIP("needs /dev/net/tun");
	CHECK_INT(fz_tun_open("gone", &tun), 0);
	set_link("gone", 1420);
	struct wg_device_params params = { .random = fz_rng_fill };
	e.device = wg_device_new(&params);
	struct fz_plane_params pp = {
		.device = e.device, .tun = tun, .io = io, .threads = threads
	};
	CHECK_INT(fz_plane_new(&pp, &e.plane), 0);
	int r = fz_plane_start(e.plane);
	if (r == -EPERM || r == -ENOSYS)
		TEST_SKIP("io_uring is barred here");
	CHECK_INT(r, 0);
	delete_link(tun.ifindex);
	struct pollfd pfd = { .fd = fz_plane_fatal_fd(e.plane), .events = POLLIN };
	CHECK_INT(poll(&pfd, 1, 10'000), 1);
	CHECK(fz_plane_fatal(e.plane) < 0);
	CHECK_INT(fz_tun_refresh(&tun), -EBADFD);
	fz_plane_free(e.plane);
	wg_device_free(e.device);
	close(tun.fd);
}

TEST(plane, says_when_the_device_is_gone_on_epoll)
{
	says_when_the_device_is_gone(FZ_IO_EPOLL, 1);
	says_when_the_device_is_gone(FZ_IO_EPOLL, 2);
}

TEST(plane, says_when_the_device_is_gone_on_io_uring)
{
	says_when_the_device_is_gone(FZ_IO_URING, 1);
	says_when_the_device_is_gone(FZ_IO_URING, 2);
}
