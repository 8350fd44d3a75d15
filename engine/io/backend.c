/* What both backends share: their choice, and how much to read. */
#include "io/backend.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/clock.h"

#define TRY_FOR FZ_SECONDS(2)

int fz_io_kind_parse(const char *text, enum fz_io_kind *ret_kind)
{
	if (strcmp(text, "auto") == 0)
		*ret_kind = FZ_IO_AUTO;
	else if (strcmp(text, "uring") == 0)
		*ret_kind = FZ_IO_URING;
	else if (strcmp(text, "epoll") == 0)
		*ret_kind = FZ_IO_EPOLL;
	else
		return -EINVAL;
	return 0;
}

static const char *cause_of(int r)
{
	switch (-r) {
	case EPERM: return "forbidden by seccomp or kernel.io_uring_disabled";
	case ENOSYS: return "not in this kernel, or barred by a system-call filter";
	case ETIME: return "a ring can be made, but nothing ever completes on it";
	case ENOMEM: return "the locked-memory limit is too small";
	}
	return fz_strerror(r);
}

/* One turn of a ring that has nothing on it but an eventfd, written already: filters may bar making rings, or only using them. */
static int try_turn(struct fz_backend *b)
{
	FZ_CLEANUP(fz_freep) struct fz_io_turn *t = fz_new(struct fz_io_turn);
	if (!t)
		return -ENOMEM;
	fz_backend_uring.turn(b, FZ_IO_WAIT, fz_time_add(fz_clock_boot(), TRY_FOR), t);
	return t->fatal ? t->fatal : t->is_woken ? 0 : -ETIME;
}

static int try_uring(void)
{
	FZ_CLEANUP(fz_closep) int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct fz_io_params params = { .tun_fd = -1, .wake_fd = fd };
	struct fz_backend *b;
	int r = fz_backend_uring.new(&params, &b);
	if (r < 0)
		return r;
	r = try_turn(b);
	fz_backend_uring.free(b);
	return r;
}

const struct fz_backend_ops *fz_backend_fall_back(int cause)
{
	fz_log(FZ_LOG_WARNING, "io-uring-barred", "cause=\"%s\" using=epoll", cause_of(cause));
	return &fz_backend_epoll;
}

int fz_backend_choose(enum fz_io_kind kind, const struct fz_backend_ops **ret_ops)
{
	if (kind == FZ_IO_EPOLL) {
		*ret_ops = &fz_backend_epoll;
		return 0;
	}
	int r = try_uring();
	if (r == 0) {
		*ret_ops = &fz_backend_uring;
		return 0;
	}
	if (kind == FZ_IO_URING) {
		fz_log(FZ_LOG_ERR, "io-uring-barred",
			"cause=\"%s\" hint=\"use FIREZONE_IO=auto or epoll\"", cause_of(r));
		return r;
	}
	*ret_ops = fz_backend_fall_back(r);
	return 0;
}

void fz_io_write_frame(int tun_fd, struct fz_io_write *w, struct fz_io_counters *counters)
{
	ssize_t n = w->n_iov == 1 ? write(tun_fd, w->iov->iov_base, w->iov->iov_len)
				  : writev(tun_fd, w->iov, (int)w->n_iov);
	w->result = n < 0 ? -errno : (int)n;
	counters->system_calls++;
}

void fz_io_send_one(const struct fz_udp *udp, struct fz_udp_message *m, struct fz_io_send *s,
	struct fz_io_counters *counters)
{
	int fd = fz_udp_prepare_send(m, udp, &s->to, s->tos, s->data, s->segment);
	if (fd < 0) {
		s->result = -ENETUNREACH;
		return;
	}
	ssize_t n = sendmsg(fd, &m->hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
	s->result = n < 0 ? -errno : (int)n;
	counters->system_calls++;
}

bool fz_io_read_frame(int tun_fd, struct fz_io_turn *t, struct fz_io_counters *counters)
{
	struct fz_io_frame *f = &t->frames[t->n_frames];
	ssize_t n = read(tun_fd, f->buf.p, f->buf.n);
	counters->system_calls++;
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			t->fatal = -errno;
		return false;
	}
	f->len = (size_t)n;
	t->n_frames++;
	return true;
}

bool fz_io_read_frames(int tun_fd, struct fz_io_turn *t, struct fz_io_counters *counters)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < t->n_frames; i++)
		bytes += t->frames[i].len;
	while (t->n_frames < FZ_IO_FRAMES && bytes < FZ_IO_FRAME_BYTES) {
		if (!fz_io_read_frame(tun_fd, t, counters))
			return false;
		bytes += t->frames[t->n_frames - 1].len;
	}
	return true;
}
