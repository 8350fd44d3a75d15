/*
 * An io_uring that can do what the data plane does and nothing else. A ring's operations pass by the process's system-call
 * filter, so the ring has a list of its own (IORING_REGISTER_RESTRICTIONS, 5.10): wireguard-engine.md 7.
 */
#pragma once

#include <liburing.h>

#include "base/attr.h"

/*
 * Belongs to the calling thread. Negative errno when io_uring is barred or not there. An operation that is not listed in ring.c
 * completes with EACCES.
 */
int fz_ring_init(struct io_uring *ret_ring, unsigned sq_len, unsigned cq_len)
	FZ_NONNULL(1) FZ_MUST_CHECK;
