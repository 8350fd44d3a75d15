/*
 * The io_uring backend: one enter carries all TUN writes, all UDP sends and the next reads of both. Reads are posted only where a
 * descriptor is known to be ready, with RWF_NOWAIT and MSG_DONTWAIT, so that none of them arms a poll of its own: one that waits
 * alone costs a wake-up each. Of the TUN they are as many as the last turn needed, up to a few; what is there beyond them is read
 * plainly. Polls are armed when a turn found nothing.
 *
 * While there is little to do (io/calm.h) turns are made of plain system calls and a ppoll: the ring's way through the kernel takes longer to
 * come back into the caches after a pause, and its wake-ups do not say that whoever wakes is about to sleep, so that the kernel
 * brings another processor out of its halt instead of going on where it is. Polls that the ring still has are woken meanwhile, and stay if nothing
 * is left for them.
 *
 * Kernels whose TUN does not know NOWAIT (before 6.4) would hand ring operations on it to worker threads: there the TUN is read and
 * written with plain system calls, and only polled by the ring.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/fd.h"
#include "io/backend.h"
#include "io/calm.h"
#include "io/clock.h"
#include "io/ring.h"

#define SQ_LEN 1024
#define CQ_LEN 4096
#define RING_FRAMES                                                                                \
	4 /* of a turn; large ones seldom are more, and small ones are read as quickly without the ring */

/* Also the places of their descriptors in the ring's table. */
enum source { SOURCE_TUN, SOURCE_V4, SOURCE_V6, SOURCE_WAKE, SOURCE_COUNT };

static_assert(
	CQ_LEN >= SQ_LEN + 2 * SOURCE_COUNT, "a turn and the polls beside it never overflow it");

#define NAP_NS 20'000 /* a wait that took no longer found what it waited for there already */

enum op { OP_WRITE, OP_SEND, OP_RECEIVE, OP_READ, OP_POLL, OP_CANCEL };

struct fz_backend {
	struct io_uring ring;
	bool has_ring, is_tun_plain;
	struct fz_io_params params;
	struct fz_udp udp;
	bool is_ready[SOURCE_COUNT], is_armed[SOURCE_COUNT];
	uint32_t generation; /* of the sockets: polls of older ones are ignored */
	uint32_t frames_wanted, datagrams_wanted; /* that the next enter asks for */
	struct fz_calm calm;
	uint32_t n_inflight; /* without polls */
	struct fz_io_counters counters;
	enum source receive_source[FZ_IO_DATAGRAMS];
	struct fz_udp_message in[FZ_IO_DATAGRAMS], out[FZ_IO_SENDS];
	int receive_result[FZ_IO_DATAGRAMS], read_result[RING_FRAMES];
};

static uint64_t tag(enum op op, uint32_t index)
{
	return (uint64_t)op << 32 | index;
}

/* After a prep function: descriptors are numbers in the ring's own table, which costs no reference on them per operation. */
static void finish_sqe(struct io_uring_sqe *sqe, enum op op, uint32_t index)
{
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = tag(op, index);
}

static struct io_uring_sqe *take_sqe(struct fz_backend *b)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
	if (!sqe) {
		(void)io_uring_submit(&b->ring);
		sqe = io_uring_get_sqe(&b->ring);
	}
	fz_assert(sqe); /* a submit empties the queue */
	return sqe;
}

/*
 * Does this kernel's TUN answer a NOWAIT read from the ring? EAGAIN says yes, as there is nothing to read yet. A read of
 * no length would be answered before the flag is looked at; one byte costs a packet at worst, before the tunnel is up.
 */
static bool tun_knows_nowait(struct fz_backend *b)
{
	uint8_t byte;
	struct iovec iov = { &byte, sizeof(byte) };
	ssize_t n = preadv2(b->params.tun_fd, &iov, 1, -1, RWF_NOWAIT);
	return n >= 0 || errno != EOPNOTSUPP;
}

static void uring_free(struct fz_backend *b);

