/*
 * The table, in the words of nft(8), with IF for the tunnel and MARK for the gateway's mark:
 *
 *   table inet firezone-gateway {
 *       chain zone        { type filter hook prerouting priority raw;      iifname IF ct original zone set ZONE }
 *       chain mark        { type filter hook prerouting priority mangle;
 *                             iifname IF meta mark set MARK ct mark set MARK
 *                             iifname != IF ct mark MARK meta mark set MARK }
 *       chain answer      { type route  hook output priority mangle;       ct mark MARK meta mark 0 meta mark set MARK }
 *       chain forwarding  { type filter hook forward priority filter;
 *                             iifname IF oifname IF drop
 *                             iifname IF oifname CLIENT reject with icmpx no-route
 *                             iifname IF accept
 *                             oifname IF accept }
 *       chain masquerade  { type nat hook postrouting priority srcnat;
 *                             ct mark MARK oifname != IF ip saddr 100.64.0.0/11 masquerade
 *                             ct mark MARK oifname != IF ip6 saddr fd00:2021:1111::/107 masquerade }
 *   }
 *
 * The mark decides routing (engine/gateway/routes.c): out of the tunnel by the main table, back by the gateway's own.
 * The zone keeps a connection that a client on this host sends through this very gateway apart from the one it made at
 * first: with equal addresses and ports they would be one, and the second would go out with its inner source.
 */
#include "gateway/nft_rules.h"

#include <arpa/inet.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "base/addr.h"

#define NAT_PRIORITY 100

struct rule {
	struct nftnl_rule *r;
	bool is_bad;
};

/* ---- messages ---- */

static struct nlmsghdr *put_header(struct gw_batch *b, uint16_t type, uint16_t flags)
{
	return nftnl_nlmsg_build_hdr(
		mnl_nlmsg_batch_current(b->batch), type, NFPROTO_INET, flags, b->sequence++);
}

static void next(struct gw_batch *b)
{
	if (!mnl_nlmsg_batch_next(b->batch))
		b->is_full = true;
}

static void put_table(struct gw_batch *b, uint16_t type, uint16_t nl_flags, uint32_t flags)
{
	struct nftnl_table *t = b->is_full ? NULL : nftnl_table_alloc();
	if (!t) {
		b->is_full = true;
		return;
	}
	nftnl_table_set_u32(t, NFTNL_TABLE_FAMILY, NFPROTO_INET);
	if (nftnl_table_set_str(t, NFTNL_TABLE_NAME, GW_NFT_TABLE) < 0)
		b->is_full = true;
	if (flags != 0)
		nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, flags);
	nftnl_table_nlmsg_build_payload(put_header(b, type, nl_flags), t);
	nftnl_table_free(t);
	next(b);
}

/* Messages about the table ask for an answer, so that success is heard, too. */
void gw_rules_put_table(struct gw_batch *b, uint32_t flags)
{
	put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_ACK, flags);
}

void gw_rules_put_removal(struct gw_batch *b)
{
	put_table(b, NFT_MSG_DELTABLE, NLM_F_ACK, 0);
}

struct chain {
	const char *name, *type;
	uint32_t hook;
	int32_t priority;
};

static void put_chain(struct gw_batch *b, const struct chain *chain)
{
	struct nftnl_chain *c = b->is_full ? NULL : nftnl_chain_alloc();
	if (!c) {
		b->is_full = true;
		return;
	}
	nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, NFPROTO_INET);
	if (nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, GW_NFT_TABLE) < 0 ||
		nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain->name) < 0 ||
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, chain->type) < 0)
		b->is_full = true;
	nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, chain->hook);
	nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, chain->priority);
	nftnl_chain_nlmsg_build_payload(put_header(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE), c);
	nftnl_chain_free(c);
	next(b);
}

static struct rule rule_begin(const char *chain)
{
	struct rule rule = { .r = nftnl_rule_alloc() };
	if (!rule.r) {
		rule.is_bad = true;
		return rule;
	}
	nftnl_rule_set_u32(rule.r, NFTNL_RULE_FAMILY, NFPROTO_INET);
	if (nftnl_rule_set_str(rule.r, NFTNL_RULE_TABLE, GW_NFT_TABLE) < 0 ||
		nftnl_rule_set_str(rule.r, NFTNL_RULE_CHAIN, chain) < 0)
		rule.is_bad = true;
	return rule;
}

