/*
 * Turns of both backends (io/backend.h): datagrams received and sent over loopback, frames read and written. As root this happens in a
 * network namespace of its own with a TUN in it, otherwise a pair of sockets stands in for the TUN. What is measured is CPU time
 * of the calling thread, the kernel's part of it included; what a ring hands to a kernel thread is not seen.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"
#include "bench/micro/bench.h"
#include "io/backend.h"
#include "io/clock.h"
#include "io/tun.h"
#include "tests/support/packet.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define TRAINS    4
#define SEGMENTS  32
#define SEGMENT   96 /* bytes; a WireGuard message with a small packet in it */
#define FRAMES    64
#define TURNS_MAX 100
#define TUN_NET   0x0a630000u /* 10.99.0.0 */

static uint8_t bytes[SEGMENTS * SEGMENT];

struct ends {
	const struct fz_backend_ops *ops;
	struct fz_backend *backend;
	struct fz_udp udp;
	struct fz_io_turn *turn;
	int near, far; /* the TUN, and where what it reads is put in */
	int peer; /* the other end of the datagrams */
	bool is_tun;
	struct wg_endpoint to;
	struct iovec iov[FRAMES];
	uint8_t frame[TEST_PACKET_MAX + 10];
};

static void die(const char *what)
{
	fprintf(stderr, "io: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in ip4(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)
	};
}

static void raise_link(const char *name, uint32_t address)
{
	FZ_CLEANUP(fz_closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };
	struct sockaddr_in a = ip4(address, 0), mask = ip4(0xffffff00u, 0);
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (address) {
		memcpy(&r.ifr_addr, &a, sizeof(a));
		if (ioctl(s, SIOCSIFADDR, &r) != 0)
			die("an address");
		memcpy(&r.ifr_netmask, &mask, sizeof(mask));
		if (ioctl(s, SIOCSIFNETMASK, &r) != 0)
			die("a netmask");
	}
	r.ifr_flags = IFF_UP;
	if (ioctl(s, SIOCSIFFLAGS, &r) != 0)
		die("a link");
}

