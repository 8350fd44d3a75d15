/*
 * rtnetlink(7), netlink(7). Events are only a hint to ask: their order relative to our questions does not matter, a
 * lost one (ENOBUFS) is like any other, and the answer to RTM_GETLINK is the state. Where the link is, the TUN's own
 * descriptor says (TUNGETDEVNETNS).
 */
#include "wgdev/link.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "wgdev/netlink.h"

#define HERE    (-1) /* namespace id of our own */
#define NOWHERE (-2) /* a namespace we can't see into */

struct wgdev_link {
	struct fz_tun tun;
	int events_fd;
	struct wgdev_netlink netlink;
	bool sees_all;
	dev_t home_dev;
	ino_t home_ino;
	dev_t at_dev; /* namespace that `nsid` stands for */
	ino_t at_ino;
	int nsid;
	struct wgdev_link_state last;
};

void wgdev_link_free(struct wgdev_link *l)
{
	if (!l)
		return;
	fz_closep(&l->events_fd);
	fz_closep(&l->netlink.fd);
	free(l);
}

int wgdev_link_new(const struct fz_tun *tun, struct wgdev_link **ret_link)
{
	struct wgdev_link *l = fz_new(struct wgdev_link);
	if (!l)
		return -ENOMEM;
	l->tun = *tun;
	l->nsid = HERE;
	l->events_fd = wgdev_netlink_open(RTMGRP_LINK, SOCK_NONBLOCK);
	l->netlink.fd = wgdev_netlink_open(0, 0);
	struct stat st;
	int r = l->events_fd < 0 ? l->events_fd : l->netlink.fd < 0 ? l->netlink.fd : 0;
	if (r == 0 && stat("/proc/thread-self/ns/net", &st) == 0) {
		l->home_dev = st.st_dev;
		l->home_ino = st.st_ino;
	}
	if (r < 0) {
		wgdev_link_free(l);
		return r;
	}
	int on = 1;
	l->sees_all = setsockopt(l->events_fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on,
			      sizeof(on)) == 0;
	/* Checked answers name the namespace they speak about; old kernels lack it. */
	(void)setsockopt(l->netlink.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	*ret_link = l;
	return 0;
}

int wgdev_link_fd(const struct wgdev_link *l)
{
	return l->events_fd;
}

/* ---- questions ---- */

static int take_nsid_attr(const struct nlattr *a, void *user)
{
	int *nsid = user;
	if (mnl_attr_get_type(a) == NETNSA_NSID && mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
		*nsid = (int)mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int take_nsid(const struct nlmsghdr *h, void *user)
{
	return mnl_attr_parse(h, sizeof(struct rtgenmsg), take_nsid_attr, user);
}

/* Our id for the namespace behind fd; one is made if there is none yet. */
static int nsid_of(struct wgdev_link *l, int fd, int *ret_nsid)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		char buf[256];
		struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
		h->nlmsg_type = RTM_GETNSID;
		struct rtgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
		g->rtgen_family = AF_UNSPEC;
		mnl_attr_put_u32(h, NETNSA_FD, (uint32_t)fd);
		int nsid = -1;
		int r = wgdev_netlink_ask(&l->netlink, h, take_nsid, &nsid);
		if (r < 0)
			return r;
		if (nsid >= 0) {
			*ret_nsid = nsid;
			return 0;
		}
		h = mnl_nlmsg_put_header(buf);
		h->nlmsg_type = RTM_NEWNSID;
		g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
		g->rtgen_family = AF_UNSPEC;
		mnl_attr_put_u32(h, NETNSA_FD, (uint32_t)fd);
		mnl_attr_put_u32(h, NETNSA_NSID, UINT32_MAX); /* any that is free */
		r = wgdev_netlink_ask(&l->netlink, h, NULL, NULL);
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return -ENOENT;
}

/* Finds out which namespace the device is in. */
static void locate(struct wgdev_link *l)
{
	FZ_CLEANUP(fz_closep) int fd = -1;
	struct stat st;
	if (fz_tun_netns(&l->tun, &fd) < 0 || fstat(fd, &st) != 0)
		return; /* an old kernel that can't tell: it stays where it was */
	if (st.st_dev == l->at_dev && st.st_ino == l->at_ino)
		return;
	l->at_dev = st.st_dev;
	l->at_ino = st.st_ino;
	l->nsid = HERE;
	if (st.st_dev == l->home_dev && st.st_ino == l->home_ino)
		return;
	if (!l->sees_all || nsid_of(l, fd, &l->nsid) < 0)
		l->nsid = NOWHERE;
}

static int take_link_attr(const struct nlattr *a, void *user)
{
	struct wgdev_link_state *s = user;
	if (mnl_attr_get_type(a) == IFLA_MTU && mnl_attr_validate(a, MNL_TYPE_U32) >= 0)
		s->mtu = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int take_link(const struct nlmsghdr *h, void *user)
{
	struct wgdev_link_state *s = user;
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(h) < sizeof(*info))
		return MNL_CB_OK;
	s->is_gone = false;
	s->is_up = (info->ifi_flags & IFF_UP) != 0;
	return mnl_attr_parse(h, sizeof(*info), take_link_attr, s);
}

static int query(struct wgdev_link *l, struct wgdev_link_state *ret_state)
{
	int r = fz_tun_refresh(&l->tun);
	if (r == -EBADFD) {
		*ret_state = (struct wgdev_link_state){ .is_gone = true };
		return 0;
	}
	locate(l);
	if (r < 0 || l->nsid == NOWHERE) {
		*ret_state = (struct wgdev_link_state){ .is_up = true };
		return 0;
	}
	char buf[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = RTM_GETLINK;
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, l->tun.name);
	if (l->nsid != HERE)
		mnl_attr_put_u32(h, IFLA_TARGET_NETNSID, (uint32_t)l->nsid);
	struct wgdev_link_state s = { .is_gone = true };
	r = wgdev_netlink_ask(&l->netlink, h, take_link, &s);
	if (r == 0)
		*ret_state = s;
	return r;
}

struct wgdev_link_state wgdev_link_read(struct wgdev_link *l)
{
	wgdev_netlink_drain(&l->netlink, l->events_fd);
	struct wgdev_link_state s;
	int r = query(l, &s);
	if (r == -ENODEV) /* between two namespaces, or renamed just now: ask where it is */
		r = query(l, &s);
	if (r == 0)
		l->last = s;
	return l->last;
}
