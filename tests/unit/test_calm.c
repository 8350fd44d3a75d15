/* Turns while there is little to do (io/calm.h): when they begin and end, and that nothing is lost on the way there and back. */
#include "io/calm.h"
#include "io/plane.h"
#include "unit/io_ends.h"

/* ---- the judgement ---- */

static struct fz_io_turn turn; /* too large for a stack */

static void note(struct fz_calm *c, uint32_t n_datagrams, uint32_t n_frames, size_t len, bool slept)
{
	turn.n_datagrams = n_datagrams;
	turn.n_frames = n_frames;
	for (uint32_t i = 0; i < n_datagrams; i++)
		turn.datagrams[i].len = len;
	for (uint32_t i = 0; i < n_frames; i++)
		turn.frames[i].len = len;
	fz_calm_note(c, &turn, slept);
}

static bool is_calm(const struct fz_calm *c, uint32_t n_writes, uint32_t n_sends)
{
	turn.n_writes = n_writes;
	turn.n_sends = n_sends;
	return fz_calm_is(c, &turn);
}

static struct fz_calm calmed(void)
{
	struct fz_calm c = { 0 };
	for (int i = 0; i < FZ_CALM_TURNS; i++) {
		CHECK(!is_calm(&c, 0, 0));
		note(&c, 1, 0, 100, true);
	}
	CHECK(is_calm(&c, 0, 0));
	return c;
}

TEST(calm, begins_with_single_packets_and_sleep_between_them)
{
	struct fz_calm c = calmed();
	CHECK(is_calm(&c, 1, 1) && !is_calm(&c, 2, 1)); /* more go out at once by the ring */
	note(&c, 0, 0, 0, false); /* nothing says nothing */
	note(&c, 1, 1, FZ_CALM_BYTES / 2, true);
	CHECK(is_calm(&c, 0, 0));
}

TEST(calm, ends_with_many_or_large_ones)
{
	struct fz_calm c = calmed();
	note(&c, 2, 1, 1, true);
	CHECK(!is_calm(&c, 0, 0));
	c = calmed();
	note(&c, 0, 1, FZ_CALM_BYTES + 1, true);
	CHECK(!is_calm(&c, 0, 0));
	c = calmed();
	note(&c, 0, FZ_IO_FRAMES, 1, true);
	CHECK(!is_calm(&c, 0, 0));
}

TEST(calm, ends_when_there_is_no_sleep)
{
	struct fz_calm c = calmed();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < FZ_CALM_AWAKE; i++)
			note(&c, 1, 0, 1, false);
		CHECK(is_calm(&c, 0, 0));
		note(&c, 0, 0, 0, true); /* slept, if in vain */
	}
	for (int i = 0; i <= FZ_CALM_AWAKE; i++)
		note(&c, 1, 0, 1, false);
	CHECK(!is_calm(&c, 0, 0));
}

/* ---- a ring that becomes calm ---- */

struct side {
	struct ends e;
	int tun, host; /* the "TUN" is one end of a socket pair: a message is a frame */
	uint8_t next; /* number of the next datagram that is expected */
};

static void send_numbered(struct side *s, const char *to, uint8_t first, uint32_t n)
{
	static uint8_t data[FZ_IO_SENDS];
	for (uint32_t i = 0; i < n; i++) {
		data[i] = (uint8_t)(first + i);
		s->e.t->sends[i] = (struct fz_io_send){ .to = at_port(to, s->e.udp.port),
			.data = { &data[i], 1 } };
	}
	s->e.t->n_sends = n;
	s->e.ops->turn(s->e.b, FZ_IO_FLUSH, FZ_NEVER, s->e.t);
	s->e.t->n_sends = 0;
	for (uint32_t i = 0; i < n; i++)
		CHECK_INT(s->e.t->sends[i].result, 1);
}