/* A UDP socket towards an address. */
static int connected(uint32_t address, uint16_t port)
{
	struct sockaddr_in to = ip4(address, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die("a socket");
	return fd;
}

/* The TUN's name says whose it is: both backends have one. */
static void open_device(struct ends *e, bool has_netns)
{
	struct fz_tun tun;
	uint32_t net = TUN_NET + (e->ops == &fz_backend_uring ? 256 : 0);
	char name[IFNAMSIZ];
	snprintf(name, sizeof(name), "%s0", e->ops->name);
	e->is_tun = has_netns && fz_tun_open(name, &tun) == 0;
	if (e->is_tun) {
		raise_link(name, net + 1);
		e->near = tun.fd;
		e->far = connected(net + 2, 9);
		return;
	}
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		die("a pair of sockets");
	e->near = pair[0];
	e->far = pair[1];
}

static struct ends *new_ends(const struct fz_backend_ops *ops, bool has_netns)
{
	struct ends *e = calloc(1, sizeof(*e));
	if (!e || !(e->turn = calloc(1, sizeof(*e->turn))))
		exit(1);
	e->ops = ops;
	open_device(e, has_netns);
	struct fz_io_params params = { .tun_fd = e->near,
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.reads_tun = true,
		.reads_udp = true };
	if (fz_udp_open(0, 0, &e->udp) < 0)
		die("sockets");
	errno = -ops->new (&params, &e->backend);
	if (errno != 0) {
		fprintf(stderr, "io: %s is barred here: %s\n", ops->name, strerror(errno));
		return NULL;
	}
	ops->set_udp(e->backend, &e->udp);
	for (size_t i = 0; i < FZ_IO_DATAGRAMS + FZ_IO_FRAMES; i++) {
		struct fz_span *buf = i < FZ_IO_DATAGRAMS
					      ? &e->turn->datagrams[i].buf
					      : &e->turn->frames[i - FZ_IO_DATAGRAMS].buf;
		*buf = fz_span_of(malloc(FZ_IO_SLAB_LEN), FZ_IO_SLAB_LEN);
		if (!buf->p)
			exit(1);
	}
	e->peer = connected(INADDR_LOOPBACK, e->udp.port);
	struct sockaddr_in own;
	socklen_t len = sizeof(own);
	if (getsockname(e->peer, (struct sockaddr *)&own, &len) != 0)
		die("a name");
	e->to.remote = fz_addr_of_sockaddr((struct sockaddr *)&own);
	return e;
}

/* In a loop a turn waits unless it has something to write: so does the engine. What is waited for is there already. */
static void turn(struct ends *e, enum fz_io_mode mode, fz_time until)
{
	e->ops->turn(e->backend, mode, until, e->turn);
	if (e->turn->fatal)
		die("the device is gone");
}

static fz_time soon(void)
{
	return fz_time_add(fz_clock_boot(), FZ_SECONDS(1));
}

static void drain(int fd)
{
	static uint8_t trash[FZ_IO_SLAB_LEN];
	while (recv(fd, trash, sizeof(trash), MSG_DONTWAIT) >= 0)
		;
}

/* ---- datagrams ---- */

static void prepare_receive(void *user)
{
	const struct ends *e = user;
	int segment = SEGMENT;
	if (setsockopt(e->peer, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) != 0)
		die("no segmentation");
	for (int i = 0; i < TRAINS; i++)
		if (send(e->peer, bytes, sizeof(bytes), 0) != sizeof(bytes))
			die("a train");
}

static void run_receive(void *user)
{
	struct ends *e = user;
	uint32_t n_got = 0;
	fz_time until = soon();
	for (uint32_t turns = 0; n_got < TRAINS * SEGMENTS; turns++) {
		turn(e, FZ_IO_WAIT, until);
		for (uint32_t i = 0; i < e->turn->n_datagrams; i++)
			n_got += (uint32_t)e->turn->datagrams[i].len / SEGMENT;
		if (turns == TURNS_MAX)
			die("datagrams were lost");
	}
}

static void prepare_send(void *user)
{
	drain(((const struct ends *)user)->peer);
}

static void run_send(void *user)
{
	struct ends *e = user;
	for (uint32_t i = 0; i < TRAINS; i++)
		e->turn->sends[i] = (struct fz_io_send){
			.to = e->to, .data = { bytes, sizeof(bytes) }, .segment = SEGMENT
		};
	e->turn->n_sends = TRAINS;
	turn(e, FZ_IO_FLUSH, FZ_NEVER);
	e->turn->n_sends = 0;
	for (uint32_t i = 0; i < TRAINS; i++)
		if (e->turn->sends[i].result != sizeof(bytes))
			die("a train was not sent");
}

/* ---- frames ---- */

/* Nothing is left of before; what the kernel itself says on a new link, too. */
static void prepare_read(void *user)
{
	struct ends *e = user;
	do
		turn(e, FZ_IO_WAIT, (fz_time){ 0 });
	while (e->turn->n_frames > 0);
	for (int i = 0; i < FRAMES; i++)
		if (send(e->far, bytes, SEGMENT, 0) != SEGMENT)
			die("a frame");
}

static void run_read(void *user)
{
	struct ends *e = user;
	uint32_t n_got = 0;
	fz_time until = soon();
	for (uint32_t turns = 0; n_got < FRAMES; turns++) {
		turn(e, FZ_IO_WAIT, until);
		n_got += e->turn->n_frames;
		if (turns == TURNS_MAX)
			die("frames were lost");
	}
}

static void prepare_write(void *user)
{
	struct ends *e = user;
	if (!e->is_tun)
		drain(e->far);
}

static void run_write(void *user)
{
	struct ends *e = user;
	e->turn->n_writes = FRAMES;
	turn(e, FZ_IO_FLUSH, FZ_NEVER);
	e->turn->n_writes = 0;
	for (uint32_t i = 0; i < FRAMES; i++)
		if (e->turn->writes[i].result < 0)
			die("a frame was not written");
}

static void fill_writes(struct ends *e)
{
	struct test_packet p = { .is_udp = true, .src = 1, .dst = 2, .payload_len = SEGMENT };
	size_t len = test_packet_write_frame(&p, 0, e->frame);
	for (uint32_t i = 0; i < FRAMES; i++) {
		e->iov[i] = (struct iovec){ e->frame, len };
		e->turn->writes[i] =
			(struct fz_io_write){ .iov = &e->iov[i], .n_iov = 1, .len = (uint32_t)len };
	}
}

/* A namespace of our own: nothing outside sees the devices, and they end with the program. */
static bool enter_netns(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return false;
	raise_link("lo", 0);
	return true;
}

void bench_io(struct bench *b)
{
	static const struct {
		const struct fz_backend_ops *ops;
		const char *receive, *send, *read_tun, *write_tun, *read_pair, *write_pair;
	} backends[] = {
		{ &fz_backend_uring, "uring receive", "uring send", "uring TUN read",
			"uring TUN write", "uring socket read", "uring socket write" },
		{ &fz_backend_epoll, "epoll receive", "epoll send", "epoll TUN read",
			"epoll TUN write", "epoll socket read", "epoll socket write" },
	};

	bool has_netns = enter_netns();
	for (size_t i = 0; i < FZ_ARRAY_LEN(backends); i++) {
		struct ends *e = new_ends(backends[i].ops, has_netns);
		if (!e)
			continue;
		fill_writes(e);
		const struct bench_case cases[] = {
			{ "io", backends[i].receive, SEGMENT, TRAINS * SEGMENTS, run_receive,
				prepare_receive, e },
			{ "io", backends[i].send, SEGMENT, TRAINS * SEGMENTS, run_send,
				prepare_send, e },
			{ "io", e->is_tun ? backends[i].read_tun : backends[i].read_pair, SEGMENT,
				FRAMES, run_read, prepare_read, e },
			{ "io", e->is_tun ? backends[i].write_tun : backends[i].write_pair, SEGMENT,
				FRAMES, run_write, prepare_write, e },
		};
		for (size_t c = 0; c < FZ_ARRAY_LEN(cases); c++)
			bench_add(b, &cases[c]);
	}
}