static void rule_end(struct gw_batch *b, struct rule *rule)
{
	if (rule->is_bad || b->is_full) {
		b->is_full = true;
	} else {
		nftnl_rule_nlmsg_build_payload(
			put_header(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND), rule->r);
		next(b);
	}
	if (rule->r)
		nftnl_rule_free(rule->r);
	rule->r = NULL;
}

/* ---- expressions: registers are loaded, compared and stored ---- */

/* A new expression, already the rule's; NULL (and a bad rule) without memory. */
static struct nftnl_expr *expr_maybe(struct rule *rule, const char *name)
{
	struct nftnl_expr *e = rule->is_bad ? NULL : nftnl_expr_alloc(name);
	if (!e) {
		rule->is_bad = true;
		return NULL;
	}
	nftnl_rule_add_expr(rule->r, e);
	return e;
}

static void set_u32(struct nftnl_expr *e, uint16_t what, uint32_t value)
{
	if (e)
		nftnl_expr_set_u32(e, what, value);
}

static void set_data(
	struct rule *rule, struct nftnl_expr *e, uint16_t what, const void *p, size_t n)
{
	if (e && nftnl_expr_set(e, what, p, (uint32_t)n) < 0)
		rule->is_bad = true;
}

static void load_meta(struct rule *rule, uint32_t key)
{
	struct nftnl_expr *e = expr_maybe(rule, "meta");
	set_u32(e, NFTNL_EXPR_META_KEY, key);
	set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void compare(struct rule *rule, uint32_t op, const void *p, size_t n)
{
	struct nftnl_expr *e = expr_maybe(rule, "cmp");
	set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_CMP_OP, op);
	set_data(rule, e, NFTNL_EXPR_CMP_DATA, p, n);
}

static void match_interface(struct rule *rule, uint32_t key, uint32_t op, const char *name)
{
	char padded[IFNAMSIZ] = { 0 };
	size_t n = strnlen(name, sizeof(padded) - 1);
	memcpy(padded, name, n);
	load_meta(rule, key);
	compare(rule, op, padded, sizeof(padded));
}

static void match_meta_mark(struct rule *rule, uint32_t mark)
{
	load_meta(rule, NFT_META_MARK);
	compare(rule, NFT_CMP_EQ, &mark, sizeof(mark));
}

static void match_ct_mark(struct rule *rule, uint32_t mark)
{
	struct nftnl_expr *e = expr_maybe(rule, "ct");
	set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	compare(rule, NFT_CMP_EQ, &mark, sizeof(mark));
}

/* ip saddr or ip6 saddr within a prefix. */
static void match_source(struct rule *rule, const struct fz_prefix *prefix)
{
	bool is_v6 = prefix->ip.family == FZ_IP6;
	uint8_t family = is_v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, mask[16] = { 0 };
	uint8_t none[16] = { 0 };
	uint32_t n = is_v6 ? 16 : 4;
	for (unsigned i = 0; i < prefix->bits; i++)
		mask[i / 8] |= (uint8_t)(0x80u >> (i % 8));
	load_meta(rule, NFT_META_NFPROTO);
	compare(rule, NFT_CMP_EQ, &family, sizeof(family));
	struct nftnl_expr *e = expr_maybe(rule, "payload");
	set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, is_v6 ? 8 : 12);
	set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, n);
	set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
	e = expr_maybe(rule, "bitwise");
	set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	set_u32(e, NFTNL_EXPR_BITWISE_LEN, n);
	set_data(rule, e, NFTNL_EXPR_BITWISE_MASK, mask, n);
	set_data(rule, e, NFTNL_EXPR_BITWISE_XOR, none, n);
	compare(rule, NFT_CMP_EQ, prefix->ip.b, n);
}

static void load_value(struct rule *rule, const void *p, size_t n)
{
	struct nftnl_expr *e = expr_maybe(rule, "immediate");
	set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
	set_data(rule, e, NFTNL_EXPR_IMM_DATA, p, n);
}

static void set_meta_mark(struct rule *rule, uint32_t mark)
{
	load_value(rule, &mark, sizeof(mark));
	struct nftnl_expr *e = expr_maybe(rule, "meta");
	set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
	set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void set_ct_mark(struct rule *rule, uint32_t mark)
{
	load_value(rule, &mark, sizeof(mark));
	struct nftnl_expr *e = expr_maybe(rule, "ct");
	set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
	set_u32(e, NFTNL_EXPR_CT_SREG, NFT_REG_1);
}

static void set_ct_original_zone(struct rule *rule, uint16_t zone)
{
	load_value(rule, &zone, sizeof(zone));
	struct nftnl_expr *e = expr_maybe(rule, "ct");
	set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_ZONE);
	set_u32(e, NFTNL_EXPR_CT_SREG, NFT_REG_1);
	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, 0); /* IP_CT_DIR_ORIGINAL */
}

