/* A backend alone, without a plane: its sockets, its wake-up and a turn, in a network namespace of the test's own. */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/backend.h"
#include "io/clock.h"
#include "support/test.h"
#include "unit/links.h"

static inline void enter_netns(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		TEST_SKIP("needs root for a network namespace");
	set_link("lo", 0);
}

static inline struct wg_endpoint at_port(const char *text, uint16_t port)
{
	struct wg_endpoint e = { 0 };
	CHECK_INT(fz_ip_parse(text, &e.remote.ip), 0);
	e.remote.port = port;
	return e;
}

struct ends {
	const struct fz_backend_ops *ops;
	struct fz_udp udp;
	int wake;
	struct fz_backend *b;
	struct fz_io_turn *t;
};

static inline struct ends make_ends_with(
	const struct fz_backend_ops *ops, int tun_fd, unsigned ring_len)
{
	struct ends e = { .ops = ops, .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	struct fz_io_params params = { .tun_fd = tun_fd,
		.wake_fd = e.wake,
		.reads_udp = true,
		.reads_tun = tun_fd >= 0,
		.ring_len = ring_len };
	CHECK_INT(fz_udp_open(0, 0, &e.udp), 0);
	int r = ops->new (&params, &e.b);
	if (r == -EPERM || r == -ENOSYS)
		TEST_SKIP("io_uring is barred here");
	CHECK_INT(r, 0);
	ops->set_udp(e.b, &e.udp);
	e.t = calloc(1, sizeof(*e.t));
	for (size_t i = 0; i < FZ_IO_DATAGRAMS; i++)
		e.t->datagrams[i].buf = fz_span_of(malloc(FZ_IO_SLAB_LEN), FZ_IO_SLAB_LEN);
	for (size_t i = 0; i < FZ_IO_FRAMES; i++)
		e.t->frames[i].buf = fz_span_of(malloc(FZ_IO_SLAB_LEN), FZ_IO_SLAB_LEN);
	return e;
}

static inline struct ends make_ends(const struct fz_backend_ops *ops, int tun_fd)
{
	return make_ends_with(ops, tun_fd, 0);
}

static inline void free_ends(struct ends *e)
{
	e->ops->free(e->b);
	for (size_t i = 0; i < FZ_IO_DATAGRAMS; i++)
		free(e->t->datagrams[i].buf.p);
	for (size_t i = 0; i < FZ_IO_FRAMES; i++)
		free(e->t->frames[i].buf.p);
	free(e->t);
	fz_udp_close(&e->udp);
	close(e->wake);
}

static inline fz_time soon(void)
{
	return fz_time_add(fz_clock_boot(), FZ_SECONDS(5));
}
