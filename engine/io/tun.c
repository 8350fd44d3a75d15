/* TUN set-up. The device is opened without IFF_MULTI_QUEUE, so that a second process meets EBUSY instead of half the traffic. */
#include "io/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "io/release.h"
#include "offload/vnet.h"

#define BUSY_TRIES 30
#define BUSY_MS    10 /* between two of them */

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

static bool name_is_good(const char *name)
{
	size_t n = strlen(name);
	return n > 0 && n < IFNAMSIZ && !strpbrk(name, "/% \t\n:") && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

/* With ECN: else the kernel would cut a super-packet that is marked before we see it. */
#define TCP (FZ_TUN_CSUM | FZ_TUN_TSO4 | FZ_TUN_TSO6 | FZ_TUN_TSO_ECN)

/* Each step down gives up what some kernel lacks: USO came with 6.2, and an unknown bit fails the whole call. */
static void probe_offloads(struct fz_tun *t)
{
	static const struct {
		unsigned long bits;
		unsigned caps;
	} steps[] = {
		{ TCP | FZ_TUN_USO4 | FZ_TUN_USO6, FZ_COALESCE_ALL },
		{ TCP, FZ_COALESCE_VNET | FZ_COALESCE_TCP4 | FZ_COALESCE_TCP6 },
		{ 0, FZ_COALESCE_VNET },
	};

	for (size_t i = 0; i < FZ_ARRAY_LEN(steps); i++) {
		if (ioctl(t->fd, TUNSETOFFLOAD, steps[i].bits) == 0) {
			t->caps = steps[i].caps;
			break;
		}
	}
	/* What is read may be merged all the same. */
	char release[FZ_RELEASE_LEN];
	fz_release_read(release);
	if ((t->caps & FZ_COALESCE_USO) && !fz_tun_uso_is_trusted(release)) {
		t->caps &= ~(unsigned)FZ_COALESCE_USO;
		fz_log(FZ_LOG_INFO, "tun-uso-off",
			"release=%s cause=\"it loses UDP super-packets on their way to a VXLAN\" "
			"fixed-in=6.8.5",
			release);
	}
}

static int query_index(struct fz_tun *t)
{
	FZ_CLEANUP(fz_closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };
	memcpy(ifr.ifr_name, t->name, IFNAMSIZ);
	if (s < 0 || ioctl(s, SIOCGIFINDEX, &ifr) != 0)
		return -errno;
	t->ifindex = (uint32_t)ifr.ifr_ifindex;
	return 0;
}

/*
 * What a killed process's ring had hold of is let go a moment after the process is gone (20 to 40 ms were seen): whoever
 * follows it at once waits for that. Somebody else's device stays busy.
 */
static int attach(int fd, struct ifreq *ifr)
{
	for (int tries = 0;; tries++) {
		if (ioctl(fd, TUNSETIFF, ifr) == 0)
			return 0;
		if (errno != EBUSY || tries == BUSY_TRIES)
			return -errno;
		(void)poll(NULL, 0, BUSY_MS);
	}
}

int fz_tun_open(const char *name, struct fz_tun *ret_tun)
{
	if (!name_is_good(name))
		return -EINVAL;
	FZ_CLEANUP(fz_closep) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };
	memcpy(ifr.ifr_name, name, strlen(name) + 1);
	struct fz_tun t = { .fd = fd, .caps = FZ_COALESCE_VNET };
	int r = attach(fd, &ifr);
	if (r < 0) {
		if (r != -EINVAL)
			return r;
		/* An old kernel without the virtio header, or a device of that name that is not a TUN. */
		ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
		if (ioctl(fd, TUNSETIFF, &ifr) != 0)
			return -errno;
		t.caps = 0;
	}
	memcpy(t.name, ifr.ifr_name, IFNAMSIZ);
	if (t.caps)
		probe_offloads(&t);
	r = query_index(&t);
	if (r < 0)
		return r;
	t.fd = fz_take_fd(&fd);
	*ret_tun = t;
	return 0;
}

int fz_tun_adopt(int fd, struct fz_tun *ret_tun)
{
	struct ifreq ifr = { 0 };
	struct fz_tun t = { .fd = fd };
	if (ioctl(fd, TUNGETIFF, &ifr) != 0)
		return -errno;
	if (!(ifr.ifr_flags & IFF_TUN) || !(ifr.ifr_flags & IFF_NO_PI))
		return -EPROTONOSUPPORT;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	memcpy(t.name, ifr.ifr_name, IFNAMSIZ);
	t.caps = (ifr.ifr_flags & IFF_VNET_HDR) ? FZ_COALESCE_VNET : 0;
	int vnet_len = 0;
	if (t.caps && ioctl(fd, TUNGETVNETHDRSZ, &vnet_len) == 0 && vnet_len != FZ_VNET_HDR_LEN) {
		vnet_len = FZ_VNET_HDR_LEN;
		if (ioctl(fd, TUNSETVNETHDRSZ, &vnet_len) != 0)
			return -errno;
	}
	if (t.caps)
		probe_offloads(&t);
	int r = query_index(&t);
	if (r == 0)
		*ret_tun = t;
	return r;
}

static int interface_ioctl(const struct fz_tun *t, unsigned long request, struct ifreq *ifr)
{
	FZ_CLEANUP(fz_closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(ifr->ifr_name, t->name, IFNAMSIZ);
	return s >= 0 && ioctl(s, request, ifr) == 0 ? 0 : -errno;
}

int fz_tun_mtu(const struct fz_tun *t, uint32_t *ret_mtu)
{
	struct ifreq ifr = { 0 };
	int r = interface_ioctl(t, SIOCGIFMTU, &ifr);
	if (r == 0)
		*ret_mtu = (uint32_t)ifr.ifr_mtu;
	return r;
}

int fz_tun_set_mtu(const struct fz_tun *t, uint32_t mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };
	return interface_ioctl(t, SIOCSIFMTU, &ifr);
}

int fz_tun_set_queue_len(const struct fz_tun *t, uint32_t packets)
{
	struct ifreq ifr = { .ifr_qlen = (int)packets };
	return interface_ioctl(t, SIOCSIFTXQLEN, &ifr);
}

int fz_tun_is_up(const struct fz_tun *t, bool *ret_is_up)
{
	struct ifreq ifr = { 0 };
	int r = interface_ioctl(t, SIOCGIFFLAGS, &ifr);
	if (r == 0)
		*ret_is_up = (ifr.ifr_flags & IFF_UP) != 0;
	return r;
}

int fz_tun_refresh(struct fz_tun *t)
{
	struct ifreq ifr = { 0 };
	if (ioctl(t->fd, TUNGETIFF, &ifr) != 0)
		return -errno;
	memcpy(t->name, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

int fz_tun_netns(const struct fz_tun *t, int *ret_fd)
{
	int fd = ioctl(t->fd, TUNGETDEVNETNS);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}
