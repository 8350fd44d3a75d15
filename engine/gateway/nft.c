/*
 * The transaction that makes the table, and its end. Netlink answers while sendto runs, so what is there to be read
 * afterwards is all there will be.
 */
#include "gateway/nft.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "gateway/nft_rules.h"

/* Five chains and ten rules take about 6 KiB. libmnl wants room for one more message behind the batch's end. */
#define BATCH_LEN   32768
#define MESSAGE_MAX 8192
#define READ_LEN    32768

struct gw_nft {
	struct mnl_socket *socket;
	uint32_t sequence;
	bool is_there, is_owned;
	uint8_t buffer[BATCH_LEN + MESSAGE_MAX] FZ_ALIGNED(8);
};

/* ---- talking ---- */

static int open_socket(struct mnl_socket **ret)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = -errno;
		mnl_socket_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* The first failure among the answers; -EPROTO if there was none at all. */
static int read_verdict(struct gw_nft *n)
{
	int result = -EPROTO;
	for (;;) {
		ssize_t len = recv(mnl_socket_get_fd(n->socket), n->buffer, READ_LEN, MSG_DONTWAIT);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? result : -errno;
		int left = (int)len;
		for (const struct nlmsghdr *h = (const void *)n->buffer; mnl_nlmsg_ok(h, left);
			h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type != NLMSG_ERROR ||
				mnl_nlmsg_get_payload_len(h) < sizeof(struct nlmsgerr))
				continue;
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
			if (result == -EPROTO || result == 0)
				result = e->error;
		}
	}
}

static struct gw_batch batch_begin(struct gw_nft *n)
{
	struct gw_batch b = { .sequence = n->sequence };
	b.batch = mnl_nlmsg_batch_start(n->buffer, BATCH_LEN);
	if (!b.batch) {
		b.is_full = true;
		return b;
	}
	nftnl_batch_begin(mnl_nlmsg_batch_current(b.batch), b.sequence++);
	b.is_full = !mnl_nlmsg_batch_next(b.batch);
	return b;
}

/* Sends and judges. */
static int batch_send(struct gw_nft *n, struct gw_batch *b)
{
	if (!b->batch)
		return -ENOMEM;
	if (!b->is_full) {
		struct nlmsghdr *end = mnl_nlmsg_batch_current(b->batch);
		nftnl_batch_end((char *)end, b->sequence++);
		b->is_full = !mnl_nlmsg_batch_next(b->batch);
	}
	n->sequence = b->sequence;
	bool is_full = b->is_full;
	size_t len = mnl_nlmsg_batch_size(b->batch);
	mnl_nlmsg_batch_stop(b->batch);
	b->batch = NULL;
	if (is_full)
		return -ENOBUFS;
	if (mnl_socket_sendto(n->socket, n->buffer, len) < 0)
		return -errno;
	return read_verdict(n);
}

static int make_table(struct gw_nft *n, const struct gw_nft_params *params, uint32_t flags)
{
	struct gw_batch b = batch_begin(n);
	if (!b.is_full) {
		gw_rules_put_table(&b, 0);
		gw_rules_put_removal(&b);
		gw_rules_put_table(&b, flags);
		gw_rules_put_all(&b, params);
	}
	return batch_send(n, &b);
}

/* ---- making and removing ---- */

void gw_nft_free(struct gw_nft *n)
{
	if (!n)
		return;
	if (n->socket) {
		int r = gw_nft_remove(n);
		if (r < 0)
			fz_log(FZ_LOG_WARNING, "nft-removal-failed", "table=\"inet %s\" errno=%d",
				GW_NFT_TABLE, -r);
		mnl_socket_close(n->socket);
	}
	free(n);
}

