/*
 * The epoll backend: writev and sendmmsg for what goes out, recvmmsg and read for what comes in, epoll_wait only when a turn found
 * nothing. Level-triggered; a descriptor is read without asking epoll for as long as the last read found something.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fd.h"
#include "io/backend.h"
#include "io/clock.h"

enum source { SOURCE_TUN, SOURCE_V4, SOURCE_V6, SOURCE_WAKE, SOURCE_COUNT };

struct fz_backend {
	int epoll_fd;
	struct fz_io_params params;
	struct fz_udp udp;
	bool is_ready[SOURCE_COUNT]; /* worth a read */
	struct fz_io_counters counters;
	struct fz_udp_message in[FZ_IO_DATAGRAMS], out[FZ_IO_SENDS];
	struct mmsghdr in_hdrs[FZ_IO_DATAGRAMS], out_hdrs[FZ_IO_SENDS];
};

static void epoll_free(struct fz_backend *b)
{
	if (!b)
		return;
	fz_closep(&b->epoll_fd);
	free(b);
}

static int watch(struct fz_backend *b, int fd, enum source source, uint32_t events)
{
	if (fd < 0)
		return 0;
	struct epoll_event ev = { .events = events, .data.u32 = source };
	return epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

/* Who does not read the TUN is told of its end all the same. */
static uint32_t tun_events(bool reads)
{
	return reads ? EPOLLIN : 0;
}

static int epoll_new(const struct fz_io_params *params, struct fz_backend **ret_backend)
{
	struct fz_backend *b = fz_new(struct fz_backend);
	if (!b)
		return -ENOMEM;
	b->params = *params;
	b->udp = (struct fz_udp){ .v4 = -1, .v6 = -1 };
	b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int r = b->epoll_fd < 0 ? -errno : watch(b, params->wake_fd, SOURCE_WAKE, EPOLLIN);
	if (r == 0)
		r = watch(b, params->tun_fd, SOURCE_TUN, tun_events(params->reads_tun));
	if (r < 0) {
		epoll_free(b);
		return r;
	}
	*ret_backend = b;
	return 0;
}

static void epoll_set_reads_tun(struct fz_backend *b, bool reads)
{
	struct epoll_event ev = { .events = tun_events(reads), .data.u32 = SOURCE_TUN };
	int r = epoll_ctl(b->epoll_fd, EPOLL_CTL_MOD, b->params.tun_fd, &ev);
	fz_assert(r == 0); /* takes no memory, unlike adding it */
	b->params.reads_tun = reads;
	b->is_ready[SOURCE_TUN] = reads;
}

static void epoll_set_udp(struct fz_backend *b, const struct fz_udp *udp)
{
	if (b->params.reads_udp) {
		if (b->udp.v4 >= 0)
			(void)epoll_ctl(b->epoll_fd, EPOLL_CTL_DEL, b->udp.v4, NULL);
		if (b->udp.v6 >= 0)
			(void)epoll_ctl(b->epoll_fd, EPOLL_CTL_DEL, b->udp.v6, NULL);
		int r4 = watch(b, udp->v4, SOURCE_V4, EPOLLIN);
		int r6 = watch(b, udp->v6, SOURCE_V6, EPOLLIN);
		(void)(r4 +
			r6); /* descriptors just made cannot be refused but for memory; then they stay silent */
	}
	b->udp = *udp;
	b->is_ready[SOURCE_V4] = b->params.reads_udp && udp->v4 >= 0;
	b->is_ready[SOURCE_V6] = b->params.reads_udp && udp->v6 >= 0;
}

/* ---- out ---- */

static int prepare_send(struct fz_backend *b, const struct fz_io_turn *t, uint32_t i)
{
	const struct fz_io_send *s = &t->sends[i];
	int fd = fz_udp_prepare_send(&b->out[i], &b->udp, &s->to, s->tos, s->data, s->segment);
	b->out_hdrs[i].msg_hdr = b->out[i].hdr;
	return fd;
}

/* All that follow each other to one socket. The call ends before a message that is refused; its error is what the next one says. */
static void send_run(
	struct fz_backend *b, struct fz_io_turn *t, int fd, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end;) {
		int n = -1;
		if (fd >= 0) {
			n = sendmmsg(fd, b->out_hdrs + i, end - i, MSG_DONTWAIT | MSG_NOSIGNAL);
			b->counters.system_calls++;
		}
		if (n <= 0)
			t->sends[i++].result = fd < 0 ? -ENETUNREACH : -errno;
		for (int k = 0; k < n; k++, i++)
			t->sends[i].result = (int)b->out_hdrs[i].msg_len;
	}
}

static void write_out(struct fz_backend *b, struct fz_io_turn *t)
{
	for (uint32_t i = 0; i < t->n_writes; i++)
		fz_io_write_frame(b->params.tun_fd, &t->writes[i], &b->counters);
	for (uint32_t i = 0; i < t->n_sends;) {
		int fd = prepare_send(b, t, i);
		uint32_t end = i + 1;
		while (end < t->n_sends && prepare_send(b, t, end) == fd)
			end++;
		send_run(b, t, fd, i, end);
		i = end;
	}
}

