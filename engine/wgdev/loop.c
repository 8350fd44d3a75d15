/* epoll(7). Level-triggered sources that stay ready come back in turn, so nobody starves. */
#include "wgdev/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fd.h"
#include "io/clock.h"

int wgdev_loop_init(struct wgdev_loop *l)
{
	l->fd = epoll_create1(EPOLL_CLOEXEC);
	return l->fd < 0 ? -errno : 0;
}

void wgdev_loop_done(struct wgdev_loop *l)
{
	fz_closep(&l->fd);
}

int wgdev_loop_add(struct wgdev_loop *l, struct wgdev_source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data = { .ptr = s } };
	return epoll_ctl(l->fd, EPOLL_CTL_ADD, s->fd, &e) == 0 ? 0 : -errno;
}

void wgdev_loop_change(struct wgdev_loop *l, struct wgdev_source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data = { .ptr = s } };
	int r = epoll_ctl(l->fd, EPOLL_CTL_MOD, s->fd, &e);
	fz_assert(r == 0);
}

void wgdev_loop_remove(struct wgdev_loop *l, struct wgdev_source *s)
{
	int r = epoll_ctl(l->fd, EPOLL_CTL_DEL, s->fd, NULL);
	fz_assert(r == 0);
}

static int timeout_ms(fz_time until)
{
	if (fz_time_is_never(until))
		return -1;
	uint64_t ms = (fz_time_since(until, fz_clock_boot()).ns + 999'999) / 1'000'000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

int wgdev_loop_turn(struct wgdev_loop *l, fz_time until)
{
	struct epoll_event e;
	int n = epoll_wait(l->fd, &e, 1, timeout_ms(until));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n > 0) {
		struct wgdev_source *s = e.data.ptr;
		s->ready(s->user, e.events);
	}
	return 0;
}
