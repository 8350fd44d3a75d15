/*
 * The kernel's driver compares at every packet; here the routing table is asked (RTM_GETROUTE with source and mark) when
 * it has changed. The device is not locked while it is: peers are removed by this thread alone.
 */
#include "wgdev/routes.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "wgdev/netlink.h"

#define PEERS_PER_LOCK 64
#define RTMGRP_IPV6_RULE                                                                           \
	(1u << (RTNLGRP_IPV6_RULE - 1)) /* headers have such a name for IPv4 only */

struct wgdev_routes {
	struct fz_plane *plane;
	struct wg_device *device;
	int events_fd;
	struct wgdev_netlink netlink;
};

struct sourced {
	struct wg_peer *peer;
	struct wg_endpoint at;
};

void wgdev_routes_free(struct wgdev_routes *r)
{
	if (!r)
		return;
	fz_closep(&r->events_fd);
	fz_closep(&r->netlink.fd);
	free(r);
}

int wgdev_routes_new(
	struct fz_plane *plane, struct wg_device *device, struct wgdev_routes **ret_routes)
{
	struct wgdev_routes *r = fz_new(struct wgdev_routes);
	if (!r)
		return -ENOMEM;
	r->plane = plane;
	r->device = device;
	r->events_fd =
		wgdev_netlink_open(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR |
					   RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_RULE | RTMGRP_IPV6_RULE,
			SOCK_NONBLOCK);
	r->netlink.fd = wgdev_netlink_open(0, 0);
	int bad = r->events_fd < 0 ? r->events_fd : r->netlink.fd < 0 ? r->netlink.fd : 0;
	if (bad < 0)
		wgdev_routes_free(r);
	else
		*ret_routes = r;
	return bad;
}

int wgdev_routes_fd(const struct wgdev_routes *r)
{
	return r->events_fd;
}

static int take_interface_attr(const struct nlattr *a, void *user)
{
	uint32_t *ifindex = user;
	if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
		*ifindex = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int take_interface(const struct nlmsghdr *h, void *user)
{
	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	return mnl_attr_parse(h, sizeof(struct rtmsg), take_interface_attr, user);
}

/* True unless a packet from that source would leave where the peer was heard. */
static bool is_contradicted(struct wgdev_routes *r, const struct wg_endpoint *at, uint32_t mark)
{
	char buf[256];
	size_t len = fz_ip_len(&at->remote.ip);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = RTM_GETROUTE;
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = at->remote.ip.family == FZ_IP4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = m->rtm_src_len = (uint8_t)(len * 8);
	mnl_attr_put(h, RTA_DST, len, at->remote.ip.b);
	mnl_attr_put(h, RTA_SRC, len, at->local.b);
	if (mark)
		mnl_attr_put_u32(h, RTA_MARK, mark);
	if (at->remote.scope)
		mnl_attr_put_u32(h, RTA_OIF, at->remote.scope);
	uint32_t ifindex = 0;
	int bad = wgdev_netlink_ask(&r->netlink, h, take_interface, &ifindex);
	return bad < 0 || (at->ifindex != 0 && ifindex != at->ifindex);
}

/* The next few peers with a source, from behind `*at` on; false if there are no more peers. */
static bool collect(struct wgdev_routes *r, const struct wg_peer **at,
	struct sourced found[static PEERS_PER_LOCK], size_t *ret_n)
{
	const struct wg_peer *last = *at;
	size_t n = 0;
	fz_plane_lock(r->plane);
	for (int i = 0; i < PEERS_PER_LOCK; i++) {
		struct wg_peer *p = wg_device_next_peer(r->device, last);
		if (!p) {
			last = NULL;
			break;
		}
		last = p;
		found[n].peer = p;
		if (wg_peer_endpoint(p, &found[n].at) &&
			found[n].at.local.family == found[n].at.remote.ip.family)
			n++;
	}
	fz_plane_unlock(r->plane);
	*at = last;
	*ret_n = n;
	return last != NULL;
}

static void forget(struct wgdev_routes *r, const struct sourced *s)
{
	struct wg_endpoint now;
	fz_plane_lock(r->plane);
	/* Unless it was heard elsewhere meanwhile. */
	if (wg_peer_endpoint(s->peer, &now) && fz_ip_equal(&now.local, &s->at.local) &&
		now.ifindex == s->at.ifindex)
		wg_peer_clear_source(s->peer);
	fz_plane_unlock(r->plane);
}

void wgdev_routes_read(struct wgdev_routes *r, uint32_t mark)
{
	wgdev_netlink_drain(&r->netlink, r->events_fd);
	const struct wg_peer *at = NULL;
	bool has_more = true;
	while (has_more) {
		struct sourced found[PEERS_PER_LOCK];
		size_t n;
		has_more = collect(r, &at, found, &n);
		for (size_t i = 0; i < n; i++)
			if (is_contradicted(r, &found[i].at, mark))
				forget(r, &found[i]);
	}
}
