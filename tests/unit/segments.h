/* What a device announces, as the kernel tells it to anybody in the caller's network namespace. */
#pragma once

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "support/test.h"

/* Its IFLA_GSO_MAX_SEGS; 0 without such a device. */
static inline uint32_t segments_of(const char *name)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
		struct nlattr name_head;
		char name[16];
	} ask = { .head = { .nlmsg_len = sizeof(ask),
			  .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST },
		.name_head = { sizeof(ask.name_head) + sizeof(ask.name), IFLA_IFNAME } };

	snprintf(ask.name, sizeof(ask.name), "%s", name);
	static uint8_t answer[16'384];
	FZ_CLEANUP(fz_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	CHECK_INT(send(fd, &ask, sizeof(ask), 0), sizeof(ask));
	ssize_t n = recv(fd, answer, sizeof(answer), 0);
	CHECK(n > 0);
	struct nlmsghdr head;
	memcpy(&head, answer, sizeof(head));
	if (head.nlmsg_type != RTM_NEWLINK)
		return 0;
	struct nlattr a;
	for (size_t at = NLMSG_LENGTH(sizeof(struct ifinfomsg)); at + sizeof(a) <= (size_t)n;
		at += (a.nla_len + 3u) / 4 * 4) {
		memcpy(&a, answer + at, sizeof(a));
		if (a.nla_type == IFLA_GSO_MAX_SEGS) {
			uint32_t segments;
			memcpy(&segments, answer + at + sizeof(a), sizeof(segments));
			return segments;
		}
		CHECK(a.nla_len >= sizeof(a));
	}
	TEST_FAIL("%s does not tell its segments", name);
	return 0;
}
