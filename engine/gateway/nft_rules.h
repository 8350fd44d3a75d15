/*
 * The gateway's rules as nf_tables objects, without a socket: messages are written into a batch (libmnl's) that
 * nft.c sends. Private to nft.c.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "gateway/nft.h"

struct gw_batch {
	struct mnl_nlmsg_batch *batch;
	uint32_t sequence; /* of the next message */
	bool is_full; /* something did not fit, or there was no memory */
};

/* The table without flags; makes the removal that follows harmless where there is none. */
void gw_rules_put_table(struct gw_batch *b, uint32_t flags) FZ_NONNULL(1);
void gw_rules_put_removal(struct gw_batch *b) FZ_NONNULL(1);
/* All chains and rules. */
void gw_rules_put_all(struct gw_batch *b, const struct gw_nft_params *params) FZ_NONNULL(1, 2);
