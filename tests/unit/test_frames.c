/* Reading a TUN with plain system calls (io/backend.h): what is there, and not more than a turn has room for. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "io/backend.h"
#include "support/test.h"

/* In place of a TUN: each message is a frame, and a read takes one. */
struct frames {
	int near, far;
	struct fz_io_turn *turn;
	struct fz_io_counters counters;
};

static void open_frames(struct frames *f)
{
	int pair[2], room = 4 << 20;
	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	*f = (struct frames){ .near = pair[0], .far = pair[1] };
	CHECK_INT(setsockopt(f->far, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) &&
			  setsockopt(f->far, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)),
		0);
	f->turn = calloc(1, sizeof(*f->turn));
	for (size_t i = 0; i < FZ_IO_FRAMES; i++)
		f->turn->frames[i].buf = fz_span_of(malloc(FZ_IO_SLAB_LEN), FZ_IO_SLAB_LEN);
}

static void close_frames(struct frames *f)
{
	for (size_t i = 0; i < FZ_IO_FRAMES; i++)
		free(f->turn->frames[i].buf.p);
	free(f->turn);
	fz_closep(&f->near);
	fz_closep(&f->far);
}

static void put_frames(struct frames *f, uint32_t n, size_t len)
{
	static uint8_t bytes[FZ_IO_SLAB_LEN];
	for (uint32_t i = 0; i < n; i++) {
		bytes[0] = (uint8_t)i;
		CHECK_INT(send(f->far, bytes, len, 0), (ssize_t)len);
	}
}

TEST(read_frames, takes_what_is_there_and_says_when_that_was_all)
{
	struct frames f;
	open_frames(&f);
	put_frames(&f, 3, 100);
	f.turn->n_frames = 1; /* by the ring, before */
	CHECK(!fz_io_read_frames(f.near, f.turn, &f.counters));
	CHECK_UINT(f.turn->n_frames, 4);
	for (uint32_t i = 1; i < 4; i++) {
		CHECK_UINT(f.turn->frames[i].buf.p[0], i - 1);
		CHECK_UINT(f.turn->frames[i].len, 100);
	}
	CHECK_INT(f.turn->fatal, 0);
	CHECK_UINT(f.counters.system_calls, 4);
	close_frames(&f);
}

TEST(read_frames, leaves_the_rest_to_the_next_turn)
{
	struct frames f;
	open_frames(&f);
	put_frames(&f, FZ_IO_FRAMES + 2, 60);
	CHECK(fz_io_read_frames(f.near, f.turn, &f.counters));
	CHECK_UINT(f.turn->n_frames, FZ_IO_FRAMES);
	f.turn->n_frames = 0;
	CHECK(!fz_io_read_frames(f.near, f.turn, &f.counters));
	CHECK_UINT(f.turn->n_frames, 2);
	close_frames(&f);
}

TEST(read_frames, takes_few_large_ones)
{
	struct frames f;
	open_frames(&f);
	put_frames(&f, 6, 65'000);
	CHECK(fz_io_read_frames(f.near, f.turn, &f.counters));
	CHECK_UINT(f.turn->n_frames, FZ_IO_FRAME_BYTES / 65'000 + 1);
	close_frames(&f);
}

TEST(read_frames, says_that_the_device_is_gone)
{
	struct frames f;
	open_frames(&f);
	CHECK(!fz_io_read_frames(-1, f.turn, &f.counters));
	CHECK_INT(f.turn->fatal, -EBADF);
	close_frames(&f);
}
