/* Sockets, devices and both backends, on loopback and a TUN of the test's own network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/endian.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/backend.h"
#include "io/clock.h"
#include "io/plane.h"
#include "io/release.h"
#include "io/ring.h"
#include "offload/vnet.h"
#include "support/test.h"
#include "unit/io_ends.h"

/* ---- sockets ---- */

TEST(udp, both_families_share_one_port)
{
	enter_netns();
	struct fz_udp u;
	CHECK_INT(fz_udp_open(0, 0, &u), 0);
	CHECK(u.v4 >= 0 && u.v6 >= 0 && u.port != 0);
	struct fz_udp other = { .v4 = -1, .v6 = -1 };
	CHECK_INT(fz_udp_open(u.port, 0, &other), -EADDRINUSE);
	fz_udp_close(&u);
	CHECK_INT(u.v4, -1);
}

TEST(udp, a_mapped_address_is_ipv4)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
	in6.sin6_addr.s6_addr[12] = 192;
	in6.sin6_addr.s6_addr[15] = 9;
	struct fz_addr a = fz_addr_of_sockaddr((struct sockaddr *)&in6);
	char text[FZ_ADDR_TEXT_LEN];
	CHECK_STR(fz_addr_format(&a, text), "192.0.0.9:0");
}

TEST(udp, a_message_without_a_source_is_refused)
{
	struct fz_udp_message m;
	struct fz_udp_received r;
	uint8_t buf[8];
	fz_udp_prepare_receive(&m, fz_span_of(buf, sizeof(buf)));
	m.hdr.msg_namelen = 0;
	m.hdr.msg_controllen = 0;
	CHECK(!fz_udp_read_control(&m, 4, &r));
}

TEST(udp, control_bytes_of_any_kind_are_read_within_their_bounds)
{
	for (uint64_t seed = 1; seed <= 5000; seed++) {
		struct test_rng rng = { seed };
		struct fz_udp_message m;
		struct fz_udp_received r;
		uint8_t buf[8];
		fz_udp_prepare_receive(&m, fz_span_of(buf, sizeof(buf)));
		m.addr.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = 1 };
		m.hdr.msg_namelen = sizeof(m.addr.in);
		test_rng_fill(&rng, m.control, sizeof(m.control));
		fz_native64_store(m.control, test_rng_below(&rng, 200));
		m.hdr.msg_controllen = test_rng_below(&rng, sizeof(m.control) + 1);
		(void)!fz_udp_read_control(&m, 4, &r);
	}
}

/* ---- backends ---- */

/* A train sent to ourselves comes back whole, with its segment size, source and ECN. */
static void carries_a_train(const struct fz_backend_ops *ops, const char *ip)
{
	enter_netns();
	struct ends e = make_ends(ops, -1);
	static uint8_t train[45 * 1000 + 7];
	struct test_rng rng = { 7 };
	test_rng_fill(&rng, train, sizeof(train));
	e.t->n_sends = 1;
	e.t->sends[0] = (struct fz_io_send){ .to = at_port(ip, e.udp.port),
		.tos = 1,
		.data = { train, sizeof(train) },
		.segment = 1000 };
	e.ops->turn(e.b, FZ_IO_FLUSH, FZ_NEVER, e.t);
	CHECK_INT(e.t->sends[0].result, sizeof(train));
	e.t->n_sends = 0;
	size_t got = 0;
	for (int turns = 0; got < sizeof(train) && turns < 100; turns++) {
		e.ops->turn(e.b, FZ_IO_WAIT, soon(), e.t);
		for (uint32_t i = 0; i < e.t->n_datagrams; i++) {
			const struct fz_io_datagrams *d = &e.t->datagrams[i];
			CHECK_MEM(d->buf.p, train + got, d->len);
			CHECK_UINT(d->info.ecn, 1);
			CHECK_UINT(d->info.from.remote.port, e.udp.port);
			CHECK(d->info.segment == 1000 || d->info.segment == 7);
			CHECK(!d->info.is_truncated);
			got += d->len;
		}
	}
	CHECK_UINT(got, sizeof(train));
	free_ends(&e);
}

TEST(epoll, carries_a_train_over_ipv4)
{
	carries_a_train(&fz_backend_epoll, "127.0.0.1");
}

