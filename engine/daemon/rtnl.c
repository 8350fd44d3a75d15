/* libmnl over NETLINK_ROUTE. Requests are strict (NETLINK_GET_STRICT_CHK is not needed: dumps are filtered here). */
#include "daemon/rtnl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define BUFFER_LEN 16384

struct fz_rtnl {
	struct mnl_socket *socket;
	uint32_t sequence;
	uint8_t buffer[BUFFER_LEN] FZ_ALIGNED(8);
};

void fz_rtnl_free(struct fz_rtnl *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	free(n);
}

int fz_rtnl_new(struct fz_rtnl **ret_rtnl)
{
	struct fz_rtnl *n = fz_new(struct fz_rtnl);
	if (!n)
		return -ENOMEM;
	n->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!n->socket || mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = -errno;
		fz_rtnl_free(n);
		return r;
	}
	*ret_rtnl = n;
	return 0;
}

static int family_of(uint8_t family)
{
	return family == FZ_IP4 ? AF_INET : AF_INET6;
}

static struct nlmsghdr *request(struct fz_rtnl *n, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(n->buffer);
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++n->sequence;
	return h;
}

/* Sends what was built and reads until its end; `fn` sees each answer. */
static int talk(struct fz_rtnl *n, const struct nlmsghdr *h, mnl_cb_t fn, void *user)
{
	uint32_t sequence = h->nlmsg_seq;
	unsigned port = mnl_socket_get_portid(n->socket);
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t len = mnl_socket_recvfrom(n->socket, n->buffer, sizeof(n->buffer));
		if (len < 0)
			return -errno;
		errno = 0;
		int r = mnl_cb_run(n->buffer, (size_t)len, sequence, port, fn, user);
		if (r < 0)
			return errno ? -errno : -EIO;
		if (r == MNL_CB_STOP)
			return 0;
	}
}

static uint16_t op_type(enum fz_rtnl_op op, uint16_t add, uint16_t remove)
{
	return op == FZ_RTNL_ADD ? add : remove;
}

static uint16_t op_flags(enum fz_rtnl_op op)
{
	return (uint16_t)(op == FZ_RTNL_ADD ? NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL : NLM_F_ACK);
}

int fz_rtnl_address(
	struct fz_rtnl *n, enum fz_rtnl_op op, uint32_t ifindex, const struct fz_prefix *a)
{
	struct nlmsghdr *h = request(n, op_type(op, RTM_NEWADDR, RTM_DELADDR), op_flags(op));
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = (uint8_t)family_of(a->ip.family);
	m->ifa_prefixlen = a->bits;
	m->ifa_index = ifindex;
	if (a->ip.family == FZ_IP6)
		m->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(h, IFA_LOCAL, fz_ip_len(&a->ip), a->ip.b);
	mnl_attr_put(h, IFA_ADDRESS, fz_ip_len(&a->ip), a->ip.b);
	return talk(n, h, NULL, NULL);
}

int fz_rtnl_route(struct fz_rtnl *n, enum fz_rtnl_op op, const struct fz_route *route)
{
	struct nlmsghdr *h = request(n, op_type(op, RTM_NEWROUTE, RTM_DELROUTE), op_flags(op));
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = (uint8_t)family_of(route->to.ip.family);
	m->rtm_dst_len = route->to.bits;
	m->rtm_table = RT_TABLE_UNSPEC;
	m->rtm_protocol = FZ_RTNL_PROTOCOL;
	/* A host route out of a point-to-point device, removed whatever its scope; IPv6 has one scope only. */
	uint8_t scope = op == FZ_RTNL_REMOVE ? RT_SCOPE_NOWHERE : RT_SCOPE_LINK;
	m->rtm_scope = route->to.ip.family == FZ_IP4 ? scope : RT_SCOPE_UNIVERSE;
	m->rtm_type = RTN_UNICAST;
	mnl_attr_put(h, RTA_DST, fz_ip_len(&route->to.ip), route->to.ip.b);
	mnl_attr_put_u32(h, RTA_TABLE, route->table);
	mnl_attr_put_u32(h, RTA_OIF, route->ifindex);
	return talk(n, h, NULL, NULL);
}