int gw_nft_new(const struct gw_nft_params *params, struct gw_nft **ret_nft)
{
	struct gw_nft *n = fz_new(struct gw_nft);
	if (!n)
		return -ENOMEM;
	n->sequence = 1;
	int r = open_socket(&n->socket);
	if (r == 0) {
		n->is_owned = true;
		r = make_table(n, params, NFT_TABLE_F_OWNER);
	}
	if (r == -EOPNOTSUPP || r == -EINVAL) { /* a kernel before 5.12 */
		n->is_owned = false;
		r = make_table(n, params, 0);
	}
	if (r < 0) {
		gw_nft_free(n);
		return r;
	}
	n->is_there = true;
	*ret_nft = n;
	return 0;
}

int gw_nft_remove(struct gw_nft *n)
{
	if (!n->is_there)
		return 0;
	struct gw_batch b = batch_begin(n);
	if (!b.is_full)
		gw_rules_put_removal(&b);
	int r = batch_send(n, &b);
	if (r < 0 && r != -ENOENT)
		return r;
	n->is_there = false;
	return 0;
}

bool gw_nft_is_owned(const struct gw_nft *n)
{
	return n->is_owned;
}

/* ---- looking at others ---- */

struct search {
	gw_nft_chain_fn fn;
	void *user;
};

static const char *family_name(uint32_t family)
{
	switch (family) {
	case NFPROTO_IPV4: return "ip";
	case NFPROTO_IPV6: return "ip6";
	default: return "inet";
	}
}

static int see_chain(const struct nlmsghdr *h, void *user)
{
	const struct search *s = user;
	struct nftnl_chain *c = nftnl_chain_alloc();
	if (!c)
		return MNL_CB_ERROR;
	if (nftnl_chain_nlmsg_parse(h, c) >= 0 && nftnl_chain_is_set(c, NFTNL_CHAIN_HOOKNUM) &&
		nftnl_chain_get_u32(c, NFTNL_CHAIN_HOOKNUM) == NF_INET_FORWARD &&
		nftnl_chain_is_set(c, NFTNL_CHAIN_POLICY) &&
		nftnl_chain_get_u32(c, NFTNL_CHAIN_POLICY) == NF_DROP) {
		uint32_t family = nftnl_chain_get_u32(c, NFTNL_CHAIN_FAMILY);
		if (family == NFPROTO_IPV4 || family == NFPROTO_IPV6 || family == NFPROTO_INET)
			s->fn(s->user, family_name(family),
				nftnl_chain_get_str(c, NFTNL_CHAIN_TABLE),
				nftnl_chain_get_str(c, NFTNL_CHAIN_NAME));
	}
	nftnl_chain_free(c);
	return MNL_CB_OK;
}

int gw_nft_each_forward_drop(struct gw_nft *n, gw_nft_chain_fn fn, void *user)
{
	struct search s = { fn, user };
	uint32_t sequence = n->sequence++;
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(
		(char *)n->buffer, NFT_MSG_GETCHAIN, NFPROTO_UNSPEC, NLM_F_DUMP, sequence);
	unsigned port = mnl_socket_get_portid(n->socket);
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t len = mnl_socket_recvfrom(n->socket, n->buffer, READ_LEN);
		if (len < 0)
			return -errno;
		errno = 0;
		int r = mnl_cb_run(n->buffer, (size_t)len, sequence, port, see_chain, &s);
		if (r < 0)
			return errno ? -errno : -EIO;
		if (r == MNL_CB_STOP)
			return 0;
	}
}

const char *gw_nft_explain(int err)
{
	switch (-err) {
	case EPERM:
		return "not allowed: either CAP_NET_ADMIN is missing, or another running gateway "
		       "owns "
		       "the table inet " GW_NFT_TABLE;
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT: return "this kernel has no nf_tables (CONFIG_NF_TABLES)";
	case ENOENT:
	case EOPNOTSUPP:
		return "this kernel's nf_tables lacks masquerading, conntrack zones or reject for "
		       "family inet (modules nft_masq, nft_ct, nft_reject_inet)";
	case EBUSY: return "the packet filter is being changed by somebody else; try again";
	default: return "the kernel refused the packet filter rules";
	}
}
