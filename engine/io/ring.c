/* See ring.h: which operations there are, and how a ring is made on each kernel. */
#include "io/ring.h"

#include <errno.h>

#include "base/alloc.h"

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1u << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1u << 13)
#endif

/*
 * What is relied on: completions that find the queue full are kept, a wait has a time, sockets are polled rather than handed to
 * worker threads, and message headers may be reused once submitted.
 */
#define FEATURES                                                                                   \
	(IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL |                        \
		IORING_FEAT_SUBMIT_STABLE)

/* What engine/io/uring.c submits. */
static const uint8_t operations[] = { IORING_OP_WRITE, IORING_OP_WRITEV, IORING_OP_SENDMSG,
	IORING_OP_READ, IORING_OP_RECVMSG, IORING_OP_POLL_ADD, IORING_OP_POLL_REMOVE };

/*
 * Registering the ring's own descriptor makes an enter cheaper; liburing takes that back at the end. The files are the TUN, the
 * sockets and the wake-up: all that the ring can touch.
 */
static const uint8_t registrations[] = { IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS,
	IORING_REGISTER_FILES, IORING_REGISTER_FILES_UPDATE };

/* A kernel, or whoever stands between us and it, may know rings but not all that is asked of them. */
static int probe_operations(struct io_uring *ring)
{
	struct io_uring_probe *p = io_uring_get_probe_ring(ring);
	if (!p)
		return -ENOSYS;
	bool has_all = true;
	for (size_t i = 0; i < FZ_ARRAY_LEN(operations); i++)
		has_all = has_all && io_uring_opcode_supported(p, operations[i]);
	io_uring_free_probe(p);
	return has_all ? 0 : -ENOSYS;
}

/*
 * The one flag of an SQE that must be there, and hence may be, has it name a place in the ring's table of files. By the bare call: the shared liburing 2.3 lacks the two functions
 * that its header has for this.
 */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction
		list[FZ_ARRAY_LEN(operations) + FZ_ARRAY_LEN(registrations) + 1] = { 0 };
	unsigned n = 0;
	for (size_t i = 0; i < FZ_ARRAY_LEN(operations); i++)
		list[n++] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_OP,
			.sqe_op = operations[i] };
	for (size_t i = 0; i < FZ_ARRAY_LEN(registrations); i++)
		list[n++] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_REGISTER_OP,
			.register_op = registrations[i] };
	list[n++] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
		.sqe_flags = IOSQE_FIXED_FILE };
	unsigned fd = (unsigned)ring->ring_fd;
	int r = io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, list, n);
	/* From here on the list holds; with SINGLE_ISSUER, this thread is the one issuer. */
	return r < 0 ? r : io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int fz_ring_init(struct io_uring *ret_ring, unsigned sq_len, unsigned cq_len)
{
	/*
	 * Each step gives up what some kernel lacks: DEFER_TASKRUN 6.1, SINGLE_ISSUER 6.0, COOP_TASKRUN 5.19, and R_DISABLED 5.10,
	 * without which a ring cannot be restricted.
	 */
	static const unsigned flags[] = {
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
			IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN,
		IORING_SETUP_R_DISABLED,
		0,
	};
	struct io_uring ring;
	struct io_uring_params p = { 0 };
	int r = -EINVAL;
	for (size_t i = 0; i < FZ_ARRAY_LEN(flags) && r == -EINVAL; i++) {
		p = (struct io_uring_params){ .flags = flags[i] | IORING_SETUP_CQSIZE |
						       IORING_SETUP_CLAMP,
			.cq_entries = cq_len };
		r = io_uring_queue_init_params(sq_len, &ring, &p);
	}
	if (r < 0)
		return r;
	r = (p.features & FEATURES) == FEATURES ? probe_operations(&ring) : -ENOSYS;
	if (r == 0 && p.flags & IORING_SETUP_R_DISABLED)
		r = restrict_ring(&ring);
	if (r < 0) {
		io_uring_queue_exit(&ring);
		return r;
	}
	(void)io_uring_register_ring_fd(&ring);
	*ret_ring = ring;
	return 0;
}