int fz_rtnl_rule(struct fz_rtnl *n, enum fz_rtnl_op op, const struct fz_rule *rule)
{
	struct nlmsghdr *h = request(n, op_type(op, RTM_NEWRULE, RTM_DELRULE), op_flags(op));
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->family = (uint8_t)family_of(rule->family);
	m->action = FR_ACT_TO_TBL;
	m->flags = rule->is_inverted ? FIB_RULE_INVERT : 0;
	mnl_attr_put_u32(h, FRA_PRIORITY, rule->priority);
	mnl_attr_put_u32(h, FRA_TABLE, rule->table);
	mnl_attr_put_u8(h, FRA_PROTOCOL, FZ_RTNL_PROTOCOL);
	if (rule->mask != 0) {
		mnl_attr_put_u32(h, FRA_FWMARK, rule->mark);
		mnl_attr_put_u32(h, FRA_FWMASK, rule->mask);
	}
	return talk(n, h, NULL, NULL);
}

/* EUI-64 and stable-privacy addresses have no business on a tunnel, and their DAD can race with set-up. */
static int no_address_generation(struct fz_rtnl *n, uint32_t ifindex)
{
	struct nlmsghdr *h = request(n, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = (int)ifindex;
	struct nlattr *families = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, families);
	return talk(n, h, NULL, NULL);
}

int fz_rtnl_link_up(struct fz_rtnl *n, uint32_t ifindex, uint32_t mtu, uint32_t txqueuelen)
{
	int r = no_address_generation(n, ifindex);
	/* A host without IPv6 has no such setting; that is fine. */
	if (r < 0 && r != -EAFNOSUPPORT && r != -EOPNOTSUPP && r != -EINVAL)
		return r;
	struct nlmsghdr *h = request(n, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = (int)ifindex;
	m->ifi_flags = IFF_UP;
	m->ifi_change = IFF_UP;
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	mnl_attr_put_u32(h, IFLA_TXQLEN, txqueuelen);
	return talk(n, h, NULL, NULL);
}

/* ---- dumps ---- */

struct dump {
	union {
		fz_route_fn route;
		fz_rule_fn rule;
		fz_address_fn address;
	} fn;

	void *user;
	int result; /* of the callback; once it is not 0 the rest of the dump is read and dropped */
};

/* mnl_attr_for_each without its narrowing arithmetic. */
static bool is_attr(const struct nlmsghdr *h, const struct nlattr *a)
{
	const char *tail = mnl_nlmsg_get_payload_tail(h), *at = (const char *)a;
	return mnl_attr_ok(a, (int)(tail - at));
}

static bool take_ip(const struct nlattr *a, uint8_t family, struct fz_ip *ret)
{
	size_t want = family == AF_INET ? 4 : 16;
	if (mnl_attr_get_payload_len(a) < want)
		return false;
	*ret = fz_ip_of(family == AF_INET ? FZ_IP4 : FZ_IP6, mnl_attr_get_payload(a));
	return true;
}

static bool take_u32(const struct nlattr *a, uint32_t *ret)
{
	if (mnl_attr_get_payload_len(a) < sizeof(*ret))
		return false;
	*ret = mnl_attr_get_u32(a);
	return true;
}

static int see_route(const struct nlmsghdr *h, void *user)
{
	struct dump *d = user;
	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct rtmsg))
		return MNL_CB_OK;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	if (m->rtm_family != AF_INET && m->rtm_family != AF_INET6)
		return MNL_CB_OK;
	struct fz_route_seen seen = {
		.protocol = m->rtm_protocol, .scope = m->rtm_scope, .type = m->rtm_type
	};
	seen.route.table = m->rtm_table;
	seen.route.to.bits = m->rtm_dst_len;
	seen.route.to.ip.family = m->rtm_family == AF_INET ? FZ_IP4 : FZ_IP6;
	for (const struct nlattr *a = mnl_nlmsg_get_payload_offset(h, sizeof(*m)); is_attr(h, a);
		a = mnl_attr_next(a)) {
		switch (mnl_attr_get_type(a)) {
		case RTA_DST: (void)take_ip(a, m->rtm_family, &seen.route.to.ip); break;
		case RTA_TABLE: (void)take_u32(a, &seen.route.table); break;
		case RTA_OIF: (void)take_u32(a, &seen.route.ifindex); break;
		}
	}
	if (d->result == 0)
		d->result = d->fn.route(d->user, &seen);
	return MNL_CB_OK;
}

