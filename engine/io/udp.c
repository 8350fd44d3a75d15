/* Sockets and their control messages. Control buffers are zeroed and their length set before each use, so that no stale byte is read. */
#include "io/udp.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/release.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define PORT_TRIES 100

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static void set_buffers(int fd)
{
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, FZ_UDP_RECEIVE_BUFFER) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, FZ_UDP_RECEIVE_BUFFER);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, FZ_UDP_SEND_BUFFER) < 0)
		(void)set_int(fd, SOL_SOCKET, SO_SNDBUF, FZ_UDP_SEND_BUFFER);
}

static int set_options(int fd, int family, uint32_t mark)
{
	bool is_v4 = family == AF_INET;
	int r = is_v4 ? 0 : set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r == 0 && mark != 0)
		r = set_int(fd, SOL_SOCKET, SO_MARK, (int)mark);
	if (r == 0)
		r = is_v4 ? set_int(fd, IPPROTO_IP, IP_PKTINFO, 1)
			  : set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	if (r == 0)
		r = is_v4 ? set_int(fd, IPPROTO_IP, IP_RECVTOS, 1)
			  : set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	/* As the kernel's driver: an oversized tunnel packet is fragmented, not refused. */
	if (r == 0)
		r = is_v4 ? set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
			  : set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	set_buffers(fd);
	return r;
}

static int bind_to(int fd, int family, uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	bool is_v4 = family == AF_INET;
	fz_be16_store(is_v4 ? (void *)&in->sin_port : (void *)&in6->sin6_port, port);
	socklen_t len = is_v4 ? sizeof(*in) : sizeof(*in6);
	if (bind(fd, (struct sockaddr *)&ss, len) != 0 ||
		getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		return -errno;
	*ret_port = fz_be16_load(is_v4 ? (void *)&in->sin_port : (void *)&in6->sin6_port);
	return 0;
}

static int open_one(int family, uint16_t port, uint32_t mark, int *ret_fd, uint16_t *ret_port)
{
	FZ_CLEANUP(fz_closep) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	if (fd < 0)
		return -errno;
	int r = set_options(fd, family, mark);
	if (r == 0)
		r = bind_to(fd, family, port, ret_port);
	if (r < 0)
		return r;
	*ret_fd = fz_take_fd(&fd);
	return 0;
}

static bool is_family_missing(int r)
{
	return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL;
}

static void probe_offloads(struct fz_udp *u)
{
	int fd = u->v4 >= 0 ? u->v4 : u->v6, value;
	socklen_t len = sizeof(value);
	u->has_gso = getsockopt(fd, SOL_UDP, UDP_SEGMENT, &value, &len) == 0;
	char release[FZ_RELEASE_LEN];
	fz_release_read(release);
	if (u->has_gso && !fz_udp_gso_is_trusted(release)) {
		u->has_gso = false;
		fz_log(FZ_LOG_WARNING, "udp-gso-off",
			"release=%s cause=\"it mangles trains on some drivers\" fixed-in=7.1.5",
			release);
	}
	/* Kernels that cannot read the option back (before 5.12) have a GRO that is not to be trusted. */
	len = sizeof(value);
	u->has_gro = getsockopt(fd, SOL_UDP, UDP_GRO, &value, &len) == 0;
	if (u->has_gro && u->v4 >= 0)
		u->has_gro = set_int(u->v4, SOL_UDP, UDP_GRO, 1) == 0;
	if (u->has_gro && u->v6 >= 0)
		u->has_gro = set_int(u->v6, SOL_UDP, UDP_GRO, 1) == 0;
}

static int open_both(uint16_t port, uint32_t mark, struct fz_udp *u)
{
	uint16_t got = 0;
	int r4 = open_one(AF_INET, port, mark, &u->v4, &got);
	if (r4 < 0 && !is_family_missing(r4))
		return r4;
	u->port = got;
	int r6 = open_one(AF_INET6, r4 == 0 ? got : port, mark, &u->v6, &got);
	if (r6 < 0 && !is_family_missing(r6))
		return r6;
	if (r4 < 0 && r6 < 0)
		return r6;
	u->port = got ? got : u->port;
	return 0;
}

int fz_udp_open(uint16_t port, uint32_t mark, struct fz_udp *ret_udp)
{
	for (int tries = 0;; tries++) {
		struct fz_udp u = { .v4 = -1, .v6 = -1 };
		int r = open_both(port, mark, &u);
		if (r == 0) {
			probe_offloads(&u);
			*ret_udp = u;
			return 0;
		}
		fz_udp_close(&u);
		/* A port that is free for IPv4 may be taken for IPv6: try another one if any will do. */
		if (r != -EADDRINUSE || port != 0 || tries == PORT_TRIES)
			return r;
	}
}

void fz_udp_close(struct fz_udp *u)
{
	fz_closep(&u->v4);
	fz_closep(&u->v6);
}

int fz_udp_set_mark(const struct fz_udp *u, uint32_t mark)
{
	int r = u->v4 >= 0 ? set_int(u->v4, SOL_SOCKET, SO_MARK, (int)mark) : 0;
	if (r == 0 && u->v6 >= 0)
		r = set_int(u->v6, SOL_SOCKET, SO_MARK, (int)mark);
	return r;
}

/* ---- addresses ---- */

struct fz_addr fz_addr_of_sockaddr(const struct sockaddr *sa)
{
	struct fz_addr a = { 0 };
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		a.ip = fz_ip_of(FZ_IP4, &in.sin_addr);
		a.port = fz_be16_load(&in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof(in6));
		bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
		a.ip = is_mapped ? fz_ip_of(FZ_IP4, in6.sin6_addr.s6_addr + 12)
				 : fz_ip_of(FZ_IP6, &in6.sin6_addr);
		a.port = fz_be16_load(&in6.sin6_port);
		a.scope = is_mapped ? 0 : in6.sin6_scope_id;
	}
	return a;
}

