/*
 * How bytes move between the kernel and one data thread, at the level of turns: everything to be written goes out and
 * everything that came in is handed over, in as few system calls as the backend can. Two complete backends, io_uring
 * and epoll, behind one table of functions; no call per packet. Thread: a backend belongs to the thread that made it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/bytes.h"
#include "base/time.h"
#include "io/udp.h"

#define FZ_IO_DATAGRAMS 4 /* GRO buffers filled in one turn */
#define FZ_IO_FRAMES    64 /* TUN frames read in one turn */
#define FZ_IO_SENDS     64 /* GSO trains or datagrams sent in one turn */
#define FZ_IO_WRITES    512 /* TUN writes in one turn */
#define FZ_IO_SLAB_LEN                                                                             \
	(65'536 + 64) /* a whole GRO train, or a whole frame with its virtio header */
#define FZ_IO_FRAME_BYTES                                                                          \
	(3 * 65'536) /* after so many no more frames are read in a turn: they would leave the second-level cache */

enum fz_io_kind { FZ_IO_AUTO, FZ_IO_URING, FZ_IO_EPOLL };

struct fz_io_send {
	struct wg_endpoint to;
	uint8_t tos;
	struct fz_span data;
	uint16_t segment; /* GSO; 0 or >= data.n: one datagram */
	int result; /* bytes or negative errno */
};

struct fz_io_write {
	struct iovec *iov;
	uint32_t n_iov;
	uint32_t len;
	int result;
};

struct fz_io_datagrams {
	struct fz_span buf; /* capacity */
	size_t len;
	struct fz_udp_received info;
};

struct fz_io_frame {
	struct fz_span buf; /* capacity */
	size_t len;
};

/* One turn's worth of everything. The caller fills the outputs; the backend fills results and inputs. */
struct fz_io_turn {
	uint32_t n_sends, n_writes;
	struct fz_io_send sends[FZ_IO_SENDS];
	struct fz_io_write writes[FZ_IO_WRITES];
	uint32_t n_datagrams, n_frames;
	struct fz_io_datagrams datagrams[FZ_IO_DATAGRAMS];
	struct fz_io_frame frames[FZ_IO_FRAMES];
	bool is_woken; /* the wake descriptor was written */
	int fatal; /* negative errno once the TUN is gone */
};

enum fz_io_mode {
	FZ_IO_FLUSH, /* outputs only, never waits */
	FZ_IO_POLL, /* outputs, then inputs that are known to be there; a turn that waits learns of others */
	FZ_IO_WAIT, /* the same, and waits for an input, a wake-up or `until` if there was none */
};

struct fz_io_params {
	int tun_fd; /* non-blocking */
	int wake_fd; /* eventfd */
	bool reads_tun, reads_udp; /* to begin with */
	unsigned ring_len; /* of both queues of a ring; 0: so that they never run over. For tests */
};

struct fz_io_counters {
	uint64_t turns, system_calls, waits, overflows;
};

struct fz_backend; /* one per data thread */

struct fz_backend_ops {
	const char *name;
	/* 0 or negative errno; EPERM, ENOSYS and ENOMEM mean that the backend is barred here. */
	int (*new)(const struct fz_io_params *params, struct fz_backend **ret_backend);
	void (*free)(struct fz_backend *b);
	/* From the next turn on; the descriptors stay the caller's and must live until the next call of this. */
	void (*set_udp)(struct fz_backend *b, const struct fz_udp *udp);
	/* Whether the TUN is read, from the next turn on; afterwards nothing of this backend waits for it any more. */
	void (*set_reads_tun)(struct fz_backend *b, bool reads);
	void (*turn)(
		struct fz_backend *b, enum fz_io_mode mode, fz_time until, struct fz_io_turn *t);
	const struct fz_io_counters *(*counters)(const struct fz_backend *b);
};

extern const struct fz_backend_ops fz_backend_epoll, fz_backend_uring;

/* "auto", "uring", "epoll"; -EINVAL otherwise. */
int fz_io_kind_parse(const char *text, enum fz_io_kind *ret_kind) FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/*
 * Decides by trying, not by version: AUTO is io_uring if a ring can be made here, else epoll with one log line that
 * names the cause. URING fails clearly if it is barred. 0 or negative errno.
 */
int fz_backend_choose(enum fz_io_kind kind, const struct fz_backend_ops **ret_ops)
	FZ_NONNULL(2) FZ_MUST_CHECK;

/* What AUTO does without io_uring: one log line with the cause, a negative errno; and epoll. */
const struct fz_backend_ops *fz_backend_fall_back(int cause) FZ_RETURNS_NONNULL;

/* How many datagrams one socket may bring in a turn: all, or half while the other family has some too. */
static inline uint32_t fz_io_share(bool both_are_ready)
{
	return both_are_ready ? FZ_IO_DATAGRAMS / 2 : FZ_IO_DATAGRAMS;
}

/* One piece each, by a plain system call; the result is in `w`, `s`. `m` is memory for the message. */
void fz_io_write_frame(int tun_fd, struct fz_io_write *w, struct fz_io_counters *counters)
	FZ_NONNULL(2, 3);
void fz_io_send_one(const struct fz_udp *udp, struct fz_udp_message *m, struct fz_io_send *s,
	struct fz_io_counters *counters) FZ_NONNULL(1, 2, 3, 4);
/* Reads one more frame into `t`, which has room for it. False if there is none; t->fatal is set if the device is gone. */
bool fz_io_read_frame(int tun_fd, struct fz_io_turn *t, struct fz_io_counters *counters)
	FZ_NONNULL(2, 3);
/*
 * Reads frames with plain system calls behind those that are in `t` already, until one finds nothing or the turn has enough of
 * them. Returns false if the TUN is empty; t->fatal is set if the device is gone.
 */
bool fz_io_read_frames(int tun_fd, struct fz_io_turn *t, struct fz_io_counters *counters)
	FZ_NONNULL(2, 3) FZ_MUST_CHECK;
