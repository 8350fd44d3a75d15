/*
 * The tunnel's UDP sockets: one per family on one port, with everything WireGuard wants to know about a datagram
 * (local address, TOS, GRO segment size) and wants to say (source, TOS, GSO segment size). ip(7), udp(7).
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "wg/device.h"

#define FZ_UDP_SEND_BUFFER    (7 << 20) /* SO_SNDBUF, or what the kernel allows */
/*
 * SO_RCVBUF: the kernel doubles it, so milliseconds at 10 Gbit/s. A longer queue is longer than the second-level cache and is slower to
 * read, and all that stands in it is delay.
 */
#define FZ_UDP_RECEIVE_BUFFER (2 << 20)
#define FZ_UDP_CONTROL_LEN    128

struct fz_udp {
	int v4, v6; /* -1: none */
	uint16_t port;
	bool has_gso, has_gro;
};

/*
 * Binds both families to `port`, or to one free port if 0. A missing family is tolerated, two are not. `mark` 0: none.
 * 0 or -EADDRINUSE, -EAFNOSUPPORT, -EPERM (mark) and the like; `*ret_udp` untouched on failure. Descriptors are the
 * caller's: fz_udp_close.
 */
int fz_udp_open(uint16_t port, uint32_t mark, struct fz_udp *ret_udp) FZ_NONNULL(3) FZ_MUST_CHECK;
void fz_udp_close(struct fz_udp *u) FZ_NONNULL(1);
int fz_udp_set_mark(const struct fz_udp *u, uint32_t mark) FZ_NONNULL(1) FZ_MUST_CHECK;

/* Memory for one msghdr in either direction. */
struct fz_udp_message {
	struct msghdr hdr;
	struct iovec iov;

	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} addr;

	uint8_t control[FZ_UDP_CONTROL_LEN] FZ_ALIGNED(8);
};

/* Prepares for receiving into `buf`; to be called before every receive. */
void fz_udp_prepare_receive(struct fz_udp_message *m, struct fz_span buf) FZ_NONNULL(1);

struct fz_udp_received {
	struct wg_endpoint from;
	uint8_t ecn;
	uint16_t segment; /* GRO segment size; the whole length if there is one datagram */
	bool is_truncated;
};

/* Reads what the kernel said about a message of `len` bytes. False: no usable source. */
bool fz_udp_read_control(const struct fz_udp_message *m, size_t len, struct fz_udp_received *ret)
	FZ_NONNULL(1, 3) FZ_MUST_CHECK;

/* Prepares to send `len` bytes cut every `segment` bytes (0 or >= len: one datagram). Returns the socket to use, or -1. */
int fz_udp_prepare_send(struct fz_udp_message *m, const struct fz_udp *u,
	const struct wg_endpoint *to, uint8_t tos, struct fz_span data, uint16_t segment)
	FZ_NONNULL(1, 2, 3) FZ_MUST_CHECK;

struct fz_addr fz_addr_of_sockaddr(const struct sockaddr *sa) FZ_NONNULL(1);
/* Length of what was written. */
socklen_t fz_sockaddr_of_addr(const struct fz_addr *a, struct sockaddr_storage *ret)
	FZ_NONNULL(1, 2);
