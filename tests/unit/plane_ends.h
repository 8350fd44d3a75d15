/*
 * Whole data planes that talk over loopback in a network namespace of the test's own. Their "TUN" is one end of a
 * datagram socket pair: it carries one packet a call, like a TUN without virtio headers.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/fd.h"
#include "io/clock.h"
#include "io/plane.h"
#include "io/rng.h"
#include "support/test.h"
#include "unit/links.h"

static inline void enter_netns(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		TEST_SKIP("needs root for a network namespace");
	set_link("lo", 0);
	FZ_CLEANUP(fz_closep)
	int fd = open("/proc/sys/net/unix/max_dgram_qlen", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "4096", 4) != 4)
		TEST_SKIP("needs a writable /proc/sys");
}

/* One tunnel end: a device, its plane, its socket, and the host's side of its TUN. */
struct end {
	struct wg_device *device;
	struct fz_plane *plane;
	struct fz_udp udp;
	int tun, host;
	uint8_t pub[32];
};

static inline void make_end(
	struct end *e, enum fz_io_kind io, unsigned threads, const struct fz_plane_hooks *hooks)
{
	struct wg_device_params params = { .random = fz_rng_fill };
	struct fz_key key;
	int fds[2];
	CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	e->tun = fds[0];
	e->host = fds[1];
	for (int i = 0; i < 2; i++) {
		int room = 4 << 20;
		CHECK_INT(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)), 0);
	}
	e->device = wg_device_new(&params);
	CHECK(e->device);
	fz_rng_fill(NULL, fz_span_of(key.b, sizeof(key.b)));
	wg_device_set_private_key(e->device, &key, fz_clock_now());
	CHECK(wg_device_public_key(e->device, e->pub));
	CHECK_INT(fz_udp_open(0, 0, &e->udp), 0);
	struct fz_plane_params pp = { .device = e->device,
		.tun = { .fd = e->tun },
		.io = io,
		.threads = threads,
		.hooks = hooks };
	CHECK_INT(fz_plane_new(&pp, &e->plane), 0);
	int r = fz_plane_start(e->plane);
	if (r == -EPERM || r == -ENOSYS)
		TEST_SKIP("io_uring is barred here");
	CHECK_INT(r, 0);
	fz_plane_set_udp(e->plane, &e->udp);
}

static inline void introduce(struct end *e, const struct end *other, const char *allowed)
{
	struct wg_peer *p;
	struct fz_addr at = { .ip = fz_ip4(127, 0, 0, 1), .port = other->udp.port };
	struct fz_prefix prefix;
	CHECK_INT(fz_prefix_parse(allowed, &prefix), 0);
	fz_plane_lock(e->plane);
	CHECK_INT(wg_device_add_peer(e->device, other->pub, &p), 0);
	wg_peer_set_endpoint(p, &at);
	CHECK_INT(wg_peer_add_allowed_ip(p, &prefix), 0);
	wg_device_up(e->device, fz_clock_now());
	fz_plane_unlock(e->plane);
}

static inline void free_end(struct end *e)
{
	fz_plane_stop(e->plane);
	fz_plane_free(e->plane);
	wg_device_free(e->device);
	fz_udp_close(&e->udp);
	close(e->tun);
	close(e->host);
}

/* An IPv4 packet from end `from` to the other, with its flow and number in its payload. */
static inline size_t make_packet(uint8_t *out, size_t len, int from, uint32_t flow, uint32_t number)
{
	memset(out, (int)number, len);
	memset(out, 0, 20);
	out[0] = 0x45;
	fz_be16_store(out + 2, (uint16_t)len);
	out[8] = 64;
	out[9] = 253; /* for experiments (RFC 3692) */
	out[12] = out[16] = 10;
	out[15] = (uint8_t)from;
	out[19] = (uint8_t)!from;
	fz_be32_store(out + 20, flow);
	fz_be32_store(out + 24, number);
	return len;
}

/* Waits until a packet is there. False: none came for a long time. */
static inline bool host_is_ready(const struct end *e)
{
	struct pollfd pfd = { .fd = e->host, .events = POLLIN };
	return poll(&pfd, 1, 10'000) == 1;
}