TEST(epoll, carries_a_train_over_ipv6)
{
	carries_a_train(&fz_backend_epoll, "::1");
}

TEST(uring, carries_a_train_over_ipv4)
{
	carries_a_train(&fz_backend_uring, "127.0.0.1");
}

TEST(uring, carries_a_train_over_ipv6)
{
	carries_a_train(&fz_backend_uring, "::1");
}

static void send_some(struct ends *e, const char *to, uint32_t n)
{
	static uint8_t data[100];
	for (e->t->n_sends = 0; e->t->n_sends < n; e->t->n_sends++)
		e->t->sends[e->t->n_sends] = (struct fz_io_send){ .to = at_port(to, e->udp.port),
			.data = { data, sizeof(data) } };
	e->ops->turn(e->b, FZ_IO_FLUSH, FZ_NEVER, e->t);
	e->t->n_sends = 0;
}

/*
 * As many sends as the completion queue holds, and two polls of the turn before that fire meanwhile: the kernel keeps what does not
 * fit, and all of it arrives.
 */
TEST(uring, loses_nothing_when_its_completion_queue_runs_over)
{
	static uint8_t data[FZ_IO_SENDS][20];
	enter_netns();
	struct ends e = make_ends_with(&fz_backend_uring, -1, FZ_IO_SENDS);
	e.ops->turn(e.b, FZ_IO_WAIT, fz_clock_boot(), e.t); /* nothing is there: arms its polls */
	CHECK_UINT(e.ops->counters(e.b)->overflows, 0);
	uint64_t one = 1;
	CHECK(write(e.wake, &one, sizeof(one)) == sizeof(one));
	for (uint32_t i = 0; i < FZ_IO_SENDS; i++) {
		data[i][0] = (uint8_t)i;
		e.t->sends[i] = (struct fz_io_send){ .to = at_port("127.0.0.1", e.udp.port),
			.data = { data[i], sizeof(data[i]) },
			.result = -EINPROGRESS };
	}
	e.t->n_sends = FZ_IO_SENDS;
	e.ops->turn(e.b, FZ_IO_FLUSH, FZ_NEVER, e.t);
	for (uint32_t i = 0; i < FZ_IO_SENDS; i++)
		CHECK_INT(e.t->sends[i].result, sizeof(data[i]));
	CHECK(e.ops->counters(e.b)->overflows > 0);
	e.t->n_sends = 0;
	bool is_woken = false;
	uint32_t n = 0;
	for (int turns = 0; (n < FZ_IO_SENDS || !is_woken) && turns < 200; turns++) {
		e.ops->turn(e.b, FZ_IO_WAIT, soon(), e.t);
		CHECK_INT(e.t->fatal, 0);
		is_woken = is_woken || e.t->is_woken;
		for (uint32_t i = 0; i < e.t->n_datagrams; i++)
			CHECK_UINT(e.t->datagrams[i].buf.p[0], n++);
	}
	CHECK_UINT(n, FZ_IO_SENDS);
	CHECK(is_woken);
	free_ends(&e);
}

/* A flood on one family leaves the other its part of every turn. */
static void is_fair(const struct fz_backend_ops *ops)
{
	enter_netns();
	struct ends e = make_ends(ops, -1);
	send_some(&e, "127.0.0.1", 60);
	for (int turns = 0; turns < 4; turns++) /* until it reads as much as it may */
		e.ops->turn(e.b, FZ_IO_POLL, FZ_NEVER, e.t);
	CHECK_UINT(e.t->n_datagrams, FZ_IO_DATAGRAMS);
	send_some(&e, "::1", 1);
	bool has_v6 = false;
	for (int turns = 0; !has_v6 && turns < 4; turns++) {
		e.ops->turn(e.b, FZ_IO_POLL, FZ_NEVER, e.t);
		for (uint32_t i = 0; i < e.t->n_datagrams; i++)
			has_v6 = has_v6 || e.t->datagrams[i].info.from.remote.ip.family == FZ_IP6;
	}
	CHECK(has_v6); /* there is still more of the other family than four turns can read */
	free_ends(&e);
}

TEST(epoll, gives_each_family_its_part_of_a_turn)
{
	is_fair(&fz_backend_epoll);
}