static int uring_new(const struct fz_io_params *params, struct fz_backend **ret_backend)
{
	struct fz_backend *b = fz_new(struct fz_backend);
	if (!b)
		return -ENOMEM;
	b->params = *params;
	b->udp = (struct fz_udp){ .v4 = -1, .v6 = -1 };
	b->frames_wanted = 1;
	b->datagrams_wanted = 1;
	unsigned len = params->ring_len;
	int r = fz_ring_init(&b->ring, len ? len : SQ_LEN, len ? len : CQ_LEN);
	b->has_ring = r == 0;
	int files[SOURCE_COUNT] = { [SOURCE_TUN] = params->tun_fd,
		[SOURCE_V4] = -1,
		[SOURCE_V6] = -1,
		[SOURCE_WAKE] = params->wake_fd };
	if (r == 0)
		r = io_uring_register_files(&b->ring, files, SOURCE_COUNT);
	if (r < 0) {
		uring_free(b);
		return r;
	}
	b->is_tun_plain = params->tun_fd >= 0 && !tun_knows_nowait(b);
	*ret_backend = b;
	return 0;
}

/* ---- out ---- */

static void queue_writes(struct fz_backend *b, struct fz_io_turn *t)
{
	for (uint32_t i = 0; i < t->n_writes; i++) {
		struct fz_io_write *w = &t->writes[i];
		if (b->is_tun_plain) {
			fz_io_write_frame(b->params.tun_fd, w, &b->counters);
			continue;
		}
		struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
		if (!sqe) {
			w->result = -ENOBUFS;
			continue;
		}
		if (w->n_iov == 1)
			io_uring_prep_write(sqe, SOURCE_TUN, w->iov->iov_base, w->len, 0);
		else
			io_uring_prep_writev(sqe, SOURCE_TUN, w->iov, w->n_iov, 0);
		finish_sqe(sqe, OP_WRITE, i);
		b->n_inflight++;
	}
}

static void queue_sends(struct fz_backend *b, struct fz_io_turn *t)
{
	for (uint32_t i = 0; i < t->n_sends; i++) {
		struct fz_io_send *s = &t->sends[i];
		int fd = fz_udp_prepare_send(
			&b->out[i], &b->udp, &s->to, s->tos, s->data, s->segment);
		struct io_uring_sqe *sqe = fd < 0 ? NULL : io_uring_get_sqe(&b->ring);
		if (!sqe) {
			s->result = fd < 0 ? -ENETUNREACH : -ENOBUFS;
			continue;
		}
		/* Inline or not at all: a send that waited would be overtaken by the next. */
		io_uring_prep_sendmsg(sqe, fd == b->udp.v4 ? SOURCE_V4 : SOURCE_V6, &b->out[i].hdr,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		finish_sqe(sqe, OP_SEND, i);
		b->n_inflight++;
	}
}

/* ---- in ---- */

static void queue_receives(
	struct fz_backend *b, struct fz_io_turn *t, enum source source, int fd, uint32_t *n)
{
	if (fd < 0 || !b->is_ready[source])
		return;
	uint32_t most = fz_io_share(b->is_ready[SOURCE_V4] && b->is_ready[SOURCE_V6]);
	uint32_t wanted = b->datagrams_wanted < most ? b->datagrams_wanted : most;
	for (uint32_t i = 0; i < wanted && *n < FZ_IO_DATAGRAMS; i++, (*n)++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
		if (!sqe)
			return;
		fz_udp_prepare_receive(&b->in[*n], t->datagrams[*n].buf);
		b->receive_source[*n] = source;
		io_uring_prep_recvmsg(sqe, (int)source, &b->in[*n].hdr, MSG_DONTWAIT);
		finish_sqe(sqe, OP_RECEIVE, *n);
		b->n_inflight++;
	}
}

static uint32_t queue_reads(struct fz_backend *b, struct fz_io_turn *t)
{
	if (!b->is_ready[SOURCE_TUN] || b->is_tun_plain)
		return 0;
	uint32_t n = 0;
	for (; n < b->frames_wanted; n++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&b->ring);
		if (!sqe)
			break;
		struct fz_io_frame *f = &t->frames[n];
		io_uring_prep_read(sqe, SOURCE_TUN, f->buf.p, (unsigned)f->buf.n, 0);
		sqe->rw_flags = RWF_NOWAIT;
		finish_sqe(sqe, OP_READ, n);
		b->n_inflight++;
	}
	return n;
}

