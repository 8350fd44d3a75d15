/*
 * What the gateway asks of the host's packet filter: a table of its own in nf_tables, made in one transaction through
 * libnftnl and libmnl. It marks and masquerades what comes out of the tunnel, sends answers back into it, and keeps
 * the gateway's traffic out of a client's tunnel on the same host. The kernel ties the table to our netlink socket:
 * nobody else can change it, and it is gone when the socket is, also after a kill. Other tables are read, never
 * touched. Shell; control thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

#define GW_NFT_TABLE "firezone-gateway"
/* Where connections from the tunnel are tracked, apart from those of the host itself with the same addresses. */
#define GW_NFT_ZONE  0x465a

struct gw_nft;

struct gw_nft_params {
	const char *interface; /* the gateway's TUN */
	const char *client_interface; /* of a client on the same host; never forwarded into */
	uint32_t mark;
};

void gw_nft_free(struct gw_nft *n); /* removes the table */
/*
 * 0 or a negative errno, which gw_nft_explain puts in words. What a run without an owned table left behind is
 * replaced; a table that a living process owns is not.
 */
int gw_nft_new(const struct gw_nft_params *params, struct gw_nft **ret_nft)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;
/* Removes the table now; for an orderly end, where a failure can still be told. */
int gw_nft_remove(struct gw_nft *n) FZ_NONNULL(1) FZ_MUST_CHECK;
/* True if the kernel ties the table to us (Linux 5.12 and later). */
bool gw_nft_is_owned(const struct gw_nft *n) FZ_NONNULL(1);

/*
 * Chains of others at the forward hook that drop what no rule of theirs accepts: an accept in our table can't overrule
 * them. `fn` is called once for each; its arguments are borrowed.
 */
typedef void (*gw_nft_chain_fn)(
	void *user, const char *family, const char *table, const char *chain);
int gw_nft_each_forward_drop(struct gw_nft *n, gw_nft_chain_fn fn, void *user)
	FZ_NONNULL(1, 2) FZ_MUST_CHECK;

/* What the user should know about a failure of gw_nft_new: what happened and what to do. Static text. */
const char *gw_nft_explain(int err) FZ_RETURNS_NONNULL;