TEST(uring, gives_each_family_its_part_of_a_turn)
{
	is_fair(&fz_backend_uring);
}

/* Each send says for itself how it went, and none keeps the others from going. */
static void reports_errors(const struct fz_backend_ops *ops)
{
	enter_netns();
	struct ends e = make_ends(ops, -1);
	static uint8_t data[70'000];
	e.t->n_sends = 3;
	e.t->sends[0] = (struct fz_io_send){ .to = at_port("192.0.2.1", 9), .data = { data, 100 } };
	e.t->sends[1] = (struct fz_io_send){ .to = at_port("127.0.0.1", 9),
		.data = { data, sizeof(data) } };
	e.t->sends[2] = (struct fz_io_send){ .to = at_port("127.0.0.1", e.udp.port),
		.data = { data, 100 } };
	e.ops->turn(e.b, FZ_IO_FLUSH, FZ_NEVER, e.t);
	CHECK_INT(e.t->sends[0].result, -ENETUNREACH);
	CHECK_INT(e.t->sends[1].result, -EMSGSIZE);
	CHECK_INT(e.t->sends[2].result, 100);
	struct fz_udp none = { .v4 = -1, .v6 = -1 };
	e.ops->set_udp(e.b, &none);
	e.ops->turn(e.b, FZ_IO_FLUSH, FZ_NEVER, e.t);
	CHECK_INT(e.t->sends[2].result, -ENETUNREACH);
	free_ends(&e);
}

/* Runs to one socket go in one call, up to a message that is refused, and from there on in another. */
TEST(epoll, sends_what_follows_each_other_in_one_call)
{
	enter_netns();
	struct ends e = make_ends(&fz_backend_epoll, -1);
	static uint8_t data[70'000];
	for (uint32_t i = 0; i < 40; i++)
		e.t->sends[i] = (struct fz_io_send){ .to = at_port(i < 20 ? "127.0.0.1" : "::1",
							     e.udp.port),
			.data = { data, 100 + i } };
	e.t->n_sends = 40;
	uint64_t before = e.ops->counters(e.b)->system_calls;
	e.ops->turn(e.b, FZ_IO_FLUSH, FZ_NEVER, e.t);
	CHECK_UINT(e.ops->counters(e.b)->system_calls - before, 2);
	e.t->sends[7].data.n = e.t->sends[30].data.n = e.t->sends[39].data.n = sizeof(data);
	e.ops->turn(e.b, FZ_IO_FLUSH, FZ_NEVER, e.t);
	for (uint32_t i = 0; i < 40; i++) {
		bool is_bad = i == 7 || i == 30 || i == 39;
		CHECK_INT(e.t->sends[i].result, is_bad ? -EMSGSIZE : 100 + (int)i);
	}
	free_ends(&e);
}

TEST(epoll, reports_each_sends_error)
{
	reports_errors(&fz_backend_epoll);
}

TEST(uring, reports_each_sends_error)
{
	reports_errors(&fz_backend_uring);
}

static void is_woken(const struct fz_backend_ops *ops)
{
	enter_netns();
	struct ends e = make_ends(ops, -1);
	uint64_t one = 1;
	CHECK_INT(write(e.wake, &one, sizeof(one)), sizeof(one));
	e.ops->turn(e.b, FZ_IO_WAIT, FZ_NEVER, e.t);
	CHECK(e.t->is_woken);
	/* And a deadline that has passed does not wait. */
	e.ops->turn(e.b, FZ_IO_WAIT, (fz_time){ 0 }, e.t);
	CHECK(!e.t->is_woken);
	free_ends(&e);
}

TEST(epoll, is_woken_by_its_eventfd_and_by_time)
{
	is_woken(&fz_backend_epoll);
}

TEST(uring, is_woken_by_its_eventfd_and_by_time)
{
	is_woken(&fz_backend_uring);
}

/* After a rebind the old port is free at once: no poll of ours holds the socket. */
static void lets_go(const struct fz_backend_ops *ops)
{
	enter_netns();
	struct ends e = make_ends(ops, -1);
	e.ops->turn(e.b, FZ_IO_WAIT, (fz_time){ 0 }, e.t); /* arms whatever it arms */
	uint16_t port = e.udp.port;
	struct fz_udp none = { .v4 = -1, .v6 = -1 }, again;
	e.ops->set_udp(e.b, &none);
	fz_udp_close(&e.udp);
	CHECK_INT(fz_udp_open(port, 0, &again), 0);
	e.udp = again;
	e.ops->set_udp(e.b, &e.udp);
	free_ends(&e);
}

TEST(epoll, lets_go_of_replaced_sockets)
{
	lets_go(&fz_backend_epoll);
}

TEST(uring, lets_go_of_replaced_sockets)
{
	lets_go(&fz_backend_uring);
}

/* ---- what a ring may do ---- */

/* Its result; user_data is the SQE's. */
static int complete(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	CHECK_INT(io_uring_submit(ring), 1);
	CHECK_INT(io_uring_wait_cqe(ring, &cqe), 0);
	int r = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return r;
}

TEST(ring, does_what_the_data_plane_does_and_nothing_else)
{
	struct io_uring ring;
	int r = fz_ring_init(&ring, 8, 16);
	if (r == -EPERM || r == -ENOSYS)
		TEST_SKIP("io_uring is barred here");
	CHECK_INT(r, 0);
	uint8_t byte;
	FZ_CLEANUP(fz_closep) int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	CHECK_INT(io_uring_register_files(&ring, &zero, 1), 0);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, 0, &byte, 1, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	CHECK_INT(complete(&ring), 1);
	io_uring_prep_read(io_uring_get_sqe(&ring), zero, &byte, 1, 0); /* a file of the process */
	CHECK_INT(complete(&ring), -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat(sqe, AT_FDCWD, "/dev/zero", O_RDONLY, 0);
	sqe->flags = IOSQE_FIXED_FILE;
	CHECK_INT(complete(&ring), -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_nop(sqe);
	sqe->flags = IOSQE_FIXED_FILE;
	CHECK_INT(complete(&ring), -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, 0, &byte, 1, 0);
	sqe->flags =
		IOSQE_FIXED_FILE | IOSQE_ASYNC; /* nothing of ours is for a worker of the kernel */
	CHECK_INT(complete(&ring), -EACCES);
	CHECK_INT(io_uring_register_eventfd(&ring, zero), -EACCES);
	io_uring_queue_exit(&ring);
}

/* The descriptor of this process's one ring. */
static int find_ring(void)
{
	char path[32], target[64];
	for (int fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strcmp(target, "anon_inode:[io_uring]") == 0)
			return fd;
	}
	return -1;
}

TEST(uring, has_a_ring_that_is_restricted)
{
	enter_netns();
	struct ends e = make_ends(&fz_backend_uring, -1);
	int fd = find_ring();
	CHECK(fd >= 0);
	errno = 0;
	CHECK_INT(syscall(__NR_io_uring_register, fd, IORING_REGISTER_EVENTFD, &e.wake, 1), -1);
	CHECK_INT(errno, EACCES);
	free_ends(&e);
}

/* ---- TUN ---- */

static void crosses_the_tun(const struct fz_backend_ops *ops)
{
	enter_netns();
	struct fz_tun tun;
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		TEST_SKIP("needs /dev/net/tun");
	CHECK_INT(fz_tun_open("io-test", &tun), 0);
	CHECK(tun.caps & FZ_COALESCE_VNET);
	set_link("io-test", 0);
	struct ends e = make_ends(ops, tun.fd);
	/* An ICMPv4 echo to nobody: a packet the stack accepts and drops. */
	static uint8_t frame[FZ_VNET_HDR_LEN + 28] = { [FZ_VNET_HDR_LEN] = 0x45,
		[FZ_VNET_HDR_LEN + 3] = 28,
		[FZ_VNET_HDR_LEN + 8] = 64,
		[FZ_VNET_HDR_LEN + 9] = 1,
		[FZ_VNET_HDR_LEN + 12] = 192,
		[FZ_VNET_HDR_LEN + 16] = 192 };
	static uint8_t bad[FZ_VNET_HDR_LEN + 28] = { [FZ_VNET_HDR_LEN] = 0x15 };
	struct iovec iov[3] = { { frame, FZ_VNET_HDR_LEN }, { frame + FZ_VNET_HDR_LEN, 28 },
		{ bad, sizeof(bad) } };
	e.t->n_writes = 2;
	e.t->writes[0] = (struct fz_io_write){ .iov = iov, .n_iov = 2, .len = sizeof(frame) };
	e.t->writes[1] = (struct fz_io_write){ .iov = iov + 2, .n_iov = 1, .len = sizeof(bad) };
	e.ops->turn(e.b, FZ_IO_FLUSH, FZ_NEVER, e.t);
	CHECK_INT(e.t->writes[0].result, sizeof(frame));
	CHECK_INT(e.t->writes[1].result, -EINVAL);
	e.t->n_writes = 0;
	/* IPv6 sends of its own accord (router solicitation, MLD) once the link is up. */
	uint32_t got = 0;
	for (int turns = 0; got == 0 && turns < 20; turns++) {
		e.ops->turn(e.b, FZ_IO_WAIT, soon(), e.t);
		got = e.t->n_frames;
	}
	CHECK(got > 0);
	CHECK(e.t->frames[0].len > FZ_VNET_HDR_LEN);
	free_ends(&e);
	close(tun.fd);
}

TEST(epoll, crosses_the_tun)
{
	crosses_the_tun(&fz_backend_epoll);
}

TEST(uring, crosses_the_tun)
{
	crosses_the_tun(&fz_backend_uring);
}

TEST(tun, a_busy_name_is_never_shared)
{
	enter_netns();
	struct fz_tun a, b;
	CHECK_INT(fz_tun_open("busy", &a), 0);
	CHECK_INT(fz_tun_open("busy", &b), -EBUSY);
	close(a.fd);
}

TEST(tun, bad_names_are_refused)
{
	static const char *const bad[] = { "", "a/b", "sixteen-or-longer", ".", "..", "a b",
		"a%d" };
	struct fz_tun t;
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++)
		CHECK_INT(fz_tun_open(bad[i], &t), -EINVAL);
}

TEST(tun, an_inherited_device_is_taken_as_it_is)
{
	enter_netns();
	struct fz_tun a, b;
	CHECK_INT(fz_tun_open("given", &a), 0);
	CHECK_INT(fz_tun_adopt(a.fd, &b), 0);
	CHECK_STR(b.name, "given");
	CHECK_UINT(b.caps, a.caps);
	CHECK_INT(fz_tun_adopt(STDOUT_FILENO, &b), -ENOTTY);
	CHECK_INT(fz_tun_set_mtu(&a, 1280), 0);
	uint32_t mtu = 0;
	CHECK_INT(fz_tun_mtu(&a, &mtu), 0);
	CHECK_UINT(mtu, 1280);
	close(a.fd);
}

static void ethtool(const char *link, void *request)
{
	FZ_CLEANUP(fz_closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_data = request };
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", link);
	CHECK_INT(ioctl(s, SIOCETHTOOL, &ifr), 0);
}

/* Is that offload on? By the name ethtool(8) shows. */
static bool has_feature(const char *link, const char *name)
{
	union {
		struct ethtool_sset_info info;
		uint32_t words[5];
	} count = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1u << ETH_SS_FEATURES } };

	ethtool(link, &count);
	uint32_t n = count.words[4], n_blocks = (n + 31) / 32;
	FZ_CLEANUP(fz_freep)
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	FZ_CLEANUP(fz_freep)
	struct ethtool_gfeatures *on =
		calloc(1, sizeof(*on) + n_blocks * sizeof(struct ethtool_get_features_block));
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = n;
	ethtool(link, names);
	on->cmd = ETHTOOL_GFEATURES;
	on->size = n_blocks;
	ethtool(link, on);
	for (uint32_t i = 0; i < n; i++) {
		const char *at = (const char *)names->data + (size_t)i * ETH_GSTRING_LEN;
		if (strncmp(at, name, ETH_GSTRING_LEN) == 0)
			return on->features[i / 32].active >> i % 32 & 1;
	}
	TEST_FAIL("there is no offload called %s", name);
	return false;
}