static int see_rule(const struct nlmsghdr *h, void *user)
{
	struct dump *d = user;
	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct fib_rule_hdr))
		return MNL_CB_OK;
	const struct fib_rule_hdr *m = mnl_nlmsg_get_payload(h);
	if (m->family != AF_INET && m->family != AF_INET6)
		return MNL_CB_OK;
	struct fz_rule rule = { .family = m->family == AF_INET ? FZ_IP4 : FZ_IP6,
		.table = m->table };
	rule.is_inverted = (m->flags & FIB_RULE_INVERT) != 0;
	uint8_t protocol = 0;
	for (const struct nlattr *a = mnl_nlmsg_get_payload_offset(h, sizeof(*m)); is_attr(h, a);
		a = mnl_attr_next(a)) {
		switch (mnl_attr_get_type(a)) {
		case FRA_PRIORITY: (void)take_u32(a, &rule.priority); break;
		case FRA_TABLE: (void)take_u32(a, &rule.table); break;
		case FRA_FWMARK: (void)take_u32(a, &rule.mark); break;
		case FRA_FWMASK: (void)take_u32(a, &rule.mask); break;
		case FRA_PROTOCOL:
			if (mnl_attr_get_payload_len(a) >= 1)
				protocol = mnl_attr_get_u8(a);
			break;
		}
	}
	if (d->result == 0)
		d->result = d->fn.rule(d->user, &rule, protocol);
	return MNL_CB_OK;
}

static int see_address(const struct nlmsghdr *h, void *user)
{
	struct dump *d = user;
	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct ifaddrmsg))
		return MNL_CB_OK;
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
		return MNL_CB_OK;
	struct fz_prefix p = { .bits = m->ifa_prefixlen };
	for (const struct nlattr *a = mnl_nlmsg_get_payload_offset(h, sizeof(*m)); is_attr(h, a);
		a = mnl_attr_next(a)) {
		uint16_t type = mnl_attr_get_type(a);
		/* For a point-to-point IPv4 address, LOCAL is ours and ADDRESS the other end's. */
		if (type == IFA_LOCAL || (type == IFA_ADDRESS && p.ip.family == FZ_NO_FAMILY))
			(void)take_ip(a, m->ifa_family, &p.ip);
	}
	if (d->result == 0)
		d->result = d->fn.address(d->user, m->ifa_index, &p);
	return MNL_CB_OK;
}

static int dump(struct fz_rtnl *n, uint16_t type, size_t header, mnl_cb_t see, struct dump *d)
{
	struct nlmsghdr *h = request(n, type, NLM_F_DUMP);
	mnl_nlmsg_put_extra_header(h, header); /* zeroed: AF_UNSPEC */
	int r = talk(n, h, see, d);
	return r < 0 ? r : d->result;
}

int fz_rtnl_each_route(struct fz_rtnl *n, fz_route_fn fn, void *user)
{
	struct dump d = { .fn.route = fn, .user = user };
	return dump(n, RTM_GETROUTE, sizeof(struct rtmsg), see_route, &d);
}

int fz_rtnl_each_rule(struct fz_rtnl *n, fz_rule_fn fn, void *user)
{
	struct dump d = { .fn.rule = fn, .user = user };
	return dump(n, RTM_GETRULE, sizeof(struct fib_rule_hdr), see_rule, &d);
}

int fz_rtnl_each_address(struct fz_rtnl *n, fz_address_fn fn, void *user)
{
	struct dump d = { .fn.address = fn, .user = user };
	return dump(n, RTM_GETADDR, sizeof(struct ifaddrmsg), see_address, &d);
}