/* A poll is named by its source and, since it may be of sockets that are gone, by their generation. */
static uint64_t poll_tag(const struct fz_backend *b, enum source source)
{
	bool is_udp = source == SOURCE_V4 || source == SOURCE_V6;
	return tag(OP_POLL, (is_udp ? b->generation & 0xffffff : 0) << 8 | source);
}

static void take_poll(struct fz_backend *b, uint32_t index, int result)
{
	enum source source = index & 0xff;
	if (tag(OP_POLL, index) != poll_tag(b, source))
		return;
	b->is_armed[source] = false;
	if (result != -ECANCELED && (source != SOURCE_TUN || b->params.reads_tun))
		b->is_ready[source] = true;
}

static void take_completion(
	struct fz_backend *b, const struct io_uring_cqe *cqe, struct fz_io_turn *t)
{
	uint32_t index = (uint32_t)cqe->user_data;
	if (cqe->user_data >> 32 > OP_CANCEL)
		return; /* none of ours: the library's own timeouts, say */
	enum op op = (enum op)(cqe->user_data >> 32);
	if (op != OP_POLL && op != OP_CANCEL)
		b->n_inflight--;
	switch (op) {
	case OP_WRITE: t->writes[index].result = cqe->res; break;
	case OP_SEND: t->sends[index].result = cqe->res; break;
	case OP_RECEIVE: b->receive_result[index] = cqe->res; break;
	case OP_READ: b->read_result[index] = cqe->res; break;
	case OP_POLL: take_poll(b, index, cqe->res); break;
	case OP_CANCEL: break;
	}
}

static void reap(struct fz_backend *b, struct fz_io_turn *t)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;
	io_uring_for_each_cqe(&b->ring, head, cqe)
	{
		take_completion(b, cqe, t);
		n++;
	}
	io_uring_cq_advance(&b->ring, n);
	if (IO_URING_READ_ONCE(*b->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW)
		b->counters.overflows++;
}

/* Submits and waits until everything but polls has completed; all of it completes inline but for rare retries. */
static void settle(struct fz_backend *b, struct fz_io_turn *t)
{
	while (b->n_inflight > 0) {
		int r = io_uring_submit_and_wait(&b->ring, b->n_inflight);
		b->counters.system_calls++;
		reap(b, t);
		if (r < 0 && r != -EINTR && r != -EAGAIN && r != -EBUSY) {
			t->fatal = r;
			return;
		}
	}
}

static void collect_datagrams(struct fz_backend *b, struct fz_io_turn *t, uint32_t asked)
{
	for (uint32_t i = 0; i < asked; i++) {
		int r = b->receive_result[i];
		struct fz_io_datagrams *in = &t->datagrams[i], *to = &t->datagrams[t->n_datagrams];
		struct fz_udp_received info;
		if (r == -EAGAIN)
			b->is_ready[b->receive_source[i]] = false;
		if (r < 0 || !fz_udp_read_control(&b->in[i], (size_t)r, &info))
			continue;
		struct fz_span spare = to->buf;
		to->buf = in->buf;
		in->buf = spare;
		to->len = (size_t)r;
		to->info = info;
		t->n_datagrams++;
	}
	if (asked > 0)
		b->datagrams_wanted =
			t->n_datagrams == asked ? FZ_IO_DATAGRAMS : t->n_datagrams + 1;
}

static void collect_frames(struct fz_backend *b, struct fz_io_turn *t, uint32_t asked)
{
	for (uint32_t i = 0; i < asked; i++) {
		int r = b->read_result[i];
		if (r == -EAGAIN || r == -EINTR) {
			b->is_ready[SOURCE_TUN] = false;
		} else if (r < 0) {
			t->fatal = r;
		} else {
			/* A read that found nothing may stand between two that did. */
			struct fz_span spare = t->frames[t->n_frames].buf;
			t->frames[t->n_frames].buf = t->frames[i].buf;
			t->frames[i].buf = spare;
			t->frames[t->n_frames].len = (size_t)r;
			t->n_frames++;
		}
	}
}

