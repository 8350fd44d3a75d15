/* Network devices of the test's own namespace. */
#pragma once

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "support/test.h"

/* Up; `mtu` 0: as it is. */
static inline void set_link(const char *name, int mtu)
{
	FZ_CLEANUP(fz_closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_flags = IFF_UP };
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	CHECK_INT(ioctl(s, SIOCSIFFLAGS, &ifr), 0);
	ifr.ifr_mtu = mtu;
	if (mtu > 0)
		CHECK_INT(ioctl(s, SIOCSIFMTU, &ifr), 0);
}

static inline void delete_link(uint32_t ifindex)
{
	FZ_CLEANUP(fz_closep) int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	struct {
		struct nlmsghdr h;
		struct ifinfomsg info;
	} m = { .h = { .nlmsg_len = sizeof(m),
			.nlmsg_type = RTM_DELLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.info = { .ifi_index = (int)ifindex } };

	char answer[256];
	CHECK_INT(send(s, &m, sizeof(m), 0), sizeof(m));
	CHECK(recv(s, answer, sizeof(answer), 0) > 0);
}
