/* netlink(7) over libmnl. */
#include "wgdev/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

int wgdev_netlink_open(unsigned groups, int flags)
{
	FZ_CLEANUP(fz_closep)
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK, .nl_groups = groups };
	if (fd < 0 || bind(fd, (struct sockaddr *)&nl, sizeof(nl)) != 0)
		return -errno;
	return fz_take_fd(&fd);
}

int wgdev_netlink_ask(struct wgdev_netlink *n, struct nlmsghdr *request, mnl_cb_t fn, void *user)
{
	request->nlmsg_seq = ++n->seq;
	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (send(n->fd, request, request->nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t len = recv(n->fd, n->buf, sizeof(n->buf), 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		int r = mnl_cb_run(n->buf, (size_t)len, n->seq, 0, fn, user);
		if (r < 0)
			return -errno;
		if (r == MNL_CB_STOP)
			return 0;
	}
}

void wgdev_netlink_drain(struct wgdev_netlink *n, int events_fd)
{
	while (recv(events_fd, n->buf, sizeof(n->buf), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		continue;
}