socklen_t fz_sockaddr_of_addr(const struct fz_addr *a, struct sockaddr_storage *ret)
{
	*ret = (struct sockaddr_storage){ 0 };
	if (a->ip.family == FZ_IP4) {
		struct sockaddr_in in = { .sin_family = AF_INET };
		memcpy(&in.sin_addr, a->ip.b, 4);
		fz_be16_store(&in.sin_port, a->port);
		memcpy(ret, &in, sizeof(in));
		return sizeof(in);
	}
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_scope_id = a->scope };
	memcpy(&in6.sin6_addr, a->ip.b, 16);
	fz_be16_store(&in6.sin6_port, a->port);
	memcpy(ret, &in6, sizeof(in6));
	return sizeof(in6);
}

/* ---- receiving ---- */

void fz_udp_prepare_receive(struct fz_udp_message *m, struct fz_span buf)
{
	m->iov = (struct iovec){ buf.p, buf.n };
	m->hdr = (struct msghdr){ .msg_name = &m->addr,
		.msg_namelen = sizeof(m->addr),
		.msg_iov = &m->iov,
		.msg_iovlen = 1,
		.msg_control = m->control,
		.msg_controllen = sizeof(m->control) };
}

static void take_control(const struct cmsghdr *c, struct fz_udp_received *r)
{
	const uint8_t *data = CMSG_DATA(c);
	size_t n = c->cmsg_len - CMSG_LEN(0);
	if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && n >= sizeof(int)) {
		int segment;
		memcpy(&segment, data, sizeof(segment));
		if (segment > 0 && segment <= UINT16_MAX)
			r->segment = (uint16_t)segment;
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
		   n >= sizeof(struct in_pktinfo)) {
		struct in_pktinfo info;
		memcpy(&info, data, sizeof(info));
		r->from.local = fz_ip_of(FZ_IP4, &info.ipi_spec_dst);
		r->from.ifindex = (uint32_t)info.ipi_ifindex;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
		   n >= sizeof(struct in6_pktinfo)) {
		struct in6_pktinfo info;
		memcpy(&info, data, sizeof(info));
		r->from.local = fz_ip_of(FZ_IP6, &info.ipi6_addr);
		r->from.ifindex = info.ipi6_ifindex;
	} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS && n >= 1) {
		r->ecn = data[0] & 3;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS &&
		   n >= sizeof(int)) {
		int tclass;
		memcpy(&tclass, data, sizeof(tclass));
		r->ecn = (uint8_t)(tclass & 3);
	}
}

bool fz_udp_read_control(const struct fz_udp_message *m, size_t len, struct fz_udp_received *ret)
{
	struct fz_udp_received r = { .segment = (uint16_t)(len < UINT16_MAX ? len : UINT16_MAX) };
	if (m->hdr.msg_namelen < sizeof(struct sockaddr_in))
		return false;
	r.from.remote = fz_addr_of_sockaddr((const struct sockaddr *)&m->addr);
	r.is_truncated = (m->hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
	struct msghdr hdr = m->hdr;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&hdr); c; c = CMSG_NXTHDR(&hdr, c))
		take_control(c, &r);
	if (r.from.remote.ip.family == FZ_NO_FAMILY || r.from.remote.port == 0)
		return false;
	*ret = r;
	return true;
}

/* ---- sending ---- */

static void put_control(struct fz_udp_message *m, int level, int type, const void *data, size_t n)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)(m->control + m->hdr.msg_controllen);
	memset(c, 0, CMSG_SPACE(n));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), data, n);
	m->hdr.msg_controllen += CMSG_SPACE(n);
}

static void put_source(struct fz_udp_message *m, const struct wg_endpoint *to)
{
	if (to->local.family == FZ_IP4) {
		struct in_pktinfo info = { .ipi_ifindex = (int)to->ifindex };
		memcpy(&info.ipi_spec_dst, to->local.b, 4);
		put_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else if (to->local.family == FZ_IP6) {
		struct in6_pktinfo info = { .ipi6_ifindex = to->ifindex };
		memcpy(&info.ipi6_addr, to->local.b, 16);
		put_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

int fz_udp_prepare_send(struct fz_udp_message *m, const struct fz_udp *u,
	const struct wg_endpoint *to, uint8_t tos, struct fz_span data, uint16_t segment)
{
	bool is_v4 = to->remote.ip.family == FZ_IP4;
	struct sockaddr_storage ss;
	socklen_t len = fz_sockaddr_of_addr(&to->remote, &ss);
	memcpy(&m->addr, &ss, len);
	m->iov = (struct iovec){ data.p, data.n };
	m->hdr = (struct msghdr){ .msg_name = &m->addr,
		.msg_namelen = len,
		.msg_iov = &m->iov,
		.msg_iovlen = 1,
		.msg_control = m->control };
	if (segment != 0 && segment < data.n)
		put_control(m, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	if (to->local.family == to->remote.ip.family)
		put_source(m, to);
	if (tos != 0) {
		int value = tos;
		put_control(m, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TOS : IPV6_TCLASS,
			&value, sizeof(value));
	}
	if (m->hdr.msg_controllen == 0)
		m->hdr.msg_control = NULL;
	return is_v4 ? u->v4 : u->v6;
}