TEST(tun, is_given_super_packets_with_congestion_marks_too)
{
	enter_netns();
	struct fz_tun t;
	CHECK_INT(fz_tun_open("marked", &t), 0);
	CHECK((t.caps & (FZ_COALESCE_TCP4 | FZ_COALESCE_TCP6)) != 0);
	CHECK(has_feature("marked", "tx-tcp-segmentation"));
	CHECK(has_feature("marked", "tx-tcp-ecn-segmentation"));
	close(t.fd);
}

/* ---- what a release is known for ---- */

TEST(release, gso_is_off_where_it_mangles_trains)
{
	static const struct {
		const char *release;
		bool gso, uso;
	} cases[] = {
		{ "6.1.0-37-amd64", true, false },
		{ "6.8.0-45-generic", true, false },
		{ "6.8.4", true, false },
		{ "6.8.5", true, true },
		{ "6.8.12", true, true },
		{ "6.17.0-8-generic", true, true },
		{ "6.18.44-fc-v669", true, true },
		{ "7.0.0-rc1", false, true },
		{ "7.0", false, true },
		{ "7.0.9-arch1-1", false, true },
		{ "7.1.4", false, true },
		{ "7.1.4+deb14-amd64", false, true },
		{ "7.1.5", true, true },
		{ "7.1.40", true, true },
		{ "7.2.0", true, true },
		{ "10.0.0", true, true },
		{ "", true, true },
		{ "seven", true, true },
		{ "7", true, true },
		{ "99999999999999999999.1.2", true, true },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(cases); i++) {
		CHECK_INT(fz_udp_gso_is_trusted(cases[i].release), cases[i].gso);
		CHECK_INT(fz_tun_uso_is_trusted(cases[i].release), cases[i].uso);
	}
}