static void turn_until(struct side *s, fz_time until)
{
	s->e.ops->turn(s->e.b, FZ_IO_WAIT, until, s->e.t);
	CHECK_INT(s->e.t->fatal, 0);
	for (uint32_t i = 0; i < s->e.t->n_datagrams; i++)
		CHECK_UINT(s->e.t->datagrams[i].buf.p[0], s->next++);
}

static void nap(struct side *s)
{
	turn_until(s, fz_time_add(fz_clock_boot(), FZ_NANOSECONDS(300'000)));
}

/* Single ones with sleep between them; then of two that wait a turn brings one: by the ring it would be both. */
static void become_calm(struct side *s)
{
	for (int i = 0; i < FZ_CALM_TURNS + 4; i++) {
		nap(s);
		send_numbered(s, "127.0.0.1", s->next, 1);
		turn_until(s, soon());
		CHECK_UINT(s->e.t->n_datagrams, 1);
	}
	nap(s);
	send_numbered(s, "127.0.0.1", s->next, 2);
	turn_until(s, soon());
	CHECK_UINT(s->e.t->n_datagrams, 1);
	turn_until(s, soon());
	CHECK_UINT(s->e.t->n_datagrams, 1);
	nap(s);
}

static void make_side(struct side *s)
{
	int pair[2];
	enter_netns();
	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*s = (struct side){ .tun = pair[0], .host = pair[1] };
	s->e = make_ends(&fz_backend_uring, s->tun);
	become_calm(s);
}

static void free_side(struct side *s)
{
	free_ends(&s->e);
	close(s->tun);
	close(s->host);
}

TEST(calm, loses_nothing_on_the_way_there_and_back)
{
	struct side s;
	make_side(&s);
	for (int round = 0; round < 3; round++) {
		uint8_t end = (uint8_t)(s.next + 3 * FZ_IO_SENDS);
		uint32_t most = 0;
		for (int burst = 0; burst < 3; burst++)
			send_numbered(&s, "127.0.0.1", (uint8_t)(s.next + burst * FZ_IO_SENDS),
				FZ_IO_SENDS);
		for (int turns = 0; s.next != end && turns < 1000; turns++) {
			turn_until(&s, soon());
			most = s.e.t->n_datagrams > most ? s.e.t->n_datagrams : most;
		}
		CHECK_UINT(s.next, end);
		CHECK_UINT(most, FZ_IO_DATAGRAMS); /* it had become the ring's */
		become_calm(&s);
	}
	free_side(&s);
}

TEST(calm, hears_both_families_the_host_and_the_wake_up)
{
	struct side s;
	make_side(&s);
	for (uint32_t n = 0; n < 300; n++) {
		uint8_t word = (uint8_t)n;
		send_numbered(&s, n & 1 ? "::1" : "127.0.0.1", s.next, 1);
		CHECK_INT(write(s.host, &word, 1), 1);
		uint8_t want = (uint8_t)(s.next + 1);
		uint32_t got = 0;
		for (int turns = 0; (s.next != want || got == 0) && turns < 10; turns++) {
			turn_until(&s, soon());
			for (uint32_t i = 0; i < s.e.t->n_frames; i++, got++)
				CHECK_UINT(s.e.t->frames[i].buf.p[0], word);
		}
		CHECK_UINT(s.next, want);
		CHECK_UINT(got, 1);
		nap(&s);
	}
	uint64_t one = 1;
	CHECK_INT(write(s.e.wake, &one, sizeof(one)), sizeof(one));
	turn_until(&s, soon());
	CHECK(s.e.t->is_woken);
	turn_until(&s, (fz_time){ 0 }); /* does not wait */
	CHECK(!s.e.t->is_woken);
	free_side(&s);
}

/* A poll that the ring still has was woken by what was then read plainly: it stays, and is ended all the same, not waited for. */
TEST(calm, stops_reading_the_tun_at_once)
{
	struct side s;
	make_side(&s);
	for (int round = 0; round < 3; round++) {
		uint8_t word = 1;
		CHECK_INT(write(s.host, &word, 1), 1);
		turn_until(&s, soon());
		CHECK_UINT(s.e.t->n_frames, 1);
		nap(&s);
	}
	uint64_t calls = s.e.ops->counters(s.e.b)->system_calls;
	s.e.ops->set_reads_tun(s.e.b, false);
	CHECK(s.e.ops->counters(s.e.b)->system_calls <= calls + 3);
	s.e.ops->set_reads_tun(s.e.b, true);
	free_side(&s);
}

TEST(calm, writes_and_sends_and_says_how_it_went)
{
	struct side s;
	make_side(&s);
	static uint8_t word = 7;
	uint8_t buf[8];
	struct iovec iov = { &word, 1 };
	s.e.t->writes[0] = (struct fz_io_write){ .iov = &iov, .n_iov = 1, .len = 1 };
	s.e.t->sends[0] =
		(struct fz_io_send){ .to = at_port("127.0.0.1", 0), .data = { &word, 1 } };
	s.e.t->n_writes = s.e.t->n_sends = 1;
	s.e.ops->turn(s.e.b, FZ_IO_POLL, FZ_NEVER, s.e.t);
	CHECK_INT(s.e.t->writes[0].result, 1);
	CHECK_INT(s.e.t->sends[0].result, -EINVAL);
	CHECK_INT(read(s.host, buf, sizeof(buf)), 1);
	CHECK_UINT(buf[0], 7);
	s.e.t->n_writes = s.e.t->n_sends = 0;
	send_numbered(&s, "127.0.0.1", s.next, 1);
	turn_until(&s, soon());
	CHECK_UINT(s.e.t->n_datagrams, 1);
	free_side(&s);
}

/* Polls of the ring that have fired unseen, or not at all, are of the old sockets. */
TEST(calm, goes_on_with_other_sockets)
{
	struct side s;
	make_side(&s);
	for (int round = 0; round < 5; round++) {
		struct fz_udp old = s.e.udp;
		CHECK_INT(fz_udp_open(0, 0, &s.e.udp), 0);
		s.e.ops->set_udp(s.e.b, &s.e.udp);
		fz_udp_close(&old);
		for (int i = 0; i < 3; i++) {
			send_numbered(&s, i & 1 ? "::1" : "127.0.0.1", s.next, 1);
			uint8_t want = (uint8_t)(s.next + 1);
			for (int turns = 0; s.next != want && turns < 10; turns++)
				turn_until(&s, soon());
			CHECK_UINT(s.next, want);
			nap(&s);
		}
		if (round & 1)
			become_calm(&s);
	}
	/* The ring's poll of the TUN is older than these sockets, and found all the same, at once. */
	uint64_t calls = s.e.ops->counters(s.e.b)->system_calls;
	s.e.ops->set_reads_tun(s.e.b, false);
	CHECK(s.e.ops->counters(s.e.b)->system_calls <= calls + 3);
	CHECK_INT(write(s.host, "x", 1), 1);
	nap(&s);
	CHECK_UINT(s.e.t->n_frames, 0);
	s.e.ops->set_reads_tun(s.e.b, true);
	turn_until(&s, soon());
	CHECK_UINT(s.e.t->n_frames, 1);
	free_side(&s);
}

TEST(calm, says_when_the_device_is_gone)
{
	struct fz_tun tun;
	enter_netns();
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		TEST_SKIP("needs /dev/net/tun");
	CHECK_INT(fz_tun_open("calm-test", &tun), 0);
	struct side s = { .tun = tun.fd, .host = -1 };
	s.e = make_ends(&fz_backend_uring, tun.fd);
	become_calm(&s);
	delete_link(tun.ifindex);
	for (int turns = 0; !s.e.t->fatal && turns < 10; turns++)
		s.e.ops->turn(s.e.b, FZ_IO_WAIT, soon(), s.e.t);
	CHECK(s.e.t->fatal < 0);
	free_ends(&s.e);
	close(tun.fd);
}