/* ---- in ---- */

static void read_udp(struct fz_backend *b, int fd, enum source source, struct fz_io_turn *t)
{
	uint32_t most = fz_io_share(b->is_ready[SOURCE_V4] && b->is_ready[SOURCE_V6]);
	uint32_t room = FZ_IO_DATAGRAMS - t->n_datagrams;
	room = room < most ? room : most;
	if (fd < 0 || !b->is_ready[source] || room == 0)
		return;
	for (uint32_t i = 0; i < room; i++) {
		fz_udp_prepare_receive(&b->in[i], t->datagrams[t->n_datagrams + i].buf);
		b->in_hdrs[i].msg_hdr = b->in[i].hdr;
	}
	int n = recvmmsg(fd, b->in_hdrs, room, MSG_DONTWAIT, NULL);
	b->counters.system_calls++;
	if (n < (int)room)
		b->is_ready[source] =
			n < 0 && errno != EAGAIN; /* a pending socket error is taken by the read */
	uint32_t first = t->n_datagrams;
	for (int i = 0; i < n; i++) {
		struct fz_io_datagrams *in = &t->datagrams[first + (uint32_t)i],
				       *to = &t->datagrams[t->n_datagrams];
		b->in[i].hdr = b->in_hdrs[i].msg_hdr;
		size_t len = b->in_hdrs[i].msg_len;
		struct fz_udp_received info;
		if (!fz_udp_read_control(&b->in[i], len, &info))
			continue;
		/* Buffers change places rather than contents if one before was refused. */
		struct fz_span spare = to->buf;
		to->buf = in->buf;
		in->buf = spare;
		to->len = len;
		to->info = info;
		t->n_datagrams++;
	}
}

static void read_tun(struct fz_backend *b, struct fz_io_turn *t)
{
	b->is_ready[SOURCE_TUN] = fz_io_read_frames(b->params.tun_fd, t, &b->counters);
}

static void read_wake(struct fz_backend *b, struct fz_io_turn *t)
{
	uint64_t count;
	t->is_woken = read(b->params.wake_fd, &count, sizeof(count)) > 0;
	b->is_ready[SOURCE_WAKE] = false;
}

static void read_all(struct fz_backend *b, struct fz_io_turn *t)
{
	if (b->is_ready[SOURCE_WAKE])
		read_wake(b, t);
	read_udp(b, b->udp.v4, SOURCE_V4, t);
	read_udp(b, b->udp.v6, SOURCE_V6, t);
	if (b->is_ready[SOURCE_TUN])
		read_tun(b, t);
}

static int timeout_ms(fz_time until)
{
	if (fz_time_is_never(until))
		return -1;
	uint64_t ns = fz_time_since(until, fz_clock_boot()).ns, ms = (ns + 999'999) / 1'000'000;
	return ms > 60'000 ? 60'000 : (int)ms;
}

static void wait_for_input(struct fz_backend *b, int timeout, struct fz_io_turn *t)
{
	struct epoll_event events[SOURCE_COUNT];
	int n = epoll_wait(b->epoll_fd, events, SOURCE_COUNT, timeout);
	b->counters.system_calls++;
	b->counters.waits++;
	for (int i = 0; i < n; i++) {
		b->is_ready[events[i].data.u32] = true;
		if (events[i].data.u32 == SOURCE_TUN && (events[i].events & (EPOLLERR | EPOLLHUP)))
			t->fatal = -EBADFD;
	}
}

static bool all_ready(const struct fz_backend *b)
{
	bool tun = !b->params.reads_tun || b->is_ready[SOURCE_TUN];
	bool v4 = !b->params.reads_udp || b->udp.v4 < 0 || b->is_ready[SOURCE_V4];
	bool v6 = !b->params.reads_udp || b->udp.v6 < 0 || b->is_ready[SOURCE_V6];
	return tun && v4 && v6;
}

static void epoll_turn(
	struct fz_backend *b, enum fz_io_mode mode, fz_time until, struct fz_io_turn *t)
{
	b->counters.turns++;
	write_out(b, t);
	t->n_datagrams = t->n_frames = 0;
	t->is_woken = false;
	if (mode == FZ_IO_FLUSH)
		return;
	/* A source that keeps being ready must not hide the others. */
	if (mode == FZ_IO_POLL && !all_ready(b))
		wait_for_input(b, 0, t);
	read_all(b, t);
	if (mode == FZ_IO_POLL || t->n_datagrams + t->n_frames > 0 || t->is_woken || t->fatal)
		return;
	wait_for_input(b, timeout_ms(until), t);
	if (!t->fatal)
		read_all(b, t);
}

static const struct fz_io_counters *epoll_counters(const struct fz_backend *b)
{
	return &b->counters;
}

const struct fz_backend_ops fz_backend_epoll = {
	.name = "epoll",
	.new = epoll_new,
	.free = epoll_free,
	.set_udp = epoll_set_udp,
	.set_reads_tun = epoll_set_reads_tun,
	.turn = epoll_turn,
	.counters = epoll_counters,
};