/*
 * Beyond what the ring was asked for, which is no more than the last turn brought: a read that finds nothing costs almost as much
 * there as one that does, and a plain one ends the search.
 */
static void read_more(struct fz_backend *b, struct fz_io_turn *t)
{
	if (b->is_ready[SOURCE_TUN] && !t->fatal)
		b->is_ready[SOURCE_TUN] = fz_io_read_frames(b->params.tun_fd, t, &b->counters);
	b->frames_wanted = t->n_frames < RING_FRAMES ? t->n_frames : RING_FRAMES;
}

static void arm(struct fz_backend *b, enum source source, int fd)
{
	if (fd < 0 || b->is_armed[source])
		return;
	struct io_uring_sqe *sqe = take_sqe(b);
	io_uring_prep_poll_add(sqe, (int)source, POLLIN);
	finish_sqe(sqe, OP_POLL, (uint32_t)poll_tag(b, source));
	b->is_armed[source] = true;
}

/* A poll for every source that is not known to be ready. */
static void arm_idle(struct fz_backend *b)
{
	if (b->params.reads_tun && !b->is_ready[SOURCE_TUN])
		arm(b, SOURCE_TUN, b->params.tun_fd);
	if (b->params.reads_udp && !b->is_ready[SOURCE_V4])
		arm(b, SOURCE_V4, b->udp.v4);
	if (b->params.reads_udp && !b->is_ready[SOURCE_V6])
		arm(b, SOURCE_V6, b->udp.v6);
	if (!b->is_ready[SOURCE_WAKE])
		arm(b, SOURCE_WAKE, b->params.wake_fd);
}

static bool was_asleep(fz_time since)
{
	return fz_time_since(fz_clock_boot(), since).ns > NAP_NS;
}

