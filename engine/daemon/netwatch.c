/* What rtnetlink says is a reason to look, not believed in itself: everything is read anew, once for a burst. */
#include "daemon/netwatch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "control/io/sock.h"

#define SETTLE FZ_MILLISECONDS(500)

struct fz_netwatch {
	sd_event *event;
	fz_netwatch_fn changed;
	void *user;
	int fd;
	sd_event_source *io, *timer;
	uint32_t ignored;
	size_t n_attached, n_defaults;
	struct fz_route attached[FZ_NETWATCH_ATTACHED_MAX];
	uint32_t defaults[16]; /* interfaces */
	uint64_t print; /* of the ways out */
};

static bool is_way_out(const struct fz_netwatch *w, uint32_t ifindex)
{
	for (size_t i = 0; i < w->n_defaults; i++)
		if (w->defaults[i] == ifindex)
			return true;
	return false;
}

/* IPv6 routes have no scope: attached is what has no gateway, which fz_route_seen says by its scope for both. */
static int see_route(void *user, const struct fz_route_seen *seen)
{
	struct fz_netwatch *w = user;
	const struct fz_route *r = &seen->route;
	if (r->table != RT_TABLE_MAIN || seen->type != RTN_UNICAST || r->ifindex == 0 ||
		r->ifindex == w->ignored || seen->protocol == FZ_RTNL_PROTOCOL)
		return 0;
	if (r->to.bits == 0) {
		if (w->n_defaults < FZ_ARRAY_LEN(w->defaults) && !is_way_out(w, r->ifindex))
			w->defaults[w->n_defaults++] = r->ifindex;
	} else if (seen->scope == RT_SCOPE_LINK ||
		   (r->to.ip.family == FZ_IP6 && seen->protocol == RTPROT_KERNEL)) {
		if (w->n_attached < FZ_NETWATCH_ATTACHED_MAX)
			w->attached[w->n_attached++] = *r;
	}
	return 0;
}

static int see_address(void *user, uint32_t ifindex, const struct fz_prefix *a)
{
	struct fz_netwatch *w = user;
	/* IPv6 has addresses for a day each: their coming and going is no move. */
	if (a->ip.family != FZ_IP4 || !is_way_out(w, ifindex))
		return 0;
	uint64_t sum = ifindex;
	for (size_t i = 0; i < 4; i++)
		sum = sum * 257 + a->ip.b[i];
	w->print += sum * UINT64_C(0x9e3779b97f4a7c15); /* in any order */
	return 0;
}

static int look(struct fz_netwatch *w)
{
	struct fz_rtnl *rtnl;
	int r = fz_rtnl_new(&rtnl);
	if (r < 0)
		return r;
	w->n_attached = w->n_defaults = 0;
	w->print = 0;
	r = fz_rtnl_each_route(rtnl, see_route, w);
	for (size_t i = 0; i < w->n_defaults; i++)
		w->print += w->defaults[i] * UINT64_C(0x9e3779b97f4a7c15);
	if (r == 0)
		r = fz_rtnl_each_address(rtnl, see_address, w);
	fz_rtnl_free(rtnl);
	return r;
}

static int on_settled(sd_event_source *source, uint64_t usec, void *user)
{
	(void)source;
	(void)usec;
	struct fz_netwatch *w = user;
	uint64_t before = w->print;
	if (look(w) == 0)
		w->changed(w->user, w->print != before);
	return 0;
}

static int on_netlink(sd_event_source *source, int fd, uint32_t events, void *user)
{
	(void)source;
	(void)events;
	struct fz_netwatch *w = user;
	uint8_t buf[1024]; /* what does not fit is cut off */
	/* What it says does not matter, nor what was lost: everything is looked at again. Bounded, the rest comes next turn. */
	for (unsigned i = 0; i < 64; i++)
		if (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
			break;
	int enabled = SD_EVENT_OFF;
	if (w->timer)
		(void)sd_event_source_get_enabled(w->timer, &enabled);
	/* From the first of a burst: a network that never rests is looked at all the same. */
	if (enabled == SD_EVENT_OFF)
		return fzp_timer_set(
			w->event, &w->timer, fz_time_add(fzp_now().at, SETTLE), on_settled, w);
	return 0;
}

void fz_netwatch_free(struct fz_netwatch *w)
{
	if (!w)
		return;
	fzp_source_freep(&w->io);
	fzp_source_freep(&w->timer);
	fz_closep(&w->fd);
	sd_event_unref(w->event);
	free(w);
}

static int listen_to_netlink(struct fz_netwatch *w)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE };
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->fd < 0 || bind(w->fd, (const struct sockaddr *)(const void *)&nl, sizeof(nl)) < 0)
		return -errno;
	return sd_event_add_io(w->event, &w->io, w->fd, EPOLLIN, on_netlink, w);
}

int fz_netwatch_new(
	sd_event *event, fz_netwatch_fn changed, void *user, struct fz_netwatch **ret_watch)
{
	struct fz_netwatch *w = fz_new(struct fz_netwatch);
	if (!w)
		return -ENOMEM;
	w->fd = -1;
	w->event = sd_event_ref(event);
	w->changed = changed;
	w->user = user;
	int r = listen_to_netlink(w);
	if (r >= 0)
		r = look(w);
	if (r < 0) {
		fz_netwatch_free(w);
		return r;
	}
	*ret_watch = w;
	return 0;
}

void fz_netwatch_ignore(struct fz_netwatch *w, uint32_t ifindex)
{
	w->ignored = ifindex;
}

size_t fz_netwatch_attached(const struct fz_netwatch *w, const struct fz_route **ret_routes)
{
	*ret_routes = w->attached;
	return w->n_attached;
}

bool fz_netwatch_has_way_out(const struct fz_netwatch *w)
{
	return w->n_defaults > 0;
}