TEST(release, of_the_running_kernel_begins_with_its_numbers)
{
	char release[FZ_RELEASE_LEN];
	fz_release_read(release);
	CHECK(release[0] >= '0' && release[0] <= '9');
	CHECK(strchr(release, '.') != NULL);
}

/* ---- choosing ---- */

static int bar(int call)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), call, 0) : -ENOMEM;
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

static char logged[256];

static void keep_log(void *user, enum fz_log_level level, const char *event, const char *detail)
{
	(void)user;
	(void)level;
	snprintf(logged, sizeof(logged), "%s %s", event, detail);
}

enum { CHILD_OK, CHILD_WRONG, CHILD_CANNOT };

static int choose_while_barred(int call)
{
	const struct fz_backend_ops *ops = NULL;
	if (bar(call) < 0)
		return CHILD_CANNOT;
	fz_log_set_level(FZ_LOG_WARNING);
	fz_log_set_sink(keep_log, NULL);
	bool ok = fz_backend_choose(FZ_IO_AUTO, &ops) == 0 && ops == &fz_backend_epoll;
	ok = ok && strstr(logged, "io-uring-barred") &&
	     (strstr(logged, "seccomp") || strstr(logged, "filter"));
	ok = ok && fz_backend_choose(FZ_IO_URING, &ops) < 0;
	ok = ok && fz_backend_choose(FZ_IO_EPOLL, &ops) == 0;
	return ok ? CHILD_OK : CHILD_WRONG;
}

/* In a process of its own: what bars io_uring stays for its life. */
static void falls_back(int call)
{
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(choose_while_barred(call));
	int status = 0;
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_CANNOT)
		TEST_SKIP("needs seccomp");
	CHECK_INT(WEXITSTATUS(status), CHILD_OK);
}

TEST(backend, a_barred_io_uring_falls_back_with_one_line_that_names_the_cause)
{
	falls_back(SCMP_SYS(io_uring_setup));
}

TEST(backend, a_ring_that_may_be_made_but_not_entered_falls_back)
{
	falls_back(SCMP_SYS(io_uring_enter));
}

TEST(backend, a_ring_that_may_not_be_asked_what_it_can_do_falls_back)
{
	falls_back(SCMP_SYS(io_uring_register));
}

TEST(backend, names_are_read_and_others_refused)
{
	enum fz_io_kind k;
	CHECK_INT(fz_io_kind_parse("uring", &k), 0);
	CHECK_INT(k, FZ_IO_URING);
	CHECK_INT(fz_io_kind_parse("auto", &k), 0);
	CHECK_INT(fz_io_kind_parse("Epoll", &k), -EINVAL);
}
