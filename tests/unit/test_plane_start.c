/* A plane that starts where a ring can be made, but not one for each lane (the linker puts its backends in between). */
#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "io/backend.h"
#include "io/plane.h"
#include "io/rng.h"
#include "support/test.h"

static int no_memory(const struct fz_io_params *params, struct fz_backend **ret_backend)
{
	(void)params;
	(void)ret_backend;
	return -ENOMEM;
}

int __wrap_fz_backend_choose(enum fz_io_kind kind, const struct fz_backend_ops **ret_ops);

int __wrap_fz_backend_choose(enum fz_io_kind kind, const struct fz_backend_ops **ret_ops)
{
	static struct fz_backend_ops scarce;
	(void)kind;
	scarce = fz_backend_uring;
	scarce.new = no_memory;
	*ret_ops = &scarce;
	return 0;
}

static int start(enum fz_io_kind io, const char *want_io)
{
	struct wg_device_params params = { .random = fz_rng_fill };
	struct fz_plane *plane;
	int tun[2];
	CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, tun), 0);
	struct fz_plane_params pp = {
		.device = wg_device_new(&params), .tun = { .fd = tun[0] }, .io = io, .threads = 2
	};
	CHECK(pp.device);
	CHECK_INT(fz_plane_new(&pp, &plane), 0);
	int r = fz_plane_start(plane);
	if (r == 0) {
		CHECK_STR(fz_plane_io_name(plane), want_io);
		fz_plane_stop(plane);
	}
	fz_plane_free(plane);
	wg_device_free(pp.device);
	fz_closep(&tun[0]);
	fz_closep(&tun[1]);
	return r;
}

TEST(plane_start, takes_epoll_if_there_is_no_memory_for_the_rings)
{
	CHECK_INT(start(FZ_IO_AUTO, "epoll"), 0);
}

TEST(plane_start, fails_if_rings_were_asked_for)
{
	CHECK_INT(start(FZ_IO_URING, ""), -ENOMEM);
}