/* True if it slept. */
static bool wait_by_ring(struct fz_backend *b, fz_time until, struct fz_io_turn *t)
{
	arm_idle(b);
	fz_time start = fz_clock_boot();
	uint64_t ns = fz_time_since(until, start).ns;
	bool is_forever = fz_time_is_never(until);
	struct __kernel_timespec ts = { .tv_sec = (int64_t)(ns / 1'000'000'000),
		.tv_nsec = (int64_t)(ns % 1'000'000'000) };
	struct io_uring_cqe *cqe;
	int r = io_uring_submit_and_wait_timeout(&b->ring, &cqe, 1, is_forever ? NULL : &ts, NULL);
	b->counters.system_calls++;
	b->counters.waits++;
	if (r < 0 && r != -ETIME && r != -EINTR && r != -EAGAIN && r != -EBUSY)
		t->fatal = r;
	reap(b, t);
	return was_asleep(start);
}

static void read_wake(struct fz_backend *b, struct fz_io_turn *t)
{
	uint64_t count;
	t->is_woken = read(b->params.wake_fd, &count, sizeof(count)) > 0;
	b->is_ready[SOURCE_WAKE] = false;
}

/* One enter for all that goes out and all reads that are worth it. */
static void exchange(struct fz_backend *b, struct fz_io_turn *t, bool with_input)
{
	uint32_t n_receives = 0, n_reads = 0;
	queue_writes(b, t);
	queue_sends(b, t);
	if (with_input) {
		queue_receives(b, t, SOURCE_V4, b->udp.v4, &n_receives);
		queue_receives(b, t, SOURCE_V6, b->udp.v6, &n_receives);
		n_reads = queue_reads(b, t);
	}
	settle(b, t);
	collect_datagrams(b, t, n_receives);
	collect_frames(b, t, n_reads);
	if (with_input)
		read_more(b, t);
	if (with_input && b->is_ready[SOURCE_WAKE])
		read_wake(b, t);
}

static bool has_input(const struct fz_io_turn *t)
{
	return t->n_datagrams + t->n_frames > 0 || t->is_woken;
}

/* True if it slept. */
static bool ring_turn(
	struct fz_backend *b, enum fz_io_mode mode, fz_time until, struct fz_io_turn *t)
{
	/* A source that keeps being ready must not hide the others: their polls ride along. */
	if (mode == FZ_IO_POLL)
		arm_idle(b);
	exchange(b, t, mode != FZ_IO_FLUSH);
	if (mode != FZ_IO_WAIT || has_input(t) || t->fatal)
		return false;
	bool has_slept = wait_by_ring(b, until, t);
	if (t->fatal)
		return has_slept;
	/* Outputs are done: only read now. */
	uint32_t n_sends = t->n_sends, n_writes = t->n_writes;
	t->n_sends = t->n_writes = 0;
	exchange(b, t, true);
	t->n_sends = n_sends;
	t->n_writes = n_writes;
	return has_slept;
}

/* ---- calm ---- */

/* What comes of one datagram or frame goes out before anybody looks for more: whether there is more, the next wait says. */
static void read_datagram(struct fz_backend *b, int fd, enum source source, struct fz_io_turn *t)
{
	if (fd < 0 || !b->is_ready[source])
		return;
	struct fz_io_datagrams *to = &t->datagrams[t->n_datagrams];
	fz_udp_prepare_receive(&b->in[0], to->buf);
	ssize_t n = recvmsg(fd, &b->in[0].hdr, MSG_DONTWAIT);
	b->counters.system_calls++;
	b->is_ready[source] = false;
	if (n < 0 || !fz_udp_read_control(&b->in[0], (size_t)n, &to->info))
		return;
	to->len = (size_t)n;
	t->n_datagrams++;
}

static void read_plainly(struct fz_backend *b, struct fz_io_turn *t)
{
	if (b->is_ready[SOURCE_WAKE])
		read_wake(b, t);
	read_datagram(b, b->udp.v4, SOURCE_V4, t);
	read_datagram(b, b->udp.v6, SOURCE_V6, t);
	if (b->is_ready[SOURCE_TUN])
		(void)fz_io_read_frame(b->params.tun_fd, t, &b->counters);
	b->is_ready[SOURCE_TUN] = false;
}

/* True if it slept, as calm_turn. */
static bool wait_by_ppoll(struct fz_backend *b, fz_time until, struct fz_io_turn *t)
{
	struct pollfd fds[SOURCE_COUNT] = {
		[SOURCE_TUN] = { .fd = b->params.reads_tun ? b->params.tun_fd : -1 },
		[SOURCE_V4] = { .fd = b->params.reads_udp ? b->udp.v4 : -1 },
		[SOURCE_V6] = { .fd = b->params.reads_udp ? b->udp.v6 : -1 },
		[SOURCE_WAKE] = { .fd = b->params.wake_fd },
	};
	for (int s = 0; s < SOURCE_COUNT; s++)
		fds[s].events = POLLIN;
	fz_time start = fz_clock_boot();
	uint64_t ns = fz_time_since(until, start).ns;
	struct timespec ts = { .tv_sec = (time_t)(ns / 1'000'000'000),
		.tv_nsec = (long)(ns % 1'000'000'000) };
	int n = ppoll(fds, SOURCE_COUNT, fz_time_is_never(until) ? NULL : &ts, NULL);
	b->counters.system_calls++;
	b->counters.waits++;
	if (n < 0 && errno != EINTR && errno != EAGAIN)
		t->fatal = -errno;
	for (int s = 0; n > 0 && s < SOURCE_COUNT; s++)
		b->is_ready[s] = b->is_ready[s] || fds[s].revents != 0;
	return was_asleep(start);
}

static bool calm_turn(
	struct fz_backend *b, enum fz_io_mode mode, fz_time until, struct fz_io_turn *t)
{
	for (uint32_t i = 0; i < t->n_writes; i++)
		fz_io_write_frame(b->params.tun_fd, &t->writes[i], &b->counters);
	for (uint32_t i = 0; i < t->n_sends; i++)
		fz_io_send_one(&b->udp, &b->out[i], &t->sends[i], &b->counters);
	if (mode == FZ_IO_FLUSH)
		return false;
	read_plainly(b, t);
	if (mode != FZ_IO_WAIT || has_input(t) || t->fatal)
		return false;
	bool has_slept = wait_by_ppoll(b, until, t);
	if (!t->fatal)
		read_plainly(b, t);
	return has_slept;
}

static void uring_turn(
	struct fz_backend *b, enum fz_io_mode mode, fz_time until, struct fz_io_turn *t)
{
	b->counters.turns++;
	t->n_datagrams = t->n_frames = 0;
	t->is_woken = false;
	bool is_calm = fz_calm_is(&b->calm, t);
	bool has_slept = is_calm ? calm_turn(b, mode, until, t) : ring_turn(b, mode, until, t);
	fz_calm_note(&b->calm, t, has_slept);
}

static void queue_cancel(struct fz_backend *b, uint64_t poll)
{
	struct io_uring_sqe *sqe = take_sqe(b);
	io_uring_prep_poll_remove(sqe, poll);
	finish_sqe(sqe, OP_CANCEL, 0);
}

/*
 * Ends the poll of a source and waits until it is gone: it holds a reference on the descriptor. One that was woken but has not yet looked
 * what for cannot be ended (EALREADY), and stays if there was nothing any more, as after calm turns: it is ended again.
 */
static void disarm(struct fz_backend *b, enum source source)
{
	if (!b->is_armed[source])
		return;
	uint64_t poll = poll_tag(b, source);
	bool is_asked = false;
	/* The poll completes, cancelled or because it fired just now; bounded, in case neither is seen. */
	for (int tries = 0; b->is_armed[source] && tries < 100; tries++) {
		if (!is_asked)
			queue_cancel(b, poll);
		is_asked = true;
		struct __kernel_timespec ts = { .tv_nsec = 10'000'000 };
		struct io_uring_cqe *cqe;
		(void)io_uring_submit_and_wait_timeout(&b->ring, &cqe, 1, &ts, NULL);
		b->counters.system_calls++;
		unsigned head, n = 0;
		io_uring_for_each_cqe(&b->ring, head, cqe)
		{
			uint64_t op = cqe->user_data >> 32;
			if (op == OP_POLL)
				take_poll(b, (uint32_t)cqe->user_data, cqe->res);
			else if (op == OP_CANCEL && cqe->res == -EALREADY)
				is_asked = false;
			n++;
		}
		io_uring_cq_advance(&b->ring, n);
	}
	b->is_armed[source] = false;
}

static void uring_free(struct fz_backend *b)
{
	if (!b)
		return;
	if (b->has_ring) {
		/* The kernel tears a ring down later, at its leisure: the device must be free when we return. */
		for (int s = 0; s < SOURCE_COUNT; s++)
			disarm(b, (enum source)s);
		static const int none[SOURCE_COUNT] = { -1, -1, -1, -1 };
		(void)io_uring_register_files_update(&b->ring, 0, none, SOURCE_COUNT);
		io_uring_queue_exit(&b->ring);
	}
	free(b);
}

static void uring_set_udp(struct fz_backend *b, const struct fz_udp *udp)
{
	disarm(b, SOURCE_V4);
	disarm(b, SOURCE_V6);
	b->generation++;
	b->udp = *udp;
	int files[2] = { udp->v4, udp->v6 };
	int r = io_uring_register_files_update(&b->ring, SOURCE_V4, files, 2);
	fz_assert(r == 2); /* open descriptors or none, into slots that are there */
	b->is_ready[SOURCE_V4] = b->params.reads_udp && udp->v4 >= 0;
	b->is_ready[SOURCE_V6] = b->params.reads_udp && udp->v6 >= 0;
}

static void uring_set_reads_tun(struct fz_backend *b, bool reads)
{
	if (!reads)
		disarm(b, SOURCE_TUN);
	b->params.reads_tun = reads;
	b->is_ready[SOURCE_TUN] = reads;
}

static const struct fz_io_counters *uring_counters(const struct fz_backend *b)
{
	return &b->counters;
}

const struct fz_backend_ops fz_backend_uring = {
	.name = "uring",
	.new = uring_new,
	.free = uring_free,
	.set_udp = uring_set_udp,
	.set_reads_tun = uring_set_reads_tun,
	.turn = uring_turn,
	.counters = uring_counters,
};
