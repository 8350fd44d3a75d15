/* The link of firezone-wg's device, in network namespaces of the test's own. */
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <sched.h>

#include "segments.h"
#include "wgdev/link.h"
#include "wgdev/netlink.h"

static struct wgdev_link *arrange(struct fz_tun *ret_tun)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		TEST_SKIP("needs root for a network namespace");
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		TEST_SKIP("needs /dev/net/tun");
	CHECK_INT(fz_tun_open("link-test", ret_tun), 0);
	CHECK_INT(fz_tun_set_mtu(ret_tun, 1420), 0);
	struct wgdev_link *l;
	CHECK_INT(wgdev_link_new(ret_tun, &l), 0);
	return l;
}

/* What wgdev/device.c does with each event. */
static uint32_t follow(struct wgdev_link *l)
{
	struct wgdev_link_state s = wgdev_link_read(l);
	CHECK(!s.is_gone);
	wgdev_link_limit_segments(l, fz_tun_segments(s.mtu));
	return s.mtu;
}

/* By another hand. */
static void change(const char *name, uint16_t attribute, uint32_t value)
{
	static struct wgdev_netlink n;
	char buf[256];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = RTM_NEWLINK;
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put_u32(h, attribute, value);
	n.fd = wgdev_netlink_open(0, 0);
	CHECK(n.fd >= 0);
	CHECK_INT(wgdev_netlink_ask(&n, h, NULL, NULL), 0);
	close(n.fd);
}

TEST(wgdev_link, segments_follow_the_mtu_and_are_asked_for_once)
{
	struct fz_tun tun;
	struct wgdev_link *l = arrange(&tun);
	CHECK_UINT(follow(l), 1420);
	CHECK_UINT(segments_of("link-test"), 45);
	change("link-test", IFLA_GSO_MAX_SEGS, 30);
	CHECK_UINT(follow(l), 1420);
	CHECK_UINT(segments_of("link-test"), 30);
	CHECK_INT(fz_tun_set_mtu(&tun, 1280), 0);
	CHECK_UINT(follow(l), 1280);
	CHECK_UINT(segments_of("link-test"), 49);
	CHECK_INT(fz_tun_set_mtu(&tun, 8920), 0);
	CHECK_UINT(follow(l), 8920);
	CHECK_UINT(segments_of("link-test"), 7);
	wgdev_link_free(l);
	close(tun.fd);
}

TEST(wgdev_link, segments_of_a_device_elsewhere_stay_until_it_is_back)
{
	struct fz_tun tun, twin;
	struct wgdev_link *l = arrange(&tun);
	CHECK_UINT(follow(l), 1420);
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	CHECK_INT(unshare(CLONE_NEWNET), 0);
	int away = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	CHECK_INT(setns(home, CLONE_NEWNET), 0);
	change("link-test", IFLA_NET_NS_FD, (uint32_t)away);
	/* One of the same name at home must be neither moved nor changed. */
	CHECK_INT(fz_tun_open("link-test", &twin), 0);
	uint32_t twins = segments_of("link-test");

	CHECK_INT(setns(away, CLONE_NEWNET), 0);
	CHECK_INT(fz_tun_set_mtu(&tun, 1280), 0);
	CHECK_UINT(follow(l), 1280);
	CHECK_UINT(segments_of("link-test"), 45);
	CHECK_INT(setns(home, CLONE_NEWNET), 0);
	CHECK_UINT(segments_of("link-test"), twins);
	close(twin.fd);

	CHECK_INT(setns(away, CLONE_NEWNET), 0);
	change("link-test", IFLA_NET_NS_FD, (uint32_t)home);
	CHECK_INT(setns(home, CLONE_NEWNET), 0);
	CHECK_UINT(follow(l), 1280);
	CHECK_UINT(segments_of("link-test"), 49);
	wgdev_link_free(l);
	close(tun.fd);
	close(home);
	close(away);
}