static void verdict(struct rule *rule, uint32_t what)
{
	struct nftnl_expr *e = expr_maybe(rule, "immediate");
	set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	set_u32(e, NFTNL_EXPR_IMM_VERDICT, what);
}

/* ---- the chains ---- */

static void put_zone(struct gw_batch *b, const struct gw_nft_params *p)
{
	put_chain(b, &(struct chain){ "zone", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW });
	struct rule r = rule_begin("zone");
	match_interface(&r, NFT_META_IIFNAME, NFT_CMP_EQ, p->interface);
	set_ct_original_zone(&r, GW_NFT_ZONE);
	rule_end(b, &r);
}

static void put_marks(struct gw_batch *b, const struct gw_nft_params *p)
{
	put_chain(b, &(struct chain){ "mark", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_MANGLE });
	struct rule r = rule_begin("mark");
	match_interface(&r, NFT_META_IIFNAME, NFT_CMP_EQ, p->interface);
	set_meta_mark(&r, p->mark);
	set_ct_mark(&r, p->mark);
	rule_end(b, &r);
	r = rule_begin("mark");
	match_interface(&r, NFT_META_IIFNAME, NFT_CMP_NEQ, p->interface);
	match_ct_mark(&r, p->mark);
	set_meta_mark(&r, p->mark);
	rule_end(b, &r);

	put_chain(b, &(struct chain){ "answer", "route", NF_INET_LOCAL_OUT, NF_IP_PRI_MANGLE });
	r = rule_begin("answer");
	match_ct_mark(&r, p->mark);
	match_meta_mark(&r, 0);
	set_meta_mark(&r, p->mark);
	rule_end(b, &r);
}

static void put_forwarding(struct gw_batch *b, const struct gw_nft_params *p)
{
	put_chain(b, &(struct chain){ "forwarding", "filter", NF_INET_FORWARD, NF_IP_PRI_FILTER });
	struct rule r = rule_begin("forwarding");
	match_interface(&r, NFT_META_IIFNAME, NFT_CMP_EQ, p->interface);
	match_interface(&r, NFT_META_OIFNAME, NFT_CMP_EQ, p->interface);
	verdict(&r, NF_DROP);
	rule_end(b, &r);
	r = rule_begin("forwarding");
	match_interface(&r, NFT_META_IIFNAME, NFT_CMP_EQ, p->interface);
	match_interface(&r, NFT_META_OIFNAME, NFT_CMP_EQ, p->client_interface);
	struct nftnl_expr *e = expr_maybe(&r, "reject");
	set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_NO_ROUTE);
	rule_end(b, &r);
	static const uint32_t ways[] = { NFT_META_IIFNAME, NFT_META_OIFNAME };
	for (size_t i = 0; i < FZ_ARRAY_LEN(ways); i++) {
		r = rule_begin("forwarding");
		match_interface(&r, ways[i], NFT_CMP_EQ, p->interface);
		verdict(&r, NF_ACCEPT);
		rule_end(b, &r);
	}
}

static void put_masquerade(struct gw_batch *b, const struct gw_nft_params *p)
{
	/* The ranges of clients' tunnel addresses (docs/protocol/portal.md). */
	static const struct fz_prefix ranges[] = {
		{ { FZ_IP4, { 100, 64 } }, 11 },
		{ { FZ_IP6, { 0xfd, 0x00, 0x20, 0x21, 0x11, 0x11 } }, 107 },
	};
	put_chain(b, &(struct chain){ "masquerade", "nat", NF_INET_POST_ROUTING, NAT_PRIORITY });
	for (size_t i = 0; i < FZ_ARRAY_LEN(ranges); i++) {
		struct rule r = rule_begin("masquerade");
		match_ct_mark(&r, p->mark);
		match_interface(&r, NFT_META_OIFNAME, NFT_CMP_NEQ, p->interface);
		match_source(&r, &ranges[i]);
		(void)expr_maybe(&r, "masq");
		rule_end(b, &r);
	}
}

void gw_rules_put_all(struct gw_batch *b, const struct gw_nft_params *params)
{
	put_zone(b, params);
	put_marks(b, params);
	put_forwarding(b, params);
	put_masquerade(b, params);
}
